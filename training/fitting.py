"""Readings of left-out questions to a calibration: the weights of what is known of a passage, the threshold, the confidence.

Takes `Case`s, which `calibrate` reads; gives a `Calibration`, and how it does on questions that it was not fitted on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from rag.calibration import Calibration, Known, Weights, lead, sigmoid

FALSE_REFUSALS = 0.10  # share of answerable questions that the threshold may refuse, half of them asked across languages
FOLDS = 5  # of the questions: each is measured with what was fitted on the others
FEATURES = [field.name for field in fields(Weights)][:-1]  # what is weighed; the last field is the bias
PLAIN = Weights(1.0, 0.0, 0.0, 0.0, 0.0)  # the margin alone
UNFITTED = Calibration(PLAIN, PLAIN, threshold=0.5, confidence_scale=1.0, confidence_bias=0.0, confidence_ceiling=1.0)


@dataclass(frozen=True, slots=True)
class Case:
    """The readings of one question; `gold` says which passages hold the answer, `right` which best spans are it."""

    known: Sequence[Known]
    sentences: np.ndarray  # (passages, dimension): unit vectors of what the best spans stand in
    gold: np.ndarray  # (passages,)
    right: np.ndarray
    crossed: bool  # whether the question was asked in another language than its answer's


class Top(NamedTuple):
    """What is made of a question's best passage: its log-odds, the lead of its answer, and whether its best span is right."""

    score: float
    lead: float
    right: bool


def top(made: Calibration, case: Case) -> Top:
    """Of the passage whose odds are best."""
    scores = np.array([made.logit(known) for known in case.known])
    order = np.argsort(-scores, kind="stable")
    return Top(float(scores[order[0]]), lead(scores[order], case.sentences[order]), bool(case.right[order[0]]))


def fit(pairs: list[tuple[Case, Case]]) -> Calibration:
    """The calibration. Questions in the passage's own language and in another weigh the same."""
    everything = [case for pair in pairs for case in pair]
    share = float(np.mean([case.crossed for case in everything]))
    weight = {True: 0.5 / share, False: 0.5 / (1 - share)}
    same, across = answering(everything, np.array([weight[case.crossed] for case in everything]))
    made = replace(UNFITTED, same=same, across=across)
    answerable = [(top(made, present).score, weight[present.crossed]) for present, _ in pairs if present.gold.any()]
    _, leads, right = (np.array(column) for column in zip(*(top(made, case) for case in everything), strict=True))
    scale, bias, ceiling = confidence(leads, right, np.array([weight[case.crossed] for case in everything]))
    threshold = sigmoid(quantile(answerable, FALSE_REFUSALS))
    return replace(made, threshold=threshold, confidence_scale=scale, confidence_bias=bias, confidence_ceiling=ceiling)


def answering(cases: Sequence[Case], weights: np.ndarray) -> tuple[Weights, Weights]:
    """The likeliest weights of what is known, in the question's language and across, of questions that weigh `weights`.

    A question is answered by one of its passages, by their odds, or by none, with odds 1. So they are used: what counts is the best
    passage, not each. It refuses more across languages than a logistic regression of each passage's own label (`training/README.md`).
    """
    longest, size = max(len(case.gold) for case in cases), len(FEATURES)
    features = np.zeros((len(cases), longest, size + 1))
    sides = np.zeros((2, len(cases), longest))
    there, right = (np.full((len(cases), longest + 1), -np.inf) for _ in range(2))
    there[:, longest] = 0.0
    for i, case in enumerate(cases):
        count = len(case.known)
        features[i, :count] = [[*(getattr(known, name) for name in FEATURES), 1.0] for known in case.known]
        sides[:, i, :count] = [[not known.crossing for known in case.known], [known.crossing for known in case.known]]
        there[i, :count] = 0.0
        right[i, :count][case.gold] = 0.0
        right[i, longest] = -np.inf if case.gold.any() else 0.0
    shown = features[there[:, :longest] == 0][:, :size]
    middle, spread = shown.mean(axis=0), shown.std(axis=0) + 1e-9
    features[..., :size] = (features[..., :size] - middle) / spread

    def surprise(values: np.ndarray) -> tuple[float, np.ndarray]:
        odds = np.einsum("scp,cpf,sf->cp", sides, features, values.reshape(2, size + 1))
        odds = np.concatenate([odds, np.zeros((len(cases), 1))], axis=1) + there
        every, gold = logsumexp(odds, axis=1, keepdims=True), logsumexp(odds + right, axis=1, keepdims=True)
        off = (np.exp(odds - every) - np.exp(odds + right - gold))[:, :longest] * weights[:, None]
        return float(weights @ (every - gold)[:, 0]), np.einsum("cp,scp,cpf->sf", off, sides, features).ravel()

    found = minimize(surprise, np.zeros(2 * (size + 1)), jac=True, method="L-BFGS-B").x.reshape(2, size + 1)
    found[:, :size] /= spread
    found[:, size] -= found[:, :size] @ middle
    same, across = (Weights(*row.tolist()) for row in found)
    return same, across


