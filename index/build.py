"""The stages in order: find, load, split, embed, store; only what changed.

Takes paths and an open Index; gives a Report of what was done. A document enters whole: its chunks are written first, then one
commit to the catalogue makes them count; a build killed at any point reopens clean. Small documents are embedded together, large
ones in parts, so memory does not grow with them.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from langchain_core.documents import Document

from index import similar
from index.catalogue import Entry
from index.library import Index
from index.load import INSIDE, LoadError, Source, find, identity, load, members, read
from index.sandbox import Sandbox
from index.split import split

PART = 512  # chunks embedded together

# What is being done, how many files are done, of how many; may raise to stop.
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Report:
    """What a build did, by source."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # the whole message
    similar: list[str] = field(default_factory=list)  # the whole message

    def __str__(self) -> str:
        names = ("added", "changed", "moved", "removed", "unchanged", "failed")
        counts = [f"{len(getattr(self, name))} {name}" for name in names if getattr(self, name)]
        return ", ".join(counts) or "nothing to index"

    def lines(self) -> list[str]:
        """What was done to each source, unchanged ones left out."""
        listed = [
            f"{name}: {source}" for name in ("added", "changed", "moved", "removed") for source in getattr(self, name)
        ]
        return listed + self.similar


def silent(_stage: str, _done: int, _of: int) -> None:
    """The progress of nobody watching."""


def build(index: Index, paths: Iterable[Path], progress: Progress = silent) -> Report:
    """Bring the index in step with the files at and below `paths`; documents from elsewhere stay.

    A file that cannot be loaded is reported and passed over, and what was indexed of it before stays. Raises LoadError for
    a path that does not exist and was never indexed. Stopped by an exception, it keeps the documents that are whole.
    """
    roots = list(paths)
    with index.building, Sandbox() as sandbox:
        run = _Run(index, sandbox, progress)
        files = find(path for path in roots if path.exists() or str(path.resolve()) not in run.by_place)
        with index.change() as run.touched:
            run.files(files)
            run.forget_gone([str(path.resolve()) for path in roots])
            progress("indexing words", len(files), len(files))
    return run.report


@dataclass(frozen=True, slots=True)
class _Read:
    """A document that waits to be embedded with others."""

    document: Document
    source: Source
    chunks: list[Document]


class _Run:
    """One build: what the catalogue holds as it goes, and the languages whose BM25 must be made anew."""

    def __init__(self, index: Index, sandbox: Sandbox, progress: Progress) -> None:
        entries = index.catalogue.entries()
        self.index, self.report = index, Report()
        self.by_id = {entry.id: entry for entry in entries}
        self.by_place = {entry.path: entry for entry in entries}
        self.touched: set[str] = set()
        self._sandbox, self._progress = sandbox, progress
        self._sketches = similar.Sketches(index.catalogue.sketches())
        self._seen: set[str] = set()
        self._waiting: list[_Read] = []
        self._done, self._of = 0, 0

    def files(self, files: list[Path]) -> None:
        """Bring every file in; its zip's members, if it is one."""
        self._of = len(files)
        for self._done, path in enumerate(files):
            try:
                for source in members(path):
                    self._seen.add(source.place)
                    self._guarded(source)
            except LoadError as error:
                self._fail(error, str(path.resolve()))
        self._embed_waiting()

    def _guarded(self, source: Source) -> None:
        try:
            self._file(source)
        except LoadError as error:
            self._fail(error, source.place)

    def _fail(self, error: LoadError, place: str) -> None:
        self.report.failed.append(str(error))
        self._seen |= {known for known in self.by_place if known == place or known.startswith(place + INSIDE)}

    def _file(self, source: Source) -> None:
        self._tell(f"reading {source.name}")
        raw = read(source)
        before, identical = self.by_place.get(source.place), identity(raw)
        if any(held.document.id == identical for held in self._waiting):
            self._embed_waiting()
        if same := self.by_id.get(identical):
            self._seen_again(same, source)
            if before and before.id != same.id:  # it now holds what another file holds: its old text goes
                self._forget(before)
            return
        document = load(source, raw, self._sandbox, lambda at, of: self._tell(f"reading {source.name}, {at} of {of}"))
        del raw  # as large as the text: it must not stay while that is embedded
        chunks = split(document, self.index.encoder.token_spans)
        first = list(islice(chunks, PART))
        if len(first) == PART:
            self._embed_waiting()
            self._large(document, source, first, chunks)
            return
        self._waiting.append(_Read(document, source, first))
        if sum(len(held.chunks) for held in self._waiting) >= PART:
            self._embed_waiting()

    def _seen_again(self, same: Entry, source: Source) -> None:
        if same.path == source.place or Path(same.path.split(INSIDE)[0]).exists():
            self.report.unchanged.append(source.name)
            self._seen.add(same.path)
        else:
            self.index.catalogue.move(same.id, source.place, source.name)
            self.by_place[source.place] = self.by_id[same.id]
            self.report.moved.append(source.name)

    def _embed_waiting(self) -> None:
        """Embed the chunks of all documents that wait, together; then put each document in."""
        waiting, self._waiting = self._waiting, []
        chunks = [chunk for held in waiting for chunk in held.chunks]
        if not chunks:
            return
        self._tell(f"embedding {len(chunks)} passages" + (f" of {waiting[0].source.name}" if len(waiting) == 1 else ""))
        self.touched |= self.index.put(chunks)
        for held in waiting:
            self._commit(held.document, held.source, len(held.chunks))

    def _large(self, document: Document, source: Source, part: list[Document], rest: Iterator[Document]) -> None:
        """Embed and store a document part by part, then commit it."""
        count, done, length, started = 0, 0, len(document.page_content), time.monotonic()
        while part:
            minutes, seconds = divmod(int((time.monotonic() - started) * (length - done) / max(1, done)), 60)
            told = f", {minutes}:{seconds:02} left" if done else ""
            done = part[-1].metadata["end"]
            self._tell(f"embedding {source.name}, {done / length:.0%}{told}")
            self.touched |= self.index.put(part)
            count += len(part)
            part = list(islice(rest, PART))
        self._commit(document, source, count)

    def _commit(self, document: Document, source: Source, chunks: int) -> None:
        before, sketch = self.by_place.get(source.place), similar.sketch(document.page_content)
        if found := self._sketches.nearest(sketch, but=before.id if before else ""):
            alike, share = found
            self.report.similar.append(f"{source.name} is {share:.0%} the same as {self.by_id[alike].source}")
        replaced = before.id if before else None
        entry = self.index.catalogue.put(document, source.place, chunks, sketch, replaced)
        if before:
            self._forget(before)
        self.by_id[entry.id] = self.by_place[source.place] = entry
        self._sketches.add(entry.id, sketch)
        (self.report.changed if before else self.report.added).append(entry.source)

    def _forget(self, entry: Entry) -> None:
        self.touched |= self.index.forget(entry.id)
        self.by_id.pop(entry.id, None)
        self._sketches.forget(entry.id)

    def forget_gone(self, roots: list[str]) -> None:
        """Forget documents seen at or below `roots` whose file is there no more."""
        for entry in self.index.catalogue.entries():
            inside = any(entry.path == root or entry.path.startswith((root + "/", root + INSIDE)) for root in roots)
            if inside and entry.path not in self._seen:
                self._forget(entry)
                self.report.removed.append(entry.source)

    def _tell(self, stage: str) -> None:
        self._progress(stage, self._done, self._of)
