"""The reader: does this passage answer, and with which words?

Takes a question and hits; gives a `Reading` of each: relevance as a calibrated probability, comparable between passages,
and spans with offsets in the document. `Engine` runs the network; `Reader` is the seam that tests and other readers use.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, log
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from index.embed import bundled_tokenizer
from index.language import detect
from index.lexical import NO_SPACES
from index.weights import bundled_model
from rag.types import Hit, Reading, Span

WEIGHTS = Path(__file__).parent / "weights"
READER_RANGES = WEIGHTS / "ranges.json"
LONGEST = 320  # tokens of question and passage together; the encoder's limit is 512
QUESTION_TOKENS = 128  # of a question that are read: its passage must stay whole
LONGEST_ANSWER = 40  # tokens
SPANS = 3  # kept of each passage
OUTSIDE = -5e3  # a lower score has a token outside the passage, which the network masks with -1e4
NO_SPAN = -10.0  # the margin of a passage with no span at all
PAD = 1  # the tokenizer's padding id
EDGES = " \t\n\r,;:"  # never part of an answer
FULL_STOPS = ".。،"
BRACKETS = (("(", ")"), ("[", "]"), ("（", "）"))
PAIRS = (("«", "»"), ("“", "”"), ("„", "“"), ("「", "」"), *BRACKETS)


class PairTokenizer:
    """Tokenises `<s> QUESTION </s> </s> PASSAGE </s>`: the question's first QUESTION_TOKENS, then the passage up to `longest` in all."""

    def __init__(self, load: Callable[[], Any], longest: int) -> None:
        self._whole, self._cut = load(), load()
        self._cut.enable_truncation(longest, strategy="only_second")  # `Encoding.truncate` would forget which side a token is of

    def encode(self, question: str, passages: Sequence[str]) -> list[Any]:
        """The pair of the question with each passage, as tokenizers.Encoding."""
        asked = self._whole.encode(question, add_special_tokens=False)
        if len(asked.ids) > QUESTION_TOKENS:
            question = question[: asked.offsets[QUESTION_TOKENS][0]]
        return list(self._cut.encode_batch([(question, passage) for passage in passages]))


class Reader(Protocol):
    """Reads hits. `name` stands in the answer's JSON; below the relevance `threshold` the answer is the refusal."""

    name: str
    threshold: float

    def confidence(self, relevance: float) -> float:
        """The probability that the best passage's best span is right, from that passage's relevance."""

    def read(self, question: str, hits: Sequence[Hit]) -> list[Reading]:
        """One Reading a hit, in the order of the hits."""


class Engine(Protocol):
    """Runs the reader's network: (batch, tokens) int64 ids, mask and passage flags → start, end, relevance, doubt logits."""

    def run(self, ids: np.ndarray, mask: np.ndarray, passage: np.ndarray) -> tuple[np.ndarray, ...]:
        """Logits as float32: (batch, tokens), (batch, tokens), (batch,), (batch, tokens)."""


class TorchEngine:
    """The reference: the network in float32."""

    def __init__(self, weights: Path = WEIGHTS / "reader.safetensors") -> None:
        self._weights = weights
        self._lock = Lock()

    @cached_property
    def _network(self) -> Any:
        from rag.network import load  # imports torch: seconds

        return load(bundled_model(), self._weights)

    def run(self, ids: np.ndarray, mask: np.ndarray, passage: np.ndarray) -> tuple[np.ndarray, ...]:
        """See `Engine`."""
        import torch

        with self._lock:
            network = self._network
        with torch.inference_mode():
            found = network(*(torch.from_numpy(part) for part in (ids, mask, passage)))
        return tuple(part.numpy() for part in found)


class QuantisedEngine(TorchEngine):
    """The same with the encoder in 8-bit integers: what the product runs."""

    @cached_property
    def _network(self) -> Any:
        from index.quantised import Quantised, read_ranges

        network = super()._network
        network.encoder = Quantised(network.encoder, read_ranges(READER_RANGES))
        return network


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic weights from the network's logits to a probability, fitted by `training.calibrate` on validation data."""

    relevance: float
    margin: float
    cosine: float
    behind: float
    crossing: float
    bias: float
    threshold: float
    confidence_scale: float
    confidence_bias: float
    confidence_ceiling: float

    @classmethod
    def load(cls, path: Path = WEIGHTS / "calibration.json") -> "Calibration":
        """The calibration that belongs to the weights."""
        return cls(**fitted("reader", path))

    def logit(self, relevance: float, margin: float, cosine: float, behind: float, crossing: bool) -> float:
        """The log-odds that a passage answers.

        From its relevance logit, its best span's lead over "no answer", its cosine with the question, how far that is behind
        the best cosine among the passages, and whether question and passage are in different languages.
        """
        read = self.relevance * relevance + self.margin * margin + self.crossing * crossing
        return read + self.cosine * cosine + self.behind * behind + self.bias

    def confidence(self, logit: float) -> float:
        """The probability that the best passage's best span is right, from that passage's log-odds."""
        return self.confidence_ceiling * sigmoid(self.confidence_scale * logit + self.confidence_bias)


