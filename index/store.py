"""Chunks and their vectors in Chroma, and nothing else knows it.

Takes chunks with unit vectors; gives chunks back by nearness or by id. Embedded, no telemetry, no embedding function of Chroma's own. Its
distances are turned into cosines here: bigger is better everywhere else. One process at a time: see `library`.

Chroma keeps a whole collection's vectors and their graph in memory. The chunks are therefore in collections of SHARD, of which a
process that only fills the index holds one at a time; what is looked through to remove a document stays until the next is full.
"""

import ctypes
import itertools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from chromadb.config import Settings
from langchain_core.documents import Document

COLLECTION = "chunks"  # the first; then chunks-0001 and so on
SHARD = 50_000  # chunks a collection: 100 MB in memory
BATCH = 1000  # chunks a write; Chroma's limit is 5461
PAGE = 1000  # chunks a read: Chroma needs 40 KB for each while it answers


class Store:
    """The chunks of one index."""

    def __init__(self, folder: Path, searched: bool = True) -> None:
        """Not `searched`, it lets go of a collection that is full or was read to its end; no other thread may use it then."""
        self._folder, self._searched = folder, searched
        self._open()

    def _open(self) -> None:
        self._client = chromadb.PersistentClient(path=str(self._folder), settings=Settings(anonymized_telemetry=False))
        names = sorted(collection.name for collection in self._client.list_collections())
        self._shards = [self._shard(name) for name in names or [COLLECTION]]

    def _shard(self, name: str) -> chromadb.Collection:
        return self._client.get_or_create_collection(
            name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def _let_go(self) -> None:
        if not self._searched and len(self._shards) > 1:
            self._client.close()  # type: ignore[attr-defined]
            if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
                trim(0)  # glibc would keep what was freed
            self._open()

    def close(self) -> None:
        """Let go of the folder."""
        self._client.close()  # type: ignore[attr-defined]

    def count(self) -> int:
        """How many chunks there are."""
        return sum(shard.count() for shard in self._shards)

    def put(self, chunks: list[Document], vectors: np.ndarray) -> None:
        """Add chunks of documents that are not there, or only in part; `vectors` is (chunks, dimension)."""
        for i in range(0, len(chunks), BATCH):
            part = chunks[i : i + BATCH]
            if self._shards[-1].count() >= SHARD:
                self._shards.append(self._shard(f"{COLLECTION}-{len(self._shards):04}"))
                self._let_go()
            self._shards[-1].upsert(
                ids=[str(chunk.id) for chunk in part],
                embeddings=vectors[i : i + BATCH],
                documents=[chunk.page_content for chunk in part],
                metadatas=[chunk.metadata for chunk in part],
            )

    def remove(self, document: str) -> None:
        """Remove every chunk of the document with this id."""
        for shard in self._shards:
            shard.delete(where={"document": document})

    def nearest(
        self, vector: np.ndarray, k: int, documents: Collection[str] | None = None
    ) -> list[tuple[Document, float]]:
        """The `k` chunks nearest to a unit vector, with their cosines, best first; of these documents alone, if given."""
        hits = []
        for shard in self._shards:
            if count := shard.count():
                found = shard.query(
                    query_embeddings=[vector], n_results=min(k, count), include=["documents", "metadatas", "distances"],
                    where=None if documents is None else {"document": {"$in": list(documents)}},  # type: ignore[dict-item]
                )  # fmt: skip
                rows = zip(found["ids"][0], found["documents"][0], found["metadatas"][0], found["distances"][0], strict=True)  # type: ignore[index]
                hits += [(_chunk(i, text, meta), 1 - float(distance)) for i, text, meta, distance in rows]
        return sorted(hits, key=lambda hit: -hit[1])[:k]

    def get(self, ids: list[str]) -> dict[str, tuple[Document, np.ndarray]]:
        """The chunks with these ids and their vectors; ids that are not there are left out."""
        return {str(chunk.id): (chunk, vector) for shard in self._shards if ids for chunk, vector in _whole(shard, ids=ids)}

    def texts(self, language: str) -> Iterator[tuple[str, str]]:
        """(id, text) of every chunk in a language."""
        for number in range(len(self._shards)):
            for offset in itertools.count(step=PAGE):
                page = self._shards[number].get(where={"language": language}, include=["documents"], limit=PAGE, offset=offset)
                yield from zip(page["ids"], page["documents"] or [], strict=True)
                if len(page["ids"]) < PAGE:
                    break
            self._let_go()

    def languages(self, document: str) -> set[str]:
        """The languages of a document's chunks."""
        found = (shard.get(where={"document": document}, include=["metadatas"])["metadatas"] or [] for shard in self._shards)
        return {str(meta["language"]) for metas in found for meta in metas}

    def pages(self, batch: int = PAGE) -> Iterator[list[tuple[Document, np.ndarray]]]:
        """Every chunk with its vector, so many at a time."""
        for shard in self._shards:
            for offset in range(0, shard.count(), batch):
                yield _whole(shard, limit=batch, offset=offset)

    def documents(self) -> dict[str, set[str]]:
        """The languages of the chunks there are, by document."""
        found: dict[str, set[str]] = {}
        for shard in self._shards:
            for offset in range(0, shard.count(), PAGE):
                for meta in shard.get(include=["metadatas"], limit=PAGE, offset=offset)["metadatas"] or []:
                    found.setdefault(str(meta["document"]), set()).add(str(meta["language"]))
        return found


def _whole(shard: chromadb.Collection, **which: Any) -> list[tuple[Document, np.ndarray]]:
    found = shard.get(include=["documents", "metadatas", "embeddings"], **which)
    rows = zip(found["ids"], found["documents"], found["metadatas"], found["embeddings"], strict=True)  # type: ignore[arg-type]
    return [(_chunk(i, text, meta), np.asarray(vector)) for i, text, meta, vector in rows]


def _chunk(identity: str, text: str, metadata: Any) -> Document:
    return Document(id=identity, page_content=text, metadata=dict(metadata))
