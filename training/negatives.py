"""The passages that our own retrieval would put beside the right one, for each training question.

Takes the training sources, our questions about them and the product's encoder; gives, for each row, the contexts of all files and
languages whose centred vectors lie nearest its question and that do not hold its answer: what the reader will have to tell from the
right passage.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from index.embed import SentenceEncoder
from index.language import detect
from training.data import Row, Source

NEAREST = 24  # contexts looked at for each question
KEPT = 8  # of those without the answer
CHARACTERS = 480  # of a context that are embedded: about what the index's chunks hold
PER_FILE = 8000  # rows that get mined negatives, at most


def mine(found: dict[str, Source], cache: Path, asked: dict[str, Source] | None = None) -> dict[str, dict[str, list[str]]]:
    """File → question → contexts of `found`, hardest first, for its own questions or for those of `asked`.

    The nearest are kept in `cache` (npz) once found, and the contexts' vectors beside it (minutes each).
    """
    contexts = [(name, c) for name, source in found.items() for kept in source.contexts.values() for c in kept]
    questions = asked or found
    rows = {name: questions[name].rows[:: max(1, len(questions[name].rows) // PER_FILE)] for name in questions}
    if not cache.exists():
        _write(found, contexts, rows, cache, other_languages=asked is not None)
    with np.load(cache) as stored:
        nearest = {name: stored[name] for name in rows}
    own: dict[tuple[str, str], set[str]] = defaultdict(set)  # of whatever else the same question is asked
    for name, kept in rows.items():
        for row in kept:
            own[name, row.question].add(row.context)
    return {
        name: {
            row.question: [
                contexts[i][1]
                for i in near
                if contexts[i][1] not in own[name, row.question]
                and (row.start < 0 or row.context[row.start : row.end].lower() not in contexts[i][1].lower())
            ][:KEPT]
            for row, near in zip(rows[name], nearest[name], strict=True)
        }
        for name in rows
    }


def _write(
    found: dict[str, Source], contexts: list[tuple[str, str]], rows: dict[str, list[Row]], cache: Path, other_languages: bool
) -> None:
    encoder = SentenceEncoder()
    vectors = _vectors(encoder, found, contexts, cache.with_name("contexts.npz"))
    nearest = {}
    for name, kept in rows.items():
        languages = [detect(row.question) if other_languages else found[name].language for row in kept]
        near = np.empty((len(kept), min(NEAREST, len(contexts))), "i4")
        for language in sorted(set(languages)):
            at = np.array([i for i, spoken in enumerate(languages) if spoken == language])
            for block in np.array_split(at, len(at) // 512 + 1):
                asked = encoder.queries([kept[i].question for i in block], language)
                near[block] = np.argsort(-(asked @ vectors.T), axis=1)[:, :NEAREST]
        nearest[name] = near
        print(f"negatives of {len(kept)} questions of {name}", flush=True)
    keep(cache, nearest)


def _vectors(encoder: SentenceEncoder, found: dict[str, Source], contexts: list[tuple[str, str]], cache: Path) -> np.ndarray:
    """Those of the contexts, (contexts, 384)."""
    if not cache.exists():
        vectors = np.empty((len(contexts), 384), "f4")
        for name, source in found.items():
            own = [i for i, (file, _) in enumerate(contexts) if file == name]
            short = 0.4 if source.language in ("ja", "zh") else 1
            texts = [contexts[i][1][: int(CHARACTERS * short)] for i in own]
            vectors[own] = encoder.documents(texts, [source.language] * len(own))
            print(f"embedded {len(own)} contexts of {name}", flush=True)
        keep(cache, {"vectors": vectors})
    with np.load(cache) as stored:
        return stored["vectors"]


def keep(cache: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz whole, or leave what was there."""
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(cache)