class SpanReader:
    """Our own reader over the bundled encoder."""

    name = "cite-reader-1"

    def __init__(self, engine: Engine | None = None, calibration: Calibration | None = None) -> None:
        self.engine = engine or QuantisedEngine()
        self.calibration = calibration or Calibration.load()
        self.threshold = self.calibration.threshold

    def confidence(self, relevance: float) -> float:
        """See `Reader`."""
        bounded = min(max(relevance, 1e-9), 1 - 1e-9)
        return self.calibration.confidence(log(bounded / (1 - bounded)))

    @cached_property
    def _pairs(self) -> "PairTokenizer":
        return PairTokenizer(bundled_tokenizer, LONGEST)

    def read(self, question: str, hits: Sequence[Hit]) -> list[Reading]:
        """See `Reader`; all hits in one batch."""
        if not hits:
            return []
        pairs = self.encode(question, [hit.chunk.page_content for hit in hits])
        start, end, relevance, _ = self.engine.run(*self.collate(pairs))
        nearest, language = max(hit.dense_score for hit in hits), detect(question)
        readings = []
        for i, (hit, pair) in enumerate(zip(hits, pairs, strict=True)):
            spans, margin = spans_of(hit, pair, start[i], end[i])
            behind = nearest - hit.dense_score
            crossing = hit.chunk.metadata.get("language", language) != language
            logit = self.calibration.logit(float(relevance[i]), margin, hit.dense_score, behind, crossing)
            readings.append(Reading(hit, sigmoid(logit), spans))
        return readings

    def encode(self, question: str, passages: Sequence[str], kind: str = "query") -> list[Any]:
        """See `PairTokenizer`; `kind` is the first word."""
        return self._pairs.encode(f"{kind}: {question}", passages)

    @staticmethod
    def collate(pairs: Sequence[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids, mask and passage flags, padded to the longest pair."""
        longest = max(len(pair.ids) for pair in pairs)
        ids = np.full((len(pairs), longest), PAD, dtype=np.int64)
        passage = np.zeros((len(pairs), longest), dtype=np.int64)
        for row, pair in enumerate(pairs):
            ids[row, : len(pair.ids)] = pair.ids
            passage[row, : len(pair.ids)] = [side == 1 for side in pair.sequence_ids]
        return ids, (ids != PAD).astype(np.int64), passage


def fitted(part: str, path: Path) -> dict[str, float]:
    """One part of the calibration beside the weights."""
    return json.loads(path.read_text(encoding="utf-8"))[part]


def spans_of(
    hit: Hit, pair: Any, start: np.ndarray, end: np.ndarray, longest: int = LONGEST_ANSWER
) -> tuple[tuple[Span, ...], float]:
    """The passage's best spans of at most `longest` tokens, and by how much the first beats "none here"."""
    text, spans = hit.chunk.page_content, []

    def torn(first: int, last: int) -> bool:
        inside = text[slice(*trim(text, pair.offsets[first][0], pair.offsets[last][1]))]
        return any(inside.count(opening) != inside.count(closing) for opening, closing in BRACKETS)

    best, null = best_spans(start, end, len(pair.ids), longest, torn), float(start[0] + end[0])
    for first, last, score in best:
        a, b = trim(text, pair.offsets[first][0], pair.offsets[last][1])
        if a < b:
            spans.append(Span(hit.start + a, hit.start + b, score - null))
    return tuple(spans), best[0][2] - null if best else NO_SPAN


def sigmoid(logit: float) -> float:
    """Log-odds as a probability."""
    return 1 / (1 + exp(-max(-50.0, min(50.0, logit))))


def best_spans(
    start: np.ndarray,
    end: np.ndarray,
    length: int,
    longest: int = LONGEST_ANSWER,
    torn: Callable[[int, int], bool] = lambda first, last: False,
) -> list[tuple[int, int, float]]:
    """Up to SPANS (first token, last token, score) that do not overlap, best first; token 0 is the null answer.

    A span that `torn` says has a bracket without its other half gives way to the next best.
    """
    scores = start[1:length, None] + end[None, 1:length]
    size = len(scores)
    length_of = np.arange(size)[None, :] - np.arange(size)[:, None]
    scores = np.where((length_of < 0) | (length_of >= longest), -np.inf, scores)
    found: list[tuple[int, int, float]] = []
    for flat in np.argsort(scores, axis=None)[::-1][: 20 * SPANS]:
        first, last = divmod(int(flat), size)
        if scores[first, last] < OUTSIDE or len(found) == SPANS:
            break
        if all(last + 1 < a or first + 1 > b for a, b, _ in found) and not torn(first + 1, last + 1):
            found.append((first + 1, last + 1, float(scores[first, last])))
    return found


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The range as whole words, without space and commas at its edges or a quotation mark that lost its other half."""
    while 0 < start < len(text) and _one_word(text[start - 1], text[start]):
        start -= 1
    while 0 < end < len(text) and _one_word(text[end - 1], text[end]):
        end += 1
    before = -1
    while start < end and before != end - start:
        before = end - start
        start += text[start] in EDGES
        end -= end > start and text[end - 1] in EDGES + FULL_STOPS
        for opening, closing in PAIRS:
            inside = text[start:end]
            start += inside.startswith(opening) and closing not in inside
            end -= inside.endswith(closing) and opening not in inside
    return start, max(start, end)


def _one_word(left: str, right: str) -> bool:
    """Whether a cut between these characters would split a word of a script that puts spaces between words."""
    return left.isalnum() and right.isalnum() and not NO_SPACES.match(left) and not NO_SPACES.match(right)
