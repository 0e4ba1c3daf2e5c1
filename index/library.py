"""An index on disk, opened: catalogue, vectors and BM25 together, owned by one process at a time.

Takes a folder; gives an `Index` that `build` fills and `rag` searches.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Self

from langchain_core.documents import Document

from index import embed, split
from index.catalogue import Catalogue
from index.embed import Encoder, SentenceEncoder
from index.lexical import Lexical
from index.load import INSIDE, LoadError, Source, read
from index.load import identity as hash_of
from index.lock import IndexProblem, Ownership
from index.store import Store
from index.weights import NAME

FOLDER = Path(".chroma")
FILE = "catalogue.sqlite3"
COLLECTION = re.compile(r"[\w-]{1,40}")


class Index:
    """One index, held by this process until `close`.

    Raises IndexProblem when there is none (unless `create`), or when it was made with another model or splitter than asked
    for; IndexBusy when another process holds it. An index remembers its embedding model: `encoder` is needed only to ask
    for another one, or in tests. A process that only fills the index and is not `searched` needs less memory.
    """

    def __init__(
        self,
        folder: Path = FOLDER,
        encoder: Encoder | None = None,
        create: bool = False,
        command: str = "cite",
        searched: bool = True,
    ) -> None:
        self.folder = folder
        self.building = RLock()  # held by whoever changes the index
        if not create and not any((place / FILE).exists() for place in (folder, successor(folder))):
            raise IndexProblem(f"There is no index in {folder}. Build it: cite index seeds{option(folder)}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._ownership = Ownership(folder, command)
        try:
            adopt(folder)
            folder.mkdir(exist_ok=True)
            self.catalogue = Catalogue(folder / FILE)
            self.encoder = self._checked(encoder)
            self.store = Store(folder / "vectors", searched)
            self.lexical = Lexical(folder / "lexical")
            if self.catalogue.settings().get("building"):
                self.recover()
        except BaseException:
            self._ownership.release()
            raise

    def serve_at(self, url: str) -> None:
        """Note for other processes where this one answers."""
        self._ownership.note(url)

    def _checked(self, encoder: Encoder | None) -> Encoder:
        """The encoder that the index was built with; raises IndexProblem when another one is asked for."""
        settings = self.catalogue.settings()
        name = settings.setdefault("embedder", encoder.name if encoder else NAME)
        if encoder and encoder.name != name:
            raise self._mismatch(f"embedding model {name!r}; this run asks for {encoder.name!r}", encoder.name)
        for part, version in (("splitter", split.VERSION), ("vectors", embed.VERSION)):
            if (built := settings.setdefault(part, version)) != version:
                raise self._mismatch(f"version {built} of its {part}; this version of cite has {version}", name)
        return encoder or SentenceEncoder(name)

    def stamp(self) -> None:
        """Record how the index is made, once the first vectors are: a model that cannot be loaded leaves no trace."""
        if "embedder" not in self.catalogue.settings():
            self.catalogue.record(embedder=self.encoder.name, splitter=split.VERSION, vectors=embed.VERSION)

    def _mismatch(self, difference: str, embedder: str) -> IndexProblem:
        return IndexProblem(
            f"The index in {self.folder} was built with {difference}. "
            f"Rebuild it: cite index --rebuild --embedder {embedder}{option(self.folder)}"
        )

    def recover(self) -> None:
        """After a build that was killed: drop chunks of documents that were not committed, and make BM25 anew."""
        committed = self.catalogue.ids()
        languages = set(self.lexical.languages())
        for document, found in self.store.documents().items():
            languages |= found
            if document not in committed:
                self.store.remove(document)
        for language in languages:
            self.lexical.write(language, self.store.texts(language))
        self.catalogue.record(building="")

    @contextmanager
    def change(self) -> Iterator[set[str]]:
        """One change of what is indexed: put the languages that it touches into the set, and their BM25 is made anew at its end.

        Killed, the next start recovers what was whole; an exception does so at once.
        """
        with self.building:
            self.catalogue.record(building="yes")
            touched: set[str] = set()
            try:
                yield touched
            except BaseException:
                self.recover()
                raise
            for language in sorted(touched):
                self.lexical.write(language, self.store.texts(language))
            self.catalogue.record(building="")

    def put(self, chunks: list[Document]) -> set[str]:
        """Embed chunks and store them; returns their languages, whose BM25 is now behind."""
        languages = [chunk.metadata["language"] for chunk in chunks]
        if chunks:
            vectors = self.encoder.documents([chunk.page_content for chunk in chunks])
            self.stamp()
            self.store.put(chunks, vectors)
        return set(languages)

    def forget(self, identity: str) -> set[str]:
        """Drop a document and its chunks; returns their languages, whose BM25 is now behind."""
        languages = self.store.languages(identity)
        self.catalogue.remove(identity)
        self.store.remove(identity)
        return languages

    def original(self, identity: str) -> bytes | None:
        """The bytes that a document was made of, while its file is still there with the same content."""
        if (entry := self.catalogue.entry(identity)) is None:
            return None
        path, _, member = entry.path.partition(INSIDE)
        try:
            raw = read(Source(Path(path), member))
        except LoadError:
            return None
        return raw if hash_of(raw) == identity else None

    def remove(self, identity: str) -> bool:
        """Remove a document for good; False where there is none with this id."""
        with self.building:
            if not self.catalogue.has(identity):
                return False
            with self.change() as touched:
                touched.update(self.forget(identity))
        return True

    def close(self) -> None:
        """Let go of the files and of the lock."""
        self.store.close()
        self.catalogue.close()
        self._ownership.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def collection_folder(base: Path, name: str) -> Path:
    """Where the collection of this name lies, beside the index in `base`; raises ValueError for what is no name."""
    if not name:
        return base
    if not COLLECTION.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name a collection. Take up to 40 letters, digits, - and _: --collection notes"
        )
    return base.with_name(f"{base.name}@{name}")


def option(folder: Path) -> str:
    """What a command needs to mean the index in `folder`, a space before it; nothing for the default one."""
    name = folder.name.partition("@")[2]
    if folder in (FOLDER, FOLDER.resolve()):
        return ""
    collection = COLLECTION.fullmatch(name) and folder == collection_folder(FOLDER, name)
    return f" --collection {name}" if collection else f" --index {folder}"


def collections(base: Path) -> list[str]:
    """The names of the collections beside the index in `base`, itself left out."""
    found = (
        path.name.removeprefix(f"{base.name}@") for path in base.parent.glob(f"{base.name}@*") if (path / FILE).exists()
    )
    return sorted(name for name in found if COLLECTION.fullmatch(name))


def successor(folder: Path) -> Path:
    """Where `rebuild` makes the index that will take the place of the one in `folder`."""
    return folder.with_name(f"{folder.name}.new")


def adopt(folder: Path) -> None:
    """Put a complete successor in the place of the index in `folder`, if it holds the same documents. Call as the owner.

    Killed between the two renames, the next call ends what was begun.
    """
    new, old = successor(folder), folder.with_name(f"{folder.name}.old")
    if (new / FILE).exists():
        made, before = Catalogue(new / FILE), Catalogue(folder / FILE) if (folder / FILE).exists() else None
        ready = bool(made.settings().get("complete")) and (before is None or before.ids() == made.ids())
        made.close()
        if before:
            before.close()
        if ready:
            shutil.rmtree(old, ignore_errors=True)
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
            Path(f"{new}.lock").unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
