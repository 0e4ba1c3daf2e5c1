"""Conversations: questions with their answers and what people said of them, kept in one SQLite file beside the index.

Takes questions and Answers' JSON; gives them back by thread, as Markdown, and as a question file that `cite eval` reads.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from index.database import Database
from rag.types import EXCHANGES, Exchange, plain

SCHEMA = """
CREATE TABLE IF NOT EXISTS threads (id TEXT PRIMARY KEY, title TEXT NOT NULL, updated TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS turns (
    thread TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE, number INTEGER NOT NULL, answer TEXT NOT NULL,
    verdict TEXT NOT NULL DEFAULT '', comment TEXT NOT NULL DEFAULT '', PRIMARY KEY (thread, number)
);
"""
TITLE_LENGTH, ID_LENGTH, COMMENT_LENGTH = 80, 64, 2000  # characters
RIGHT, PASSAGE, WRONG = "right", "right passage, wrong answer", "wrong"
VERDICTS = (RIGHT, PASSAGE, WRONG)


class ThreadError(ValueError):
    """What was asked of a thread cannot be done; the message says why."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer's JSON, numbered from 1, and what was said of it."""

    number: int
    answer: dict[str, Any]
    verdict: str
    comment: str


class Threads(Database):
    """The conversations of one index; safe to share between threads of the program."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.with_name(f"{folder.name}.threads.sqlite3"), SCHEMA)

    @staticmethod
    def new() -> str:
        """An id for a thread that has no turn yet."""
        return secrets.token_urlsafe(9)

    def listed(self) -> list[dict[str, Any]]:
        """Each thread's id, title, time of its last turn (UTC) and number of turns, newest first."""
        query = "SELECT id, title, updated, (SELECT count(*) FROM turns WHERE thread = id) FROM threads ORDER BY updated DESC, rowid DESC"
        with self._lock:
            return [
                dict(zip(("id", "title", "updated", "turns"), row, strict=True))
                for row in self._database.execute(query)
            ]

    def turns(self, thread: str) -> list[Turn]:
        """The turns of a thread in order; none where it is not known."""
        query = "SELECT number, answer, verdict, comment FROM turns WHERE thread = ? ORDER BY number"
        with self._lock:
            return [
                Turn(row[0], json.loads(row[1]), row[2], row[3]) for row in self._database.execute(query, (thread,))
            ]

    def history(self, thread: str) -> list[Exchange]:
        """The last exchanges of a thread, oldest first, each question as it was read; none where the thread is not known."""
        query = (
            "SELECT coalesce(answer ->> '$.asked', answer ->> '$.question'), answer ->> '$.text' FROM turns "
            "WHERE thread = ? ORDER BY number DESC LIMIT ?"
        )
        with self._lock:
            return [Exchange(*row) for row in self._database.execute(query, (thread, EXCHANGES))][::-1]

    def add(self, thread: str, answer: dict[str, Any]) -> int:
        """Append a turn, making the thread if need be; returns its number. Raises ThreadError for an id that is no id."""
        if not thread.isprintable() or not 0 < len(thread) <= ID_LENGTH:
            raise ThreadError(f"A thread's id has 1 to {ID_LENGTH} printable characters")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._write() as database:
            title = answer["question"][:TITLE_LENGTH]
            database.execute(
                "INSERT INTO threads VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET updated = excluded.updated",
                (thread, title, now),
            )
            (last,) = database.execute(
                "SELECT coalesce(max(number), 0) FROM turns WHERE thread = ?", (thread,)
            ).fetchone()
            row = thread, last + 1, json.dumps(answer, ensure_ascii=False)
            database.execute("INSERT INTO turns (thread, number, answer) VALUES (?, ?, ?)", row)
        return int(last) + 1

    def rename(self, thread: str, title: str) -> None:
        """Give a thread another title; raises ThreadError where it is not known or the title is empty."""
        kept = " ".join(title.split())[:TITLE_LENGTH]
        if not kept:
            raise ThreadError("A conversation's title has at least one character")
        self._change("UPDATE threads SET title = ? WHERE id = ?", (kept, thread))

    def remove(self, thread: str) -> None:
        """Delete a thread and its turns; raises ThreadError where it is not known."""
        self._change("DELETE FROM threads WHERE id = ?", (thread,))

    def judge(self, thread: str, number: int, verdict: str, comment: str = "") -> None:
        """Keep what a person says of an answer; raises ThreadError for an unknown turn or verdict."""
        if verdict not in VERDICTS:
            raise ThreadError(f"{verdict!r} is not one of {', '.join(VERDICTS)}")
        change = "UPDATE turns SET verdict = ?, comment = ? WHERE thread = ? AND number = ?"
        self._change(change, (verdict, comment[:COMMENT_LENGTH], thread, number))

    def _change(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._write() as database:
            if database.execute(statement, values).rowcount == 0:
                raise ThreadError("There is no such conversation or answer: it was deleted")

    def markdown(self, thread: str) -> str:
        """The conversation for people: each question, its answer and where the quotations stand."""
        return (
            "\n\n".join(f"## {turn.answer['question']}\n\n{plain(turn.answer)}" for turn in self.turns(thread)) + "\n"
        )

    def judged(self) -> Iterator[dict[str, Any]]:
        """The answers that people found right, or right in their passage, as lines of a question file."""
        for row in self.listed():
            for turn in self.turns(row["id"]):
                answer, cited = turn.answer, turn.answer["citations"]
                if turn.verdict not in (RIGHT, PASSAGE) or (turn.verdict == PASSAGE and not cited):
                    continue
                yield {
                    "id": f"{row['id']}-{turn.number}", "language": answer["language"], "question": answer.get("asked", answer["question"]),
                    "answerable": answer["answered"], "quotes": [c["quote"] for c in cited],
                    "answers": [c["answer"] for c in cited] if turn.verdict == RIGHT else [], "comment": turn.comment,
                }  # fmt: skip
