"""From the network's logits to probabilities and one threshold: `python -m training.calibrate --data FOLDER`.

Takes the contexts that training left out, in six languages, with their own questions and with ours about them in other languages
(`crossed.tsv`: 508 questions in 20 languages, written for this), and 26 invented passages, news most of them, with 198 questions in
the same and in other languages (`left_out.tsv`); gives `calibration.json` beside the weights. Every question is put
to the product's own retrieval over all these contexts and their neighbours at once, and again with its own context taken out of the
hits, so that it has no answer. Nothing is fitted or chosen on the seed article's questions or on evaluation data.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from index import Index, build
from index.language import detect
from rag import HybridRetriever, Reading, SpanReader
from rag.answer import K
from rag.read import WEIGHTS, Calibration, sigmoid
from rag.retrieve import worth_reading
from rag.spans import NO_SPAN
from training import data
from training.ours import LEFT_OUT, by_row, written

SIBLINGS = 4  # other paragraphs of the same article that stand beside each left-out one: near misses
FALSE_REFUSALS = 0.10  # share of answerable questions that the threshold may refuse, half of them asked across languages
CROSSED = Path(__file__).parent / "crossed.tsv"  # row id, language, question
FOLDS = 5  # of the questions: each is measured with what was fitted on the others
FEATURES = ("relevance", "margin", "cosine", "behind", "crossing")
RAW = Calibration(  # the relevance logit alone
    1.0, 0.0, 0.0, 0.0, 0.0, 0.0, threshold=0.5, confidence_scale=1.0, confidence_bias=0.0, confidence_ceiling=1.0
)


@dataclass(frozen=True, slots=True)
class Case:
    """The readings of one question; `gold` says which passages hold the answer, `right` which best spans are it."""

    features: np.ndarray  # (passages, FEATURES)
    gold: np.ndarray
    right: np.ndarray
    crossed: bool  # whether the question was asked in another language than its answer's


def cases(folder: Path, contexts: int, questions: int, seed: int = 1) -> Iterator[tuple[Case, Case]]:
    """For each question, its readings with the answer among the passages, and without."""
    rng, ours = random.Random(seed), by_row(CROSSED)
    reader = SpanReader(calibration=RAW)
    asked: list[tuple[data.Row, str, bool]] = []
    with tempfile.TemporaryDirectory() as place:
        texts = Path(place) / "texts"
        texts.mkdir()
        trained = data.sources(folder)
        for name, source in data.sources(folder, held_out=True).items():
            pool = sorted({row.context for row in source.rows})
            kept = set(rng.sample(pool, min(contexts, len(pool)))) | {r.context for r in source.rows if r.id in ours}
            titles = sorted({row.title for row in source.rows if row.context in kept})
            beside = [c for title in titles for c in trained[name].contexts.get(title, [])[:SIBLINGS]]
            _put(texts, name, dict.fromkeys([*sorted(kept), *beside]))
            own = [row for row in source.rows if row.context in kept and row.start >= 0]
            asked += [(row, row.question, False) for row in rng.sample(own, min(questions, len(own)))]
            asked += [(row, question, True) for row in source.rows for question in ours.get(row.id, [])]
        for name, source in written(LEFT_OUT).items():
            _put(texts, name, source.contexts[source.language])
            asked += [(row, row.question, detect(row.question) != source.language) for row in source.rows]
        with Index(Path(place) / "index", create=True) as index:
            build(index, [texts])
            retriever = HybridRetriever(index)
            for row, question, switched in asked:
                yield _pair(row, question, switched, reader.read(question, retriever.hits(question, K + 4)), index)


def _put(folder: Path, name: str, contexts: Iterable[str]) -> None:
    for number, context in enumerate(contexts):
        (folder / f"{name}.{number}.txt").write_text(context, encoding="utf-8", newline="")


def _pair(row: data.Row, question: str, switched: bool, readings: list[Reading], index: Index) -> tuple[Case, Case]:
    own = [index.catalogue.get(r.hit.chunk.metadata["document"]).page_content == row.context for r in readings]  # type: ignore[union-attr]
    others = [reading for reading, is_own in zip(readings, own, strict=True) if not is_own]
    language = detect(question)
    return (
        _case(row, readings[:K], own[:K], language, switched),
        _case(row, others[:K], [False] * len(others[:K]), language, switched),
    )


def _case(row: data.Row, readings: list[Reading], own: list[bool], language: str, switched: bool) -> Case:
    features, gold, right = [], [], []
    read = {id(hit) for hit in worth_reading([reading.hit for reading in readings])}
    nearest = max((reading.hit.dense_score for reading in readings), default=0.0)
    for reading, is_own in zip(readings, own, strict=True):
        if id(reading.hit) not in read:
            continue
        start, meta = reading.hit.start, reading.hit.chunk.metadata
        probability = min(max(reading.relevance, 1e-9), 1 - 1e-9)
        span = reading.spans[0] if reading.spans else None
        logit, cosine = np.log(probability / (1 - probability)), reading.hit.dense_score
        margin, crossing = span.score if span else NO_SPAN, meta["language"] != language
        features.append((logit, margin, cosine, nearest - cosine, crossing))
        gold.append(is_own and start < row.end and row.start < meta["end"])
        shared = max(0, min(span.end, row.end) - max(span.start, row.start)) if span else 0
        longer = max(span.end - span.start, row.end - row.start) if span else 1
        right.append(bool(is_own and shared / longer >= 0.5))
    return Case(np.array(features, float).reshape(-1, len(FEATURES)), np.array(gold, bool), np.array(right, bool), switched)


def top(made: Calibration, case: Case) -> tuple[float, bool]:
    """The best passage's log-odds, and whether its best span is right."""
    scores = [made.logit(*features) for features in case.features]
    best = int(np.argmax(scores))
    return scores[best], bool(case.right[best])


