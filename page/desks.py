"""Collections: separate sets of documents, each with its own index, uploads and conversations, served by one process.

Takes the index that the server was started with; gives a `Desk` for each collection. They share the models and nothing else: each
lies in its own folder, so that no search can reach another's text.
"""

from dataclasses import dataclass, field
from threading import RLock

from index import Index
from index.library import collection_folder, collections
from page.uploads import Uploads
from rag import Rag
from rag.generate import Writer
from rag.suggest import suggestions
from rag.threads import Threads


class CollectionError(ValueError):
    """A collection that is not there or cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What one collection needs to be worked with; `name` is empty for the one that the server was started with."""

    name: str
    rag: Rag
    uploads: Uploads
    threads: Threads
    suggested: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # by document and language

    def suggestions(self, language: str, most: int = 4) -> list[str]:
        """Questions to begin with, about the newest documents, half of them in the reader's language, half in the document's."""
        index, found = self.rag.index, list[str]()
        for entry in sorted(index.catalogue.entries(), key=lambda entry: entry.added, reverse=True)[:2]:
            for spoken in dict.fromkeys((language, entry.language)):
                if (entry.id, spoken) not in self.suggested and (document := index.catalogue.get(entry.id)):
                    self.suggested[entry.id, spoken] = suggestions(self.rag, document, spoken, 2)
                found += self.suggested.get((entry.id, spoken), [])
        return list(dict.fromkeys(found))[:most]


class Desks:
    """The collections beside one index, opened when they are first asked for."""

    def __init__(self, index: Index, writer: Writer | None = None) -> None:
        self._lock = RLock()
        self._url: str | None = None
        self._writer = writer
        self._open = {"": _desk("", Rag(index, writer=writer))}
        self._base = index.folder

    def __getitem__(self, name: str) -> Desk:
        """The desk of a collection; raises CollectionError where there is none of that name."""
        with self._lock:
            if name not in self._open:
                if name not in self.names():
                    raise CollectionError(
                        f"There is no collection {name!r}. Make it: cite index FOLDER --collection {name}"
                    )
                self._add(name)
            return self._open[name]

    def names(self) -> list[str]:
        """Every collection's name, the first one's empty."""
        with self._lock:
            return ["", *sorted({*collections(self._base), *self._open} - {""})]

    def make(self, name: str) -> Desk:
        """A new, empty collection, or the one that there is; raises ValueError where it cannot have that name."""
        with self._lock:
            if name not in self._open:
                self._add(name)
            return self._open[name]

    def serve_at(self, url: str) -> None:
        """Tell other processes where the collections are served, those too that are opened later."""
        with self._lock:
            self._url = url
            for desk in self._open.values():
                desk.rag.index.serve_at(url)

    def close(self) -> None:
        """Let go of all but the first, whose owner closes it."""
        with self._lock:
            for name, desk in self._open.items():
                desk.threads.close()
                if name:
                    desk.rag.index.close()

    def _add(self, name: str) -> None:
        first = self._open[""].rag
        index = Index(collection_folder(self._base, name), create=True, command=f"cite chat, collection {name}")
        if self._url:
            index.serve_at(self._url)
        self._open[name] = _desk(name, Rag(index, first.reader, writer=self._writer))


def _desk(name: str, rag: Rag) -> Desk:
    return Desk(name, rag, Uploads(rag.index), Threads(rag.index.folder))