def confidence(leads: np.ndarray, right: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Scale, bias and ceiling of the likeliest `ceiling * sigmoid(scale * lead + bias)`: the surest answer may be wrong too."""

    def surprise(values: np.ndarray) -> float:
        said = np.clip(expit(values[2]) * expit(values[0] * leads + values[1]), 1e-6, 1 - 1e-6)
        return float(-(weights * np.where(right, np.log(said), np.log(1 - said))).sum())

    scale, bias, ceiling = minimize(surprise, [1.0, 0.0, 2.0], method="Nelder-Mead").x
    return float(scale), float(bias), float(expit(ceiling))


class Scored(NamedTuple):
    """What a calibration says of a question's best passage: how far it is over the threshold, its confidence, and whether it was right."""

    over: float
    confidence: float
    right: bool


def _scored(made: Calibration, case: Case) -> Scored:
    best = top(made, case)
    return Scored(best.score - float(np.log(made.threshold / (1 - made.threshold))), made.confidence(best.lead), best.right)


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
        shown, missed = (np.array([scored.over for scored in kind[is_crossed]]) for kind in (present, absent))
        found |= {
            f"{name}: questions": len(missed),
            f"{name}: gold among the passages": len(shown) / len(missed),
            f"{name}: best span right": float(np.mean([scored.right for scored in present[is_crossed]])),
            f"{name}: refused without the answer": float((missed < 0).mean()),
            f"{name}: refused with the answer": float((shown < 0).mean()),
            f"{name}: AUROC": float((shown[:, None] > missed[None, :]).mean()),
        }
    answered = [scored for kind in (present, absent) for listed in kind.values() for scored in listed if scored.over >= 0]
    found["expected calibration error"] = expected_error([(scored.confidence, scored.right) for scored in answered])
    return {name: round(value, 4) for name, value in found.items()}


def quantile(weighted: list[tuple[float, float]], share: float) -> float:
    """The value below which `share` of the weight lies."""
    ordered = sorted(weighted)
    sums = np.cumsum([weight for _, weight in ordered])
    return ordered[int(np.searchsorted(sums, share * sums[-1]))][0]


class Group(NamedTuple):
    """Answers of about one confidence: its mean, the share of right ones, their number."""

    said: float
    right: float
    number: int


def expected_error(pairs: list[tuple[float, bool]], bins: int = 10) -> float:
    """Expected calibration error over equal-width bins (Guo et al., ICML 2017)."""
    return sum(abs(said - right) * number for said, right, number in groups(pairs, bins)) / max(1, len(pairs))


def groups(pairs: list[tuple[float, bool]], bins: int) -> list[Group]:
    """Answers by equal-width bins of their confidence, without the empty ones."""
    found = np.array(pairs, float)
    which = np.minimum((found[:, 0] * bins).astype(int), bins - 1) if pairs else []
    made = (found[which == b] for b in np.unique(which))
    return [Group(float(some[:, 0].mean()), float(some[:, 1].mean()), len(some)) for some in made]
