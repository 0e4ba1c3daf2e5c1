"""The passages that our own retrieval would put beside the right one, for each training question.

Takes the training sources and the product's encoder; gives, for each row, the contexts of all files and languages whose centred
vectors lie nearest its question and that do not hold its answer: what the reader will have to tell from the right passage.
"""

from pathlib import Path

import numpy as np

from index.embed import SentenceEncoder
from training.data import Source

NEAREST = 24  # contexts looked at for each question
KEPT = 8  # of those without the answer
CHARACTERS = 480  # of a context that are embedded: about what the index's chunks hold
PER_FILE = 8000  # rows that get mined negatives, at most


def mine(found: dict[str, Source], cache: Path) -> dict[str, dict[str, list[str]]]:
    """File → question → contexts, hardest first. The nearest are kept in `cache` (npz) once found (about 12 minutes)."""
    contexts = [(name, c) for name, source in found.items() for kept in source.contexts.values() for c in kept]
    rows = {name: source.rows[:: max(1, len(source.rows) // PER_FILE)] for name, source in found.items()}
    if not cache.exists():
        _write(found, contexts, rows, cache)
    with np.load(cache) as stored:
        nearest = {name: stored[name] for name in rows}
    return {
        name: {
            row.question: [
                contexts[i][1]
                for i in near
                if contexts[i][1] != row.context
                and row.context[row.start : row.end].lower() not in contexts[i][1].lower()
            ][:KEPT]
            for row, near in zip(rows[name], nearest[name], strict=True)
        }
        for name in rows
    }


def _write(found: dict[str, Source], contexts: list[tuple[str, str]], rows: dict[str, list], cache: Path) -> None:  # type: ignore[type-arg]
    encoder = SentenceEncoder()
    vectors = np.empty((len(contexts), 384), "f4")
    for name, source in found.items():
        own = [i for i, (file, _) in enumerate(contexts) if file == name]
        short = 0.4 if source.language in ("ja", "zh") else 1
        texts = [contexts[i][1][: int(CHARACTERS * short)] for i in own]
        vectors[own] = encoder.documents(texts, [source.language] * len(own))
        print(f"embedded {len(own)} contexts of {name}", flush=True)
    nearest = {}
    for name, kept in rows.items():
        asked = encoder.queries([row.question for row in kept], found[name].language)
        blocks = [
            np.argsort(-(asked[at : at + 512] @ vectors.T), axis=1)[:, :NEAREST] for at in range(0, len(asked), 512)
        ]
        nearest[name] = np.concatenate(blocks).astype("i4")
        print(f"negatives of {len(kept)} questions of {name}", flush=True)
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, **nearest)  # type: ignore[arg-type]
    partial.replace(cache)
