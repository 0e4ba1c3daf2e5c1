"""What is indexed: the texts, where they were seen, and how the index was made.

Takes Documents; gives them back by id, whole. One SQLite file, and the truth about the index: a document is in it or is not,
and whatever vectors say about others is dropped. Owns sqlite3.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from langchain_core.documents import Document

from index.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, path TEXT NOT NULL, source TEXT NOT NULL, title TEXT NOT NULL, language TEXT NOT NULL,
    text BLOB NOT NULL, chunks INTEGER NOT NULL, added TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT '.txt', places TEXT NOT NULL DEFAULT '[]', sketch BLOB NOT NULL DEFAULT x'',
    characters INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS documents_path ON documents (path);
"""
ADDED = {
    "kind": "TEXT NOT NULL DEFAULT '.txt'",
    "places": "TEXT NOT NULL DEFAULT '[]'",
    "sketch": "BLOB NOT NULL DEFAULT x''",
    "characters": "INTEGER NOT NULL DEFAULT 0",
}
COLUMNS = "id, path, source, title, language, characters, chunks, added, kind"
TEXT = "CAST(text AS TEXT)"  # UTF-8, written PIECE characters at a time: SQLite would copy a long text twice
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A document in the catalogue, without its text; `path` is absolute (see `load.Source`), `source` is as it was named."""

    id: str
    path: str
    source: str
    title: str
    language: str
    characters: int
    chunks: int
    added: str
    kind: str


class Catalogue(Database):
    """The documents of one index; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SCHEMA)
        with self._write() as database:
            there = {row[1] for row in database.execute("PRAGMA table_info(documents)")}
            for name, kind in ADDED.items():  # columns that an index of an earlier version lacks
                if name not in there:
                    database.execute(f"ALTER TABLE documents ADD COLUMN {name} {kind}")
            if "characters" not in there:
                database.execute(f"UPDATE documents SET characters = length({TEXT})")

    def settings(self) -> dict[str, str]:
        """What the index records about itself."""
        with self._lock:
            return dict(self._database.execute("SELECT key, value FROM settings"))

    def record(self, **settings: str) -> None:
        """Record settings, replacing those of the same name."""
        with self._write() as database:
            database.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", settings.items())

    def entries(self) -> list[Entry]:
        """Every document, by source."""
        with self._lock:
            return [Entry(*row) for row in self._database.execute(f"SELECT {COLUMNS} FROM documents ORDER BY source")]

    def entry(self, identity: str) -> Entry | None:
        """One document's entry, or None."""
        with self._lock:
            row = self._database.execute(f"SELECT {COLUMNS} FROM documents WHERE id = ?", (identity,)).fetchone()
        return Entry(*row) if row else None

    def ids(self) -> set[str]:
        """The ids of every document."""
        with self._lock:
            return {row[0] for row in self._database.execute("SELECT id FROM documents")}

    def has(self, identity: str) -> bool:
        """Whether the document is in the catalogue."""
        with self._lock:
            return self._database.execute("SELECT 1 FROM documents WHERE id = ?", (identity,)).fetchone() is not None

    def get(self, identity: str) -> Document | None:
        """The document with its whole text and its places, or None."""
        query = f"SELECT {TEXT}, source, title, language, kind, places FROM documents WHERE id = ?"
        with self._lock:
            row = self._database.execute(query, (identity,)).fetchone()
        if row is None:
            return None
        meta = dict(zip(("source", "title", "language", "kind"), row[1:], strict=False))
        return Document(
            id=identity, page_content=row[0], metadata={**meta, "places": [tuple(p) for p in json.loads(row[5])]}
        )

    def holding(self, words: str) -> tuple[str, int] | None:
        """The id of a document whose text holds exactly these words, and where they begin; None where none does."""
        query = "SELECT id, instr(text, ?) FROM documents WHERE instr(text, ?) > 0 ORDER BY added DESC LIMIT 1"
        with self._lock:
            row = self._database.execute(query, (words, words)).fetchone()
        return (row[0], row[1] - 1) if row else None

    def sketches(self) -> dict[str, bytes]:
        """Each document's sketch (see `similar`)."""
        with self._lock:
            return dict(self._database.execute("SELECT id, sketch FROM documents"))

    def put(
        self, document: Document, place: str, chunks: int, sketch: bytes = b"", replaces: str | None = None
    ) -> Entry:
        """Add a document, in one step with the removal of the one that it replaces."""
        meta, added = document.metadata, datetime.now(UTC).isoformat(timespec="seconds")
        row = (str(document.id), place, meta["source"], meta["title"], meta["language"])
        kind, places = meta.get("kind", ".txt"), json.dumps(meta.get("places", []), ensure_ascii=False)
        text = document.page_content
        size = sum(len(piece) for piece in _pieces(text))
        with self._write() as database:
            number = database.execute(
                f"INSERT OR REPLACE INTO documents ({COLUMNS}, places, sketch, text) VALUES ({'?, ' * 11}zeroblob(?))",
                (*row, len(text), chunks, added, kind, places, sketch, size),
            ).lastrowid
            with database.blobopen("documents", "text", number) as blob:  # type: ignore[arg-type]
                for piece in _pieces(text):
                    blob.write(piece)
            if replaces is not None:
                database.execute("DELETE FROM documents WHERE id = ?", (replaces,))
        return Entry(*row, len(text), chunks, added, kind)

    def move(self, identity: str, place: str, source: str) -> None:
        """Record that the same bytes are now seen elsewhere."""
        with self._write() as database:
            database.execute("UPDATE documents SET path = ?, source = ? WHERE id = ?", (place, source, identity))

    def count(self, identity: str, chunks: int) -> None:
        """Record how many chunks a document has."""
        with self._write() as database:
            database.execute("UPDATE documents SET chunks = ? WHERE id = ?", (chunks, identity))

    def remove(self, identity: str) -> None:
        """Forget a document."""
        with self._write() as database:
            database.execute("DELETE FROM documents WHERE id = ?", (identity,))


def _pieces(text: str) -> Iterator[bytes]:
    return (text[i : i + PIECE].encode() for i in range(0, len(text), PIECE))
