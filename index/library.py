"""An index on disk, opened: catalogue, vectors and BM25 together, owned by one process at a time.

Takes a folder; gives an `Index` that `build` fills and `rag` searches.
"""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from index import embed, split
from index.catalogue import Catalogue
from index.embed import Encoder, SentenceEncoder
from index.lexical import Lexical
from index.lock import IndexProblem, Ownership
from index.store import Store
from index.weights import NAME

FOLDER = Path(".chroma")


class Index:
    """One index, held by this process until `close`.

    Raises IndexProblem when there is none (unless `create`), or when it was made with another model or splitter than asked
    for; IndexBusy when another process holds it. An index remembers its embedding model: `encoder` is needed only to ask
    for another one, or in tests.
    """

    def __init__(
        self, folder: Path = FOLDER, encoder: Encoder | None = None, create: bool = False, command: str = "cite"
    ) -> None:
        self.folder = folder
        if not create and not (folder / "catalogue.sqlite3").exists():
            raise IndexProblem(f"There is no index in {folder}. Build it: cite index seeds")
        folder.mkdir(parents=True, exist_ok=True)
        self._ownership = Ownership(folder, command)
        try:
            self.catalogue = Catalogue(folder / "catalogue.sqlite3")
            self.encoder = self._checked(encoder)
            self.store = Store(folder / "vectors")
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
            f"Rebuild it: cite index --rebuild --embedder {embedder}"
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


def swap(new: Path, folder: Path) -> None:
    """Put the finished index at `new` in the place of `folder`."""
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
