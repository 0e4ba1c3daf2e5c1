"""From the network's logits to probabilities and one threshold: `python -m training.calibrate --data FOLDER`.

Takes the contexts and questions that training left out, in six languages; gives `calibration.json` beside the weights. Every
question is put to the product's own retrieval over these contexts and their neighbours at once, as it stands and, for half of those with
a lexicon, code-switched; and again with its own context taken out of the hits, so that it has no answer. The fit uses no
question of the seed article and no evaluation data; CROSSING was chosen with the seed questions in view.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from index import Index, build
from index.weights import bundled_model
from rag import HybridRetriever, Reading, SpanReader
from rag.answer import K
from rag.read import NO_SPAN, WEIGHTS, Calibration, TorchEngine, sigmoid
from training import data, lexicon

SIBLINGS = 4  # other paragraphs of the same article that stand beside each left-out one: near misses
FALSE_REFUSALS = (
    0.02  # share of answerable questions that the threshold may refuse, questions and passages in one language
)
CROSSING = 0.37  # of that threshold is kept: relevance is lower across languages, see the model card
RAW = Calibration(
    1.0, 0.0, 0.0, 0.0, 0.0, threshold=0.5, confidence_scale=1.0, confidence_bias=0.0
)  # the relevance logit alone


@dataclass(frozen=True, slots=True)
class Case:
    """The readings of one question; `gold` says which passages hold the answer, `right` which best spans are it."""

    features: np.ndarray  # (passages, 4): relevance, margin, cosine, behind
    gold: np.ndarray
    right: np.ndarray


def cases(folder: Path, contexts: int, questions: int, seed: int = 1) -> Iterator[tuple[Case, Case]]:
    """For each question, its readings with the answer among the passages, and without."""
    rng = random.Random(seed)
    words = lexicon.mine(bundled_model(), Path("checkpoints/lexicon.json"))
    reader = SpanReader(TorchEngine(), RAW)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        texts = Path(place) / "texts"
        texts.mkdir()
        trained = data.sources(folder)
        for name, source in data.sources(folder, held_out=True).items():
            pool = sorted({row.context for row in source.rows})
            kept = rng.sample(pool, min(contexts, len(pool)))
            titles = sorted({row.title for row in source.rows if row.context in set(kept)})
            beside = [c for title in titles for c in trained[name].contexts.get(title, [])[:SIBLINGS]]
            for number, context in enumerate(dict.fromkeys([*kept, *beside])):
                (texts / f"{name}.{number}.txt").write_text(context, encoding="utf-8", newline="")
            own = [row for row in source.rows if row.context in set(kept) and row.start >= 0]
            rows += [(row, words.get(source.language)) for row in rng.sample(own, min(questions, len(own)))]
        with Index(Path(place) / "index", create=True) as index:
            build(index, [texts])
            retriever = HybridRetriever(index)
            for row, known in rows:
                question = data.switch(row.question, known, rng) if known and rng.random() < 0.5 else row.question
                yield _pair(row, reader.read(question, retriever.hits(question, K + 4)), index)


def _pair(row: data.Row, readings: list[Reading], index: Index) -> tuple[Case, Case]:
    own = [index.catalogue.get(r.hit.chunk.metadata["document"]).page_content == row.context for r in readings]  # type: ignore[union-attr]
    others = [reading for reading, is_own in zip(readings, own, strict=True) if not is_own]
    return _case(row, readings[:K], own[:K]), _case(row, others[:K], [False] * len(others[:K]))


def _case(row: data.Row, readings: list[Reading], own: list[bool]) -> Case:
    features, gold, right = [], [], []
    nearest = max((reading.hit.dense_score for reading in readings), default=0.0)
    for reading, is_own in zip(readings, own, strict=True):
        start, end = reading.hit.start, reading.hit.chunk.metadata["end"]
        probability = min(max(reading.relevance, 1e-9), 1 - 1e-9)
        span = reading.spans[0] if reading.spans else None
        logit, cosine = np.log(probability / (1 - probability)), reading.hit.dense_score
        features.append((logit, span.score if span else NO_SPAN, cosine, nearest - cosine))
        gold.append(is_own and start < row.end and row.start < end)
        shared = max(0, min(span.end, row.end) - max(span.start, row.start)) if span else 0
        longer = max(span.end - span.start, row.end - row.start) if span else 1
        right.append(bool(is_own and shared / longer >= 0.5))
    return Case(np.array(features).reshape(-1, 4), np.array(gold, bool), np.array(right, bool))


def fit(pairs: list[tuple[Case, Case]]) -> tuple[Calibration, dict[str, float]]:
    """The calibration, and figures on the half of the questions that it was not fitted on."""
    fitted, kept = pairs[::2], pairs[1::2]
    everything = [case for pair in fitted for case in pair]
    passages = LogisticRegression(C=1e3).fit(
        np.concatenate([case.features for case in everything]), np.concatenate([case.gold for case in everything])
    )
    weights, bias = passages.coef_[0], passages.intercept_[0]

    def top(case: Case) -> tuple[float, bool]:
        scores = case.features @ weights + bias
        best = int(scores.argmax())
        return float(scores[best]), bool(case.right[best])

    answerable = [top(present) for present, _ in fitted if present.gold.any()]
    floor = CROSSING * sigmoid(float(np.quantile([score for score, _ in answerable], FALSE_REFUSALS)))
    threshold = float(np.log(floor / (1 - floor)))
    tops = [top(case) for case in everything]
    confidence = LogisticRegression(C=1e3).fit([[score] for score, _ in tops], [is_right for _, is_right in tops])
    relevance, margin, cosine, behind = map(float, weights)
    made = Calibration(
        relevance=relevance,
        margin=margin,
        cosine=cosine,
        behind=behind,
        bias=float(bias),
        threshold=floor,
        confidence_scale=float(confidence.coef_[0][0]),
        confidence_bias=float(confidence.intercept_[0]),
    )
    present = [top(case) for case, _ in kept if case.gold.any()]
    absent = [top(case) for _, case in kept]
    answered = [(made.confidence(score), is_right) for score, is_right in [*present, *absent] if score >= threshold]
    figures = {
        "questions": len(kept),
        "gold among the passages": len(present) / len(kept),
        "best span right": float(np.mean([is_right for _, is_right in present])),
        "refused without the answer": float(np.mean([score < threshold for score, _ in absent])),
        "refused with the answer": float(np.mean([score < threshold for score, _ in present])),
        "expected calibration error": expected_error(answered),
    }
    return made, {name: round(value, 4) for name, value in figures.items()}


def expected_error(pairs: list[tuple[float, bool]], bins: int = 10) -> float:
    """Expected calibration error over equal-width bins (Guo et al., ICML 2017)."""
    confidence, right = np.array([p for p, _ in pairs]), np.array([r for _, r in pairs], float)
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in set(which)]
    return float(sum(gaps))


def main() -> None:
    """Read, fit, write `calibration.json`, print the figures."""
    parser = argparse.ArgumentParser(prog="python -m training.calibrate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "calibration.json")
    parser.add_argument("--contexts", type=int, default=12, help="left-out contexts of each data file (default: 12)")
    parser.add_argument("--questions", type=int, default=30, help="questions about them (default: 30)")
    options = parser.parse_args()
    made, figures = fit(list(cases(options.data, options.contexts, options.questions)))
    options.out.write_text(json.dumps({"reader": asdict(made), "figures": figures}, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
