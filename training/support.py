"""From the network's doubts to a probability of support and one threshold: `python -m training.support --data FOLDER`.

Takes claims about contexts that training left out (every other one: the rest is `bench.support`'s), plain and code-switched, and
across languages: the questions of `crossed.tsv` with their answers, and with others; translated texts that training left out;
and sentences of left-out contexts held against the context's translation.
Writes `support` into `calibration.json`.
"""

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from itertools import islice
from pathlib import Path

import numpy as np
from langchain_core.documents import Document
from sklearn.linear_model import LogisticRegression

from index.language import detect
from rag import Hit, SpanReader
from rag.calibration import WEIGHTS
from rag.support import Features, ReaderSupport, SupportCalibration
from training import claims, data, parallel, translate
from training.calibrate import CROSSED, write
from training.ours import by_row

NAMES = tuple(field.name for field in fields(Features))
REAL = (2, 4, 5)  # of the streams below: those that are most like what will be met
RAW = SupportCalibration(0.0, 0.0, 0.0, 0.0, 0.0, bias=0.0, threshold=0.5)


def half(found: dict[str, data.Source], second: bool) -> dict[str, data.Source]:
    """Every other context of each source: the first half is fitted on, the second measured."""
    kept = {}
    for name, source in found.items():
        order = {context: i for i, context in enumerate(sorted({row.context for row in source.rows}))}
        kept[name] = replace(source, rows=[row for row in source.rows if (order[row.context] % 2 == 1) == second])
    return kept


def across(found: dict[str, data.Source], rng: random.Random) -> Iterator[claims.Claim]:
    """A question in another language with its answer, and with an answer to something else about the same context or article."""
    ours = by_row(CROSSED)
    for source in found.values():
        for row in source.rows:
            answer = row.context[row.start : row.end]
            others = [o.context[o.start : o.end] for o in source.rows if o.start >= 0 and o.context == row.context]
            others = [other for other in others if other not in answer and answer not in other] or [
                other.context[other.start : other.end] for other in rng.sample(source.rows, 3) if other.start >= 0
            ]
            for question in ours.get(row.id, []):
                shown = data.window(row, 420 if source.language not in ("ja", "zh") else 170, rng).window
                yield claims.Claim(f"{question} {answer}", shown, True, "asked")
                yield claims.Claim(f"{question} {rng.choice(others)}", shown, False, "answer")


def passage(claim: claims.Claim) -> Hit:
    """The claim's window as a hit."""
    metadata = {"start": 0, "end": len(claim.window), "language": detect(claim.window), "title": "", "document": ""}
    return Hit(Document(page_content=claim.window, metadata=metadata), 1.0, 0.0)


def fit(measured: list[tuple[Features, bool, bool]], real: list[tuple[Features, bool, bool]]) -> SupportCalibration:
    """Logistic weights over (features, true, crossed), both kinds weighing the same; the threshold with the best balanced accuracy.

    How much less is asked across languages is what suits `real` best: whole questions of people about whole paragraphs, and sentences of
    stories and of an encyclopaedia, where code-switched sentences and interface messages are easier than what the check will meet.
    """
    table = np.array([[getattr(features, name) for name in NAMES] for features, *_ in measured], float)
    true, over = np.array([t for _, t, _ in measured]), np.array([c for *_, c in measured])
    weights = np.where(over, 0.5 / over.mean(), 0.5 / (1 - over.mean())) * np.where(true, 0.5 / true.mean(), 0.5 / (1 - true.mean()))
    found = LogisticRegression(C=1e2, max_iter=1000).fit(table, true, weights)
    probability = found.predict_proba(table)[:, 1]

    def balanced(threshold: float) -> float:
        said = probability >= threshold
        return float(np.mean([((said == true) * weights)[true == kind].sum() / weights[true == kind].sum() for kind in (True, False)]))

    threshold = max(np.arange(0.3, 0.8, 0.01), key=balanced)
    made = SupportCalibration(
        **dict(zip(NAMES, map(float, found.coef_[0]), strict=True)), bias=float(found.intercept_[0]), threshold=float(threshold)
    )

    def across_balanced(crossing: float) -> float:
        shifted = replace(made, crossing=crossing)
        said = [(shifted.probability(features) >= made.threshold) == is_true for features, is_true, _ in real]
        return float(np.mean([np.mean([s for s, (_, t, _) in zip(said, real, strict=True) if t == kind]) for kind in (True, False)]))

    steps = np.arange(-2.0, 4.01, 0.1)
    scores = np.array([across_balanced(float(step)) for step in steps])
    print(json.dumps({"across languages, fitted": round(float(scores.max()), 3), "sentences": len(real)}))
    return replace(made, crossing=float(steps[scores >= scores.max() - 0.005].mean()))


def main() -> None:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(prog="python -m training.support", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--lexicon", type=Path, default=Path("checkpoints/lexicon.json"), help="what training mined")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "calibration.json")
    parser.add_argument("--claims", type=int, default=800, help="of each kind (default: 800)")
    parser.add_argument("--parallel", type=Path, help="the texts in many languages, as in training")
    parser.add_argument("--translated", type=Path, help="the left-out contexts in other languages (training.translate --held-out)")
    options = parser.parse_args()
    found = half(data.sources(options.data, held_out=True), second=False)
    lexicon = json.loads(options.lexicon.read_text(encoding="utf-8"))
    known = {name: source for name, source in found.items() if source.language in lexicon}
    support, measured = ReaderSupport(SpanReader(), RAW), list[tuple[Features, bool, bool]]()
    kinds = (parallel.texts, parallel.stories)
    texts, stories = (kind(options.parallel, held_out=True) if options.parallel else [] for kind in kinds)
    told = translate.read(options.translated) if options.translated else {}
    told = {name: {row.context: told[name][row.context] for row in found[name].rows if row.context in told[name]} for name in told}
    rows = [row for source in known.values() for row in source.rows]
    streams = (
        (claims.stream(found, {}, 1), options.claims, False),
        (claims.stream(known, lexicon, 2, switched=1.0), options.claims, True),
        (across(data.sources(options.data, held_out=True), random.Random(3)), options.claims, True),
        (parallel.stream(texts, rows, 4), options.claims * bool(texts), True),
        (parallel.stream(stories, rows, 5), options.claims * bool(stories), True),
        (claims.translated(found, told, {}, 6), options.claims * bool(told), True),
    )
    real: list[tuple[Features, bool, bool]] = []
    for number, (stream, count, over) in enumerate(streams):
        for claim in islice(stream, count):
            ((features, _),) = support.measure(claim.text, [passage(claim)])
            measured.append((replace(features, crossing=int(over)), claim.true, over))
            real += [measured[-1]] if number in REAL else []
    made = fit(measured, real)
    write(options.out, support=asdict(made))
    print(json.dumps(asdict(made), indent=2))


if __name__ == "__main__":
    main()
