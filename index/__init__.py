"""Offline: files to a searchable index. The listing is the pipeline: load, split, embed, store."""

from index.build import Report, build, rebuild
from index.library import Index, IndexBusy, IndexProblem
from index.load import LoadError

__all__ = ["Index", "IndexBusy", "IndexProblem", "LoadError", "Report", "build", "rebuild"]
