"""The stages in order: find, load, split, embed, store; only what changed.

Takes paths and an open Index; gives a Report of what was done. A document enters whole: its chunks are written first, then one
commit to the catalogue makes them count; a build killed at any point reopens clean.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from index.catalogue import Catalogue, Entry
from index.embed import Encoder
from index.library import Index, swap
from index.load import LoadError, find, identity, load, read
from index.lock import IndexProblem, Ownership
from index.split import split

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


@dataclass(slots=True)
class Report:
    """What a build did, by source."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # the whole message

    def __str__(self) -> str:
        names = ("added", "changed", "moved", "removed", "unchanged", "failed")
        counts = [f"{len(getattr(self, name))} {name}" for name in names if getattr(self, name)]
        return ", ".join(counts) or "nothing to index"


def silent(_stage: str, _done: int, _of: int) -> None:
    """The progress of nobody watching."""


def build(index: Index, paths: Iterable[Path], progress: Progress = silent) -> Report:
    """Bring the index in step with the files at and below `paths`; documents from elsewhere stay.

    A file that cannot be loaded is reported and passed over, and what was indexed of it before stays. Raises LoadError for
    a path that does not exist and was never indexed.
    """
    roots = list(paths)
    run = _Run(index)
    files = find(path for path in roots if path.exists() or str(path.resolve()) not in run.by_path)
    index.catalogue.record(building="yes")
    for number, path in enumerate(files):
        progress(f"indexing {path.name}", number, len(files))
        try:
            run.file(path)
        except LoadError as error:
            run.report.failed.append(str(error))
    run.forget_gone([path.resolve() for path in roots])
    progress("indexing words", len(files), len(files))
    for language in run.touched:
        index.lexical.write(language, index.store.texts(language))
    index.catalogue.record(building="")
    return run.report


class _Run:
    """One build: what the catalogue holds as it goes, and the languages whose BM25 must be made anew."""

    def __init__(self, index: Index) -> None:
        entries = index.catalogue.entries()
        self.index, self.report = index, Report()
        self.by_id = {entry.id: entry for entry in entries}
        self.by_path = {entry.path: entry for entry in entries}
        self.touched: set[str] = set()

    def file(self, path: Path) -> None:
        raw, place = read(path), str(path.resolve())
        before = self.by_path.get(place)
        if same := self.by_id.get(identity(raw)):
            self._seen_again(same, path, place)
            if before and before.id != same.id:  # it now holds what another file holds: its old text goes
                self._forget(before)
            return
        document = load(path, raw)
        chunks = split(document, self.index.encoder.token_spans)
        language = document.metadata["language"]
        vectors = self.index.encoder.documents([chunk.page_content for chunk in chunks], language)
        self.index.stamp()
        self.index.store.put(chunks, vectors)
        entry = self.index.catalogue.put(document, path.resolve(), len(chunks), before.id if before else None)
        self.by_id[entry.id] = self.by_path[place] = entry
        self.touched.add(entry.language)
        if before:
            self._forget(before)
        (self.report.changed if before else self.report.added).append(entry.source)

    def _seen_again(self, same: Entry, path: Path, place: str) -> None:
        if same.path == place or Path(same.path).exists():
            self.report.unchanged.append(path.as_posix())
        else:
            self.index.catalogue.move(same.id, path.resolve(), path.as_posix())
            self.report.moved.append(path.as_posix())

    def _forget(self, entry: Entry) -> None:
        self.index.catalogue.remove(entry.id)
        self.index.store.remove(entry.id)
        self.by_id.pop(entry.id, None)
        self.touched.add(entry.language)

    def forget_gone(self, roots: list[Path]) -> None:
        """Forget documents seen at or below `roots` whose file is there no more."""
        for entry in self.index.catalogue.entries():
            path = Path(entry.path)
            if any(path == root or root in path.parents for root in roots) and not path.exists():
                self._forget(entry)
                self.report.removed.append(entry.source)


def rebuild(folder: Path, paths: Iterable[Path], encoder: Encoder, progress: Progress = silent) -> Report:
    """Index `paths` (or, without any, every file that the old index knows) into a new index, then put it in the old one's place.

    The old index stays as it is until the new one is whole. Raises IndexProblem when there is nothing to index, IndexBusy
    when another process holds the index.
    """
    new = folder.with_name(f"{folder.name}.new")
    ownership = Ownership(folder, "cite index --rebuild")
    try:
        paths = list(paths) or _known_paths(folder)
        shutil.rmtree(new, ignore_errors=True)
        with Index(new, encoder, create=True) as index:
            report = build(index, paths, progress)
        swap(new, folder)
    finally:
        ownership.release()
        Path(f"{new}.lock").unlink(missing_ok=True)
    return report


def _known_paths(folder: Path) -> list[Path]:
    # Not an Index: the old one may be of another model, and is not opened.

    file = folder / "catalogue.sqlite3"
    catalogue = Catalogue(file) if file.exists() else None
    found = [Path(entry.path) for entry in catalogue.entries()] if catalogue else []
    if catalogue:
        catalogue.close()
    if not found:
        raise IndexProblem(f"The index in {folder} knows no files. Name them: cite index seeds --rebuild")
    return [path for path in found if path.exists()]
