"""The passages that our own retrieval would put beside the right one, for each training question.

Takes the training sources, our questions about them and the product's encoder; gives, for each row, the contexts of all files and
languages whose vectors lie nearest its question and that do not hold its answer: what the reader will have to tell from the
right passage.
"""

from collections import defaultdict
from hashlib import blake2b
from pathlib import Path

import numpy as np

from index.embed import ASKED, VERSION, SentenceEncoder
from training.data import Source

NEAREST = 24  # contexts looked at for each question
KEPT = 8  # of those without the answer
CHARACTERS = 480  # of a context that are embedded: about what the index's chunks hold
PER_FILE = 8000  # rows that get mined negatives, at most
BLOCK = 512  # questions compared at once


def mine(found: dict[str, Source], cache: Path, asked: dict[str, Source] | None = None) -> dict[str, dict[str, list[str]]]:
    """File → question → contexts of `found`, hardest first, for its own questions or for those of `asked`.

    The nearest of each question are kept in `cache` (npz), and the contexts' vectors beside it (minutes), each under the version of its
    vectors: only new questions are asked.
    """
    contexts = [(name, c) for name, source in found.items() for kept in source.contexts.values() for c in kept]
    questions = asked or found
    rows = {name: source.rows[:: max(1, len(source.rows) // PER_FILE)] for name, source in questions.items()}
    wanted = {_key(row.question): row.question for kept in rows.values() for row in kept}
    nearest = _nearest(wanted, found, contexts, cache.with_suffix(f".{ASKED}.npz"))
    own: dict[tuple[str, str], set[str]] = defaultdict(set)  # of whatever else the same question is asked
    for name, kept in rows.items():
        for row in kept:
            own[name, row.question].add(row.context)
    return {
        name: {
            row.question: [
                contexts[i][1]
                for i in nearest[_key(row.question)]
                if contexts[i][1] not in own[name, row.question]
                and (row.start < 0 or row.context[row.start : row.end].lower() not in contexts[i][1].lower())
            ][:KEPT]
            for row in kept
        }
        for name, kept in rows.items()
    }


def _key(question: str) -> int:
    """What a question is found by in the cache."""
    return int.from_bytes(blake2b(question.encode(), digest_size=8).digest(), "big")


def _nearest(wanted: dict[int, str], found: dict[str, Source], contexts: list[tuple[str, str]], cache: Path) -> dict[int, np.ndarray]:
    """Key → the NEAREST contexts (their numbers) of each wanted question, from the cache where it has them."""
    known: dict[int, np.ndarray] = {}
    if cache.exists():
        with np.load(cache) as stored:
            known = dict(zip(stored["keys"].tolist(), stored["near"], strict=True))
    missing = [key for key in wanted if key not in known]
    if missing:
        encoder = SentenceEncoder()
        vectors = _vectors(encoder, found, contexts, cache.with_name(f"contexts.{VERSION}.npz"))
        for keys in (missing[i : i + BLOCK] for i in range(0, len(missing), BLOCK)):
            asked = encoder.queries([wanted[key] for key in keys])
            known.update(zip(keys, np.argsort(-(asked @ vectors.T), axis=1)[:, :NEAREST].astype("i4"), strict=True))
        print(f"negatives of {len(missing)} questions", flush=True)
        keep(cache, {"keys": np.array(list(known), "u8"), "near": np.stack(list(known.values()))})
    return known


def _vectors(encoder: SentenceEncoder, found: dict[str, Source], contexts: list[tuple[str, str]], cache: Path) -> np.ndarray:
    """Those of the contexts, (contexts, 384)."""
    if not cache.exists():
        vectors = np.empty((len(contexts), 384), "f4")
        for name, source in found.items():
            own = [i for i, (file, _) in enumerate(contexts) if file == name]
            short = 0.4 if source.language in ("ja", "zh") else 1
            texts = [contexts[i][1][: int(CHARACTERS * short)] for i in own]
            vectors[own] = encoder.documents(texts)
            print(f"embedded {len(own)} contexts of {name}", flush=True)
        keep(cache, {"vectors": vectors})
    with np.load(cache) as stored:
        return stored["vectors"]


def keep(cache: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz whole, or leave what was there."""
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(cache)
