"""The reader: does this passage answer, and with which words?

Takes a question and hits; gives a `Reading` of each: relevance as a calibrated probability, comparable between passages,
and spans with offsets in the document. `Engine` runs the network; `Reader` is the seam that tests and other readers use.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from index.embed import Encoder, SentenceEncoder, bundled_tokenizer
from index.language import detect
from index.split import sentences
from index.weights import bundled_model
from rag.calibration import CROWD, WEIGHTS, Calibration, Known, lead, sigmoid
from rag.cite import enclosing
from rag.match import Matcher
from rag.memo import Memo
from rag.retrieve import worth_reading
from rag.spans import spans_of
from rag.types import Hit, Reading, Span

READER_RANGES = WEIGHTS / "ranges.json"
LONGEST = 320  # tokens of question and passage together; the encoder's limit is 512
QUESTION_TOKENS = 128  # of a question that are read: its passage must stay whole
KEPT = 5000  # sentences whose vectors are remembered: 1.5 kB each
PAD = 1  # the tokenizer's padding id


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

    def confidence(self, readings: Sequence[Reading]) -> float:
        """The probability that the first reading's best span is right, beside the others; they come best first, at least one."""

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


class SpanReader:
    """Our own reader over the bundled encoder."""

    name = "cite-reader-1"

    def __init__(
        self,
        engine: Engine | None = None,
        calibration: Calibration | None = None,
        encoder: Encoder | None = None,
        matcher: Callable[[str, Sequence[str]], Sequence[float]] | None = None,
    ) -> None:
        """`encoder` compares the question with sentences: the one that finds the passages, or the bundled one; `matcher` with passages."""
        self.engine, self.encoder, self.matcher = engine or QuantisedEngine(), encoder or SentenceEncoder(), matcher or Matcher()
        self.said = Memo(self.encoder.documents, KEPT)
        self.calibration = calibration or Calibration.load()
        self.threshold = self.calibration.threshold

    def confidence(self, readings: Sequence[Reading]) -> float:
        """See `Reader`."""
        found = np.clip([reading.relevance for reading in readings], 1e-9, 1 - 1e-9)
        sentences = np.stack(self.said([said(reading.hit, reading.spans) for reading in readings]))
        return self.calibration.confidence(lead(np.log(found / (1 - found)), sentences))

    @cached_property
    def _pairs(self) -> PairTokenizer:
        return PairTokenizer(bundled_tokenizer, LONGEST)

    def read(self, question: str, hits: Sequence[Hit]) -> list[Reading]:
        """See `Reader`; all hits in one batch."""
        measured = zip(hits, self.measure(question, hits), strict=True)
        return [Reading(hit, sigmoid(self.calibration.logit(known)), known.spans) for hit, known in measured]

    def measure(self, question: str, hits: Sequence[Hit]) -> list[Known]:
        """What is known of each hit, in their order."""
        if not hits:
            return []
        passages = [hit.chunk.page_content for hit in hits]
        pairs, matches = self.encode(question, passages), self.matcher(question, passages)
        start, end, relevance, _ = self.engine.run(*self.collate(pairs))
        found = [spans_of(hit, pair, start[i], end[i]) for i, (hit, pair) in enumerate(zip(hits, pairs, strict=True))]
        sentences = self.said([said(hit, spans) for hit, (spans, _) in zip(hits, found, strict=True)])
        cosines = np.stack(sentences) @ self.encoder.query(question)
        language, crowd = detect(question), crowded(hits)
        return [
            Known(hit.chunk.metadata.get("language", language) != language, float(relevance[i]), found[i][1],
                  float(cosines[i]), matches[i], crowd, found[i][0])
            for i, hit in enumerate(hits)
        ]  # fmt: skip

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


def crowded(hits: Sequence[Hit]) -> int:
    """How many of a question's passages are near: where all are, nearness says little."""
    return min(len(worth_reading(hits)), CROWD)


def said(hit: Hit, spans: Sequence[Span]) -> str:
    """The sentence, or sentences, of the best span; the whole passage where there is none."""
    text, start = hit.chunk.page_content, hit.start
    if not spans:
        return text
    ranges = list(sentences(text, hit.chunk.metadata.get("language", "en")))
    return text[slice(*enclosing(ranges, Span(spans[0].start - start, spans[0].end - start, 0.0)))]
