"""A new index from the old one's texts: for another embedding model, or a version that cuts otherwise.

Takes the folder of an index; makes `FOLDER.new` beside it and puts it in its place when it is whole. The old one answers meanwhile.
Killed, it goes on where it was. No file is read again: the catalogue holds every text.
"""

import shutil
from itertools import islice
from pathlib import Path

from index import similar
from index.build import PART, Progress, Report, silent
from index.catalogue import Catalogue
from index.embed import Encoder
from index.library import FILE, Index, option, successor
from index.lock import IndexBusy, IndexProblem
from index.split import split


def rebuild(folder: Path, encoder: Encoder, progress: Progress = silent) -> Report:
    """Make the index in `folder` anew with this encoder; the Report lists the documents.

    Where another process holds the old index, the new one waits beside it and takes its place when that is next opened;
    the IndexBusy that is raised says so. Raises IndexProblem when there is nothing to index.
    """
    new, file = successor(folder), folder / FILE
    if not file.exists():
        raise IndexProblem(f"There is no index in {folder}. Build it: cite index seeds{option(folder)}")
    if new.exists() and _made_with(new) != encoder.name:
        shutil.rmtree(new)
    old = Catalogue(file)
    try:
        with Index(new, encoder, create=True, command="cite index --rebuild", searched=False) as index:
            report = copy(old, index, progress)
            if not index.catalogue.ids():
                raise IndexProblem(f"The index in {folder} holds no documents. Add some: cite index seeds{option(folder)}")
            index.catalogue.record(complete="yes")
    finally:
        old.close()
    try:
        Index(folder, command="cite index --rebuild").close()  # opening adopts the successor
    except IndexBusy as busy:
        raise IndexBusy(
            f"The new index is complete and takes its place when the old one is next opened. {busy}", busy.url
        ) from busy
    if new.exists():
        raise IndexProblem(f"The documents in {folder} changed meanwhile. Finish it: cite index --rebuild{option(folder)}")
    return report


def copy(old: Catalogue, index: Index, progress: Progress = silent) -> Report:
    """Index every text of `old` that `index` lacks, and forget what `old` lacks."""
    report, there = Report(), index.catalogue.ids()
    entries, sketches = old.entries(), old.sketches()
    with index.change() as touched:
        for number, entry in enumerate(entries):
            document = old.get(entry.id)
            if entry.id in there or document is None:
                continue
            progress(f"embedding {entry.source}", number, len(entries))
            chunks, count = split(document, index.encoder.token_spans), 0
            while part := list(islice(chunks, PART)):
                touched.update(index.put(part))
                count += len(part)
            sketch = sketches[entry.id] or similar.sketch(document.page_content)
            index.catalogue.put(document, entry.path, count, sketch)
            report.added.append(entry.source)
        for gone in there - {entry.id for entry in entries}:
            touched.update(index.forget(gone))
    return report


def _made_with(folder: Path) -> str | None:
    file = folder / FILE
    if not file.exists():
        return None
    catalogue = Catalogue(file)
    try:
        return catalogue.settings().get("embedder")
    finally:
        catalogue.close()