def fit(pairs: list[tuple[Case, Case]]) -> Calibration:
    """The calibration. Questions in the passage's own language and in another weigh the same."""
    everything = [case for pair in pairs for case in pair]
    share = float(np.mean([case.crossed for case in everything]))
    weight = {True: 0.5 / share, False: 0.5 / (1 - share)}
    passages = LogisticRegression(C=1e3, max_iter=1000).fit(
        np.concatenate([case.features for case in everything]),
        np.concatenate([case.gold for case in everything]),
        np.concatenate([np.full(len(case.gold), weight[case.crossed]) for case in everything]),
    )
    weights = dict(zip(FEATURES, map(float, passages.coef_[0]), strict=True))
    made = replace(RAW, **weights, bias=float(passages.intercept_[0]))
    answerable = [(top(made, present)[0], weight[present.crossed]) for present, _ in pairs if present.gold.any()]
    tops = [top(made, case) for case in everything]
    scores, right = (np.array(column) for column in zip(*tops, strict=True))
    scale, bias, ceiling = confidence(scores, right, np.array([weight[case.crossed] for case in everything]))
    threshold = sigmoid(quantile(answerable, FALSE_REFUSALS))
    return replace(made, threshold=threshold, confidence_scale=scale, confidence_bias=bias, confidence_ceiling=ceiling)


def confidence(scores: np.ndarray, right: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Scale, bias and ceiling of the likeliest `ceiling * sigmoid(scale * score + bias)`: the surest answer may be wrong too."""

    def surprise(values: np.ndarray) -> float:
        said = np.clip(expit(values[2]) * expit(values[0] * scores + values[1]), 1e-6, 1 - 1e-6)
        return float(-(weights * np.where(right, np.log(said), np.log(1 - said))).sum())

    scale, bias, ceiling = minimize(surprise, [1.0, 0.0, 2.0], method="Nelder-Mead").x
    return float(scale), float(bias), float(expit(ceiling))


class Scored(NamedTuple):
    """What a calibration says of a question's best passage: its lead over the threshold, its confidence, and whether it was right."""

    lead: float
    confidence: float
    right: bool


def _scored(made: Calibration, case: Case) -> Scored:
    score, right = top(made, case)
    return Scored(score - float(np.log(made.threshold / (1 - made.threshold))), made.confidence(score), right)


def figures(pairs: list[tuple[Case, Case]]) -> dict[str, float]:
    """How calibrations do on questions that they were not fitted on, in the passage's language and across: each of FOLDS folds in turn."""
    present, absent = ({False: list[Scored](), True: list[Scored]()} for _ in range(2))
    for fold in range(FOLDS):
        made = fit([pair for i, pair in enumerate(pairs) if i % FOLDS != fold])
        for with_it, without in pairs[fold::FOLDS]:
            absent[without.crossed].append(_scored(made, without))
            if with_it.gold.any():
                present[with_it.crossed].append(_scored(made, with_it))
    found: dict[str, float] = {}
    for name, is_crossed in (("same language", False), ("across languages", True)):
        leads, missed = (np.array([scored.lead for scored in kind[is_crossed]]) for kind in (present, absent))
        found |= {
            f"{name}: questions": len(missed),
            f"{name}: gold among the passages": len(leads) / len(missed),
            f"{name}: best span right": float(np.mean([scored.right for scored in present[is_crossed]])),
            f"{name}: refused without the answer": float((missed < 0).mean()),
            f"{name}: refused with the answer": float((leads < 0).mean()),
            f"{name}: AUROC": float((leads[:, None] > missed[None, :]).mean()),
        }
    answered = [scored for kind in (present, absent) for listed in kind.values() for scored in listed if scored.lead >= 0]
    found["expected calibration error"] = expected_error([(scored.confidence, scored.right) for scored in answered])
    return {name: round(value, 4) for name, value in found.items()}


def quantile(weighted: list[tuple[float, float]], share: float) -> float:
    """The value below which `share` of the weight lies."""
    ordered = sorted(weighted)
    sums = np.cumsum([weight for _, weight in ordered])
    return ordered[int(np.searchsorted(sums, share * sums[-1]))][0]


def expected_error(pairs: list[tuple[float, bool]], bins: int = 10) -> float:
    """Expected calibration error over equal-width bins (Guo et al., ICML 2017)."""
    confidence, right = np.array([p for p, _ in pairs]), np.array([r for _, r in pairs], float)
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in set(which)]
    return float(sum(gaps))


def write(path: Path, **parts: dict[str, float]) -> None:
    """Put these parts into the calibration; its others stay."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(kept | parts, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Read, fit, write `calibration.json`, print the figures."""
    parser = argparse.ArgumentParser(prog="python -m training.calibrate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "calibration.json")
    parser.add_argument("--contexts", type=int, default=12, help="left-out contexts of each data file (default: 12)")
    parser.add_argument("--questions", type=int, default=30, help="questions about them (default: 30)")
    options = parser.parse_args()
    pairs = list(cases(options.data, options.contexts, options.questions))
    found = figures(pairs)
    write(options.out, reader=asdict(fit(pairs)), figures=found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
