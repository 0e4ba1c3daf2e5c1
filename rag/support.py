"""Whether a passage bears out a sentence, in any two languages, and with which words.

Takes a sentence and hits; gives a `Backing` of each. The reader's own network does it, with a head trained on sentences of which
one fact was changed (`training.claims`); what else tells is whether every number of the sentence stands in the passage.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from index.language import detect
from rag.calibration import WEIGHTS, fitted, sigmoid
from rag.read import SpanReader
from rag.spans import NO_SPAN, spans_of
from rag.types import Backing, Hit, Span

LONGEST_EVIDENCE = 120  # tokens
NUMBER = re.compile(r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)|\d[\d.,'’]*\d|\d")


class Support(Protocol):
    """Checks sentences. From the probability `threshold` on a sentence counts as supported."""

    threshold: float

    def check(self, sentence: str, hits: Sequence[Hit]) -> list[Backing]:
        """One Backing a hit, in the order of the hits."""


@dataclass(frozen=True, slots=True)
class SupportCalibration:
    """Logistic weights from what is measured to the probability of support, fitted by `training.support`."""

    whole: float
    worst: float
    span: float
    numbers: float
    crossing: float
    bias: float
    threshold: float

    @classmethod
    def load(cls, path: Path = WEIGHTS / "calibration.json") -> "SupportCalibration":
        """The calibration that belongs to the weights."""
        return cls(**fitted("support", path))

    def probability(self, features: "Features") -> float:
        """The probability of support."""
        logit = (
            self.whole * features.whole + self.worst * features.worst + self.span * features.span
            + self.numbers * features.numbers + self.crossing * features.crossing + self.bias
        )  # fmt: skip
        return sigmoid(logit)


@dataclass(frozen=True, slots=True)
class Features:
    """What is measured of a sentence and a passage.

    The network's doubt of the whole sentence and of its worst word, the lead of the best evidence over none, how many of the
    sentence's numbers the passage lacks, and whether their languages differ.
    """

    whole: float
    worst: float
    span: float
    numbers: int
    crossing: int


class ReaderSupport:
    """The check by the reader's network."""

    def __init__(self, reader: SpanReader, calibration: SupportCalibration | None = None) -> None:
        self._reader = reader
        self._calibration = calibration or SupportCalibration.load()
        self.threshold = self._calibration.threshold

    def check(self, sentence: str, hits: Sequence[Hit]) -> list[Backing]:
        """See `Support`; all hits in one batch."""
        found = self.measure(sentence, hits)
        return [Backing(self._calibration.probability(features), span) for features, span in found]

    def measure(self, sentence: str, hits: Sequence[Hit]) -> list[tuple[Features, Span]]:
        """What is measured of each hit, and the evidence in it."""
        if not hits:
            return []
        pairs = self._reader.encode(sentence, [hit.chunk.page_content for hit in hits], "passage")
        start, end, _, doubt = self._reader.engine.run(*self._reader.collate(pairs))
        language = detect(sentence)
        measured = []
        for i, (hit, pair) in enumerate(zip(hits, pairs, strict=True)):
            found, _ = spans_of(hit, pair, start[i], end[i], LONGEST_EVIDENCE)
            span, lead = (found[0], found[0].score) if found else (_whole(hit), NO_SPAN)
            words = [doubt[i, at] for at, side in enumerate(pair.sequence_ids) if side == 0]
            lacking = len(numbers(sentence) - numbers(hit.chunk.page_content))
            crossing = int(hit.chunk.metadata.get("language", language) != language)
            worst = float(max(words, default=0.0))
            measured.append((Features(float(doubt[i, 0]), worst, lead, min(lacking, 2), crossing), span))
        return measured


def _whole(hit: Hit) -> Span:
    return Span(hit.start, hit.start + len(hit.chunk.page_content), 0.0)


def numbers(text: str) -> set[str]:
    """The numbers of a text as digits alone, whatever the script and the marks between thousands."""
    plain = "".join(str(unicodedata.digit(c, c)) if c.isdigit() else c for c in text)
    return {re.sub(r"\D", "", match[0]).lstrip("0") or "0" for match in NUMBER.finditer(plain)}
