"""One process at a time: who holds an index, and where it serves.

Two processes writing one Chroma folder silently lose vectors, so whoever opens an index holds its lock. The lock lies beside the
folder, with a note for others; the operating system frees it when its holder dies. Owns filelock.
"""

import json
import os
from pathlib import Path

from filelock import FileLock, Timeout


class IndexProblem(RuntimeError):
    """An index that cannot be used as asked; the message gives the next command."""


class IndexBusy(IndexProblem):
    """Another process holds the index; `url` is where it serves, if it does."""

    def __init__(self, message: str, url: str | None) -> None:
        super().__init__(message)
        self.url = url


class Ownership:
    """The lock on one index folder, held from construction to `release`; raises IndexBusy when another holds it."""

    def __init__(self, folder: Path, command: str) -> None:
        self._folder, self._command = folder, command
        self._note = Path(f"{folder}.owner.json")
        # Not a singleton: a second Index in this process must be told so too.
        self._lock = FileLock(f"{folder}.lock", is_singleton=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise self._busy() from error
        self.note(None)

    def _busy(self) -> IndexBusy:
        try:
            owner = json.loads(self._note.read_text())
        except (OSError, ValueError):
            owner = {"command": "another process", "pid": "?", "url": None}
        at = f" at {owner['url']}" if owner["url"] else ""
        message = (
            f"The index in {self._folder} is in use by '{owner['command']}' (process {owner['pid']}){at}. "
            f"Stop it first: kill {owner['pid']}"
        )
        return IndexBusy(message, owner["url"])

    def note(self, url: str | None) -> None:
        """Tell other processes who holds the index, and where it answers."""
        self._note.write_text(json.dumps({"pid": os.getpid(), "command": self._command, "url": url}))

    def release(self) -> None:
        """Let others have it."""
        self._note.unlink(missing_ok=True)
        self._lock.release()
