"""One SQLite file that threads of the program share: every read and write behind one lock, every write a transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock


class Database:
    """The open file; `schema` is run as it is opened. Subclasses say what is in it."""

    def __init__(self, path: Path, schema: str) -> None:
        self._lock = RLock()
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute("PRAGMA foreign_keys = ON")
        with self._write() as database:
            database.executescript(schema)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._database:
            yield self._database

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
