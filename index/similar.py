"""Near-duplicates: how much two texts share, from sketches of 256 bytes.

Takes texts; gives MinHash sketches (Broder, SEQUENCES 1997) of their runs of words, and compares them.
"""

import re
import zlib

import numpy as np

from index.lexical import NO_SPACES

RUN = 4  # words, or characters in scripts without spaces
HASHES = 64
LOOKED_AT = 200_000  # characters of a text
ALIKE = 0.8  # share of the runs of either text
UNIT = re.compile(NO_SPACES.pattern.rstrip("+") + r"|\w+")
PRIME = (1 << 31) - 1
_random = np.random.default_rng(1)
FACTORS, SHIFTS = _random.integers(1, PRIME, (2, HASHES, 1), dtype=np.uint64)


def sketch(text: str) -> bytes:
    """HASHES minima, little-endian 32 bits each; empty for a text of fewer than RUN words."""
    codes = np.array([zlib.crc32(unit.encode()) for unit in UNIT.findall(text[:LOOKED_AT].lower())], dtype=np.uint64)
    if len(codes) < RUN:
        return b""
    runs = np.zeros(len(codes) - RUN + 1, np.uint64)
    for i in range(RUN):
        runs = (runs * np.uint64(1_000_003) + codes[i : len(codes) - RUN + 1 + i]) % np.uint64(PRIME)
    runs = np.unique(runs)
    minima = np.full((HASHES, 1), PRIME, np.uint64)
    for at in range(0, len(runs), 4096):
        hashed = (runs[None, at : at + 4096] * FACTORS + SHIFTS) % np.uint64(PRIME)
        minima = np.minimum(minima, hashed.min(axis=1, keepdims=True))
    return minima.astype("<u4").tobytes()


class Sketches:
    """The sketches of an index's documents, compared all at once."""

    def __init__(self, known: dict[str, bytes]) -> None:
        self._ids: list[str] = []
        self._table = np.zeros((max(64, len(known)), HASHES), "<u4")  # row i is the sketch of `_ids[i]`
        for name, value in known.items():
            self.add(name, value)

    def add(self, name: str, sketch: bytes) -> None:
        """Keep a document's sketch; an empty one is like no other."""
        if not sketch:
            return
        if len(self._ids) == len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        self._table[len(self._ids)] = np.frombuffer(sketch, "<u4")
        self._ids.append(name)

    def forget(self, name: str) -> None:
        """Drop a document's sketch, if there is one."""
        if name in self._ids:
            at = self._ids.index(name)
            self._ids[at], self._table[at] = self._ids[-1], self._table[len(self._ids) - 1]
            self._ids.pop()

    def nearest(self, sketch: bytes, but: str = "") -> tuple[str, float] | None:
        """The id of the most similar document but one, and the share of runs in common (± 0.06), where that is at least ALIKE."""
        if not sketch or not self._ids:
            return None
        shares = (self._table[: len(self._ids)] == np.frombuffer(sketch, "<u4")).mean(axis=1)
        if but in self._ids:
            shares[self._ids.index(but)] = 0
        best = int(shares.argmax())
        return (self._ids[best], float(shares[best])) if shares[best] >= ALIKE else None
