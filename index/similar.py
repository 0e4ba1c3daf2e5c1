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


def nearest(mine: bytes, others: dict[str, bytes]) -> tuple[str, float] | None:
    """The id of the most similar other text and the share of runs in common (± 0.06), where that is at least ALIKE."""
    known = {name: value for name, value in others.items() if len(value) == len(mine) > 0}
    if not known:
        return None
    table = np.frombuffer(b"".join(known.values()), "<u4").reshape(len(known), HASHES)
    shares = (table == np.frombuffer(mine, "<u4")).mean(axis=1)
    best = int(shares.argmax())
    return (list(known)[best], float(shares[best])) if shares[best] >= ALIKE else None
