"""Chunks and their vectors in Chroma, and nothing else knows it.

Takes chunks with unit vectors; gives chunks back by nearness or by id. Embedded, no telemetry, no embedding function of Chroma's own. Its
distances are turned into cosines here: bigger is better everywhere else. One process at a time: see `library`.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from chromadb.config import Settings
from langchain_core.documents import Document

COLLECTION = "chunks"
BATCH = 1000  # chunks a write; Chroma's limit is 5461
PAGE = 1000  # chunks a read: Chroma needs 40 KB for each while it answers


class Store:
    """The chunks of one index."""

    def __init__(self, folder: Path) -> None:
        self._client = chromadb.PersistentClient(path=str(folder), settings=Settings(anonymized_telemetry=False))
        self._chunks = self._client.get_or_create_collection(
            COLLECTION, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def close(self) -> None:
        """Let go of the folder."""
        self._client.close()  # type: ignore[attr-defined]

    def count(self) -> int:
        """How many chunks there are."""
        return self._chunks.count()

    def put(self, chunks: list[Document], vectors: np.ndarray) -> None:
        """Add chunks, replacing those with the same id; `vectors` is (chunks, dimension)."""
        for i in range(0, len(chunks), BATCH):
            part = chunks[i : i + BATCH]
            self._chunks.upsert(
                ids=[str(chunk.id) for chunk in part],
                embeddings=vectors[i : i + BATCH],
                documents=[chunk.page_content for chunk in part],
                metadatas=[chunk.metadata for chunk in part],
            )

    def remove(self, document: str) -> None:
        """Remove every chunk of the document with this id."""
        self._chunks.delete(where={"document": document})

    def nearest(
        self, vector: np.ndarray, k: int, documents: Collection[str] | None = None
    ) -> list[tuple[Document, float]]:
        """The `k` chunks nearest to a unit vector, with their cosines, best first; of these documents alone, if given."""
        if not (count := self.count()):
            return []
        found = self._chunks.query(
            query_embeddings=[vector], n_results=min(k, count), include=["documents", "metadatas", "distances"],
            where=None if documents is None else {"document": {"$in": list(documents)}},  # type: ignore[dict-item]
        )  # fmt: skip
        rows = zip(found["ids"][0], found["documents"][0], found["metadatas"][0], found["distances"][0], strict=True)  # type: ignore[index]
        return [(_chunk(i, text, meta), 1 - float(distance)) for i, text, meta, distance in rows]

    def get(self, ids: list[str]) -> dict[str, tuple[Document, np.ndarray]]:
        """The chunks with these ids and their vectors; ids that are not there are left out."""
        found = self._chunks.get(ids=ids, include=["documents", "metadatas", "embeddings"]) if ids else None
        if found is None:
            return {}
        rows = zip(found["ids"], found["documents"], found["metadatas"], found["embeddings"], strict=True)  # type: ignore[arg-type]
        return {i: (_chunk(i, text, meta), np.asarray(vector)) for i, text, meta, vector in rows}

    def texts(self, language: str) -> Iterator[tuple[str, str]]:
        """(id, text) of every chunk in a language."""
        offset, found = 0, PAGE
        while found == PAGE:
            page = self._chunks.get(where={"language": language}, include=["documents"], limit=PAGE, offset=offset)
            yield from zip(page["ids"], page["documents"] or [], strict=True)
            found = len(page["ids"])
            offset += found

    def languages(self, document: str) -> set[str]:
        """The languages of a document's chunks."""
        found = self._chunks.get(where={"document": document}, include=["metadatas"])["metadatas"] or []
        return {str(meta["language"]) for meta in found}

    def pages(self, batch: int = PAGE) -> Iterator[list[tuple[Document, np.ndarray]]]:
        """Every chunk with its vector, so many at a time."""
        for offset in range(0, self.count(), batch):
            found = self._chunks.get(include=["documents", "metadatas", "embeddings"], limit=batch, offset=offset)
            rows = zip(found["ids"], found["documents"], found["metadatas"], found["embeddings"], strict=True)  # type: ignore[arg-type]
            yield [(_chunk(i, text, meta), np.asarray(vector)) for i, text, meta, vector in rows]

    def documents(self) -> dict[str, set[str]]:
        """The languages of the chunks there are, by document."""
        found: dict[str, set[str]] = {}
        for offset in range(0, self.count(), PAGE):
            for meta in self._chunks.get(include=["metadatas"], limit=PAGE, offset=offset)["metadatas"] or []:
                found.setdefault(str(meta["document"]), set()).add(str(meta["language"]))
        return found


def _chunk(identity: str, text: str, metadata: Any) -> Document:
    return Document(id=identity, page_content=text, metadata=dict(metadata))
