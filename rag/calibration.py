"""From what is known of a passage to the probability that it answers.

Takes a `Known`, which the reader measures; gives log-odds and a confidence, by what `training.calibrate` fitted on left-out questions.
"""

import json
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

import numpy as np

from rag.types import Span

WEIGHTS = Path(__file__).parent / "weights"
CROWD = 8  # passages: more were not found when this was fitted
ALIKE = 0.6  # the cosine from which two sentences say the same: nine in ten translations do, under one in ten of a text's neighbours


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a passage when it has been read."""

    crossing: bool  # it is in another language than the question
    relevance: float  # the network's logit: it learnt by it, but the margin tells as much
    margin: float  # the best span's lead over "no answer"
    sentence: float  # the cosine of the question and the sentence that holds the best span
    match: float  # how well the passage says what the question says, token by token
    crowd: int  # passages about as near the question as the nearest, itself among them, CROWD at most
    spans: tuple[Span, ...]  # best first


@dataclass(frozen=True, slots=True)
class Weights:
    """Of what is `Known`: the log-odds that a passage answers are the weighted sum."""

    margin: float
    sentence: float
    match: float
    crowd: float
    bias: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """From what is known of passages to probabilities, fitted by `training.calibrate` on validation data.

    Passages in the question's own language have weights of their own: the network is surer of them.
    """

    same: Weights
    across: Weights
    threshold: float
    confidence_scale: float
    confidence_bias: float
    confidence_ceiling: float

    @classmethod
    def load(cls, path: Path = WEIGHTS / "calibration.json") -> "Calibration":
        """The calibration that belongs to the weights."""
        parts = fitted("reader", path)
        return cls(**parts | {name: Weights(**parts[name]) for name in ("same", "across")})

    def logit(self, known: Known) -> float:
        """The log-odds that a passage answers."""
        by = self.across if known.crossing else self.same
        told = by.margin * known.margin + by.sentence * known.sentence + by.match * known.match + by.crowd * known.crowd
        return told + by.bias

    def confidence(self, lead: float) -> float:
        """The probability that the best passage's best span is right, from its lead."""
        return self.confidence_ceiling * sigmoid(self.confidence_scale * lead + self.confidence_bias)


def lead(logits: np.ndarray, sentences: np.ndarray) -> float:
    """The first passage's log-odds against "none" and every passage whose sentence says something else.

    `sentences` are unit vectors (passages, dimension) of what the best spans stand in.
    """
    others = logits[1:][sentences[1:] @ sentences[0] < ALIKE]
    return float(logits[0] - np.log1p(np.exp(others).sum()))


def fitted(part: str, path: Path) -> dict[str, Any]:
    """One part of the calibration beside the weights."""
    return json.loads(path.read_text(encoding="utf-8"))[part]


def sigmoid(logit: float) -> float:
    """Log-odds as a probability."""
    return 1 / (1 + exp(-max(-50.0, min(50.0, logit))))
