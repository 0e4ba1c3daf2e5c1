"""Offline: files to a searchable index. The listing is the pipeline: load, split, embed, store."""

from index.build import Report, build
from index.library import Index
from index.load import LoadError
from index.lock import IndexBusy, IndexProblem
from index.rebuild import rebuild

__all__ = ["Index", "IndexBusy", "IndexProblem", "LoadError", "Report", "build", "rebuild"]
