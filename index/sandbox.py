"""Parsers kept apart: a child process that reads files for this one, under limits.

Takes bytes and a suffix; gives text and places, or a `LoadError`. The child limits its own memory and writes no file (`parse`); one that is
silent for `PATIENCE` seconds or dies is replaced, and only the file in hand is lost.
"""

import json
import os
import selectors
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Self

PATIENCE = 7.0  # seconds without a sign of life
LONGEST = 300.0  # seconds for one file
LARGEST_REPLY = 2**30  # bytes
START = (  # a bare package in place of `index`, whose own start would import chromadb: seconds
    "import sys, types; sys.modules['index'] = bare = types.ModuleType('index'); bare.__path__ = [sys.argv[1]]; "
    "from index.parse import main; main()"
)

Progress = Callable[[int, int], None]  # pages read, of how many


class SandboxError(ValueError):
    """What went wrong with a file, as the end of a sentence that begins with its name."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the child read."""

    text: str
    places: list[tuple[int, str]]
    title: str


class Sandbox:
    """One child, started at the first file and kept for the next ones; safe to share between threads."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def parse(self, raw: bytes, suffix: str, progress: Progress = lambda done, of: None) -> Reply:
        """The file's text and places; raises SandboxError."""
        found = self._ask(raw, progress, task="text", suffix=suffix)
        return Reply(found["text"], [(int(at), str(place)) for at, place in found["places"]], found["title"])

    def picture(self, raw: bytes, page: int) -> bytes:
        """A PDF's page (from 0) as a PNG; raises SandboxError."""
        return b64decode(self._ask(raw, task="picture", page=page)["picture"])

    def boxes(self, raw: bytes, page: int, start: int, end: int) -> list[list[float]]:
        """Where characters of a PDF's page stand: see `pages.boxes`; raises SandboxError."""
        return list(self._ask(raw, task="boxes", page=page, start=start, end=end)["boxes"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the child."""
        with self._lock:
            self._kill()

    def _ask(self, raw: bytes, progress: Progress = lambda done, of: None, **asked: Any) -> dict[str, Any]:
        with self._lock:
            try:
                reply = self._exchange(json.dumps({**asked, "size": len(raw)}).encode() + b"\n" + raw, progress)
            except BaseException:
                self._kill()
                raise
        if "error" in reply:
            raise SandboxError(reply["error"])
        return reply

    def _exchange(self, message: bytes, progress: Progress) -> dict[str, Any]:
        child = self._running()
        try:
            assert child.stdin is not None
            child.stdin.write(message)
            child.stdin.flush()
        except BrokenPipeError as error:
            raise SandboxError("could not be read: its parser stopped. Try again") from error
        for reply in self._messages(child):
            if "done" not in reply:
                return reply
            progress(reply["done"], reply["of"])
        raise SandboxError("makes its parser crash. It is damaged; save it anew or as text")

    def _messages(self, child: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
        """The child's JSON lines until it dies; raises SandboxError when it is silent or takes too long."""
        assert child.stdout is not None
        rest, started = bytearray(), time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while True:
                left = min(PATIENCE, started + LONGEST - time.monotonic())
                if left <= 0 or not selector.select(left):
                    raise SandboxError("takes too long to read, as if it had no end. Save it anew or as text")
                if not (read := os.read(child.stdout.fileno(), 2**20)):
                    return
                rest += read
                if len(rest) > LARGEST_REPLY:
                    raise SandboxError("holds too much text. Cut it into smaller files")
                while (end := rest.find(b"\n")) >= 0:
                    line, rest = bytes(rest[:end]), rest[end + 1 :]
                    yield json.loads(line)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-c", START, str(Path(__file__).parent)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        return self._child

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None
