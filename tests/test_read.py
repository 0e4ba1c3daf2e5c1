from collections.abc import Sequence

import numpy as np
import pytest
from conftest import SEED, TrigramEncoder
from langchain_core.documents import Document

from rag import Hit, SpanReader
from rag.calibration import ALIKE, CROWD, Calibration, Weights, lead, sigmoid
from rag.read import LONGEST, crowded
from rag.retrieve import FAR
from rag.spans import best_spans, spans_of, trim

MARGIN, SENTENCE = Weights(1.0, 0.0, 0.0, 0.0, 0.0), Weights(0.0, 1.0, 0.5, 0.0, 0.0)
CALIBRATION = Calibration(MARGIN, SENTENCE, threshold=0.5, confidence_scale=1.0, confidence_bias=0.0, confidence_ceiling=1.0)


def hit(text: str, start: int = 0) -> Hit:
    return Hit(Document(page_content=text, metadata={"start": start, "end": start + len(text)}), 1.0, 0.8)


class PointingEngine:
    """Points at the third to the fifth passage token of every row and calls long rows relevant."""

    def run(self, ids: np.ndarray, mask: np.ndarray, passage: np.ndarray) -> tuple[np.ndarray, ...]:
        start = np.where(passage == 1, 0.0, -1e4)
        end = start.copy()
        for row, flags in enumerate(passage):
            first = int(flags.argmax())
            start[row, first + 2] = end[row, first + 4] = 5.0
        return start, end, mask.sum(axis=1).astype("f4") - 15, start


def shared(question: str, passages: Sequence[str]) -> list[float]:
    """A matcher: how many of the question's words are in each passage."""
    return [float(sum(word in passage for word in question.split())) for passage in passages]


def pointing(encoder: TrigramEncoder | None = None) -> SpanReader:
    return SpanReader(PointingEngine(), CALIBRATION, encoder or TrigramEncoder(), shared)


def test_spans_have_document_offsets() -> None:
    text = "Vladimir Poutine et Emmanuel Macron ont appelé à un cessez-le-feu."
    reader, hits = pointing(), [hit(text, start=100), hit("Rien de plus que cela ici.")]
    readings = reader.read("Qui ?", hits)
    span = readings[0].spans[0]
    inside = text[span.start - 100 : span.end - 100]
    assert inside and inside == inside.strip()
    long, short = reader.measure("Qui ?", hits)
    assert long.relevance > short.relevance and len(readings) == 2


def test_the_sentence_of_the_best_span_is_compared_with_the_question() -> None:
    sentence, encoder = "La Lune tourne autour de la Terre.", TrigramEncoder()
    french = hit(f"{sentence} Les marées viennent du Soleil.", start=100)
    french.chunk.metadata["language"] = "fr"
    reader = pointing(encoder)
    question = "Which body does the Lune orbit?"
    (known,) = reader.measure(question, [french])
    assert known.crossing and known.sentence == pytest.approx(float(encoder.documents([sentence])[0] @ encoder.query(question)))
    (reading,) = reader.read(question, [french])
    assert known.match == 1.0 and reading.relevance == pytest.approx(sigmoid(known.sentence + 0.5)) and reading.spans == known.spans
    assert reader.read(question, []) == []


def test_passages_that_are_as_near_as_the_nearest_are_a_crowd() -> None:
    def found(*cosines: float) -> list[Hit]:
        return [Hit(hit("These are some words.").chunk, 1.0, cosine) for cosine in cosines]

    reader = pointing()
    hits = found(0.9, 0.9 - FAR / 2, 0.9 - 2 * FAR)
    assert [known.crowd for known in reader.measure("Which words?", hits)] == [2, 2, 2] and crowded(found(0.5)) == 1
    assert crowded(found(*[0.9] * 30)) == CROWD


def test_an_answer_leads_those_that_say_something_else_and_none() -> None:
    near = [ALIKE + 0.01, np.sqrt(1 - (ALIKE + 0.01) ** 2), 0.0]
    said = np.array([[1.0, 0.0, 0.0], near, [0.0, 0.0, 1.0]])
    logits = np.array([2.0, 1.0, 0.5])
    first, same, other = np.exp(logits)
    assert lead(logits[:1], said[:1]) == pytest.approx(2.0)
    assert lead(logits, said) == pytest.approx(np.log(first / (1 + other)))
    assert lead(logits, np.eye(3)) == pytest.approx(np.log(first / (1 + same + other)))


def test_a_long_question_leaves_room_for_the_passage() -> None:
    reader = pointing()
    pairs = reader.encode("why " * 2000, ["The passage has these words."])
    assert len(pairs[0].ids) <= LONGEST and sum(side == 1 for side in pairs[0].sequence_ids) >= 6


def test_of_a_long_passage_the_beginning_is_read() -> None:
    (pair,) = pointing().encode("why?", ["These are its words. " * 200])
    assert len(pair.ids) == LONGEST and sum(side == 1 for side in pair.sequence_ids) > LONGEST - 12


def test_best_spans_do_not_overlap_and_stay_in_the_passage() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        start, end = rng.normal(size=(2, 40))
        start[1:9] = end[1:9] = start[35:] = end[35:] = -1e4
        found = best_spans(start, end, 40)
        assert found[0][2] == max(start[i] + end[j] for i in range(9, 35) for j in range(i, 35))
        assert all(9 <= a <= b < 35 for a, b, _ in found)
        assert all(b < c or d < a for i, (a, b, _) in enumerate(found) for c, d, _ in found[i + 1 :])


def test_a_span_with_half_a_pair_of_brackets_gives_way_to_the_next_best() -> None:
    text = "Norway supplies [its neighbour (Sweden)]; nothing else."
    (pair,) = pointing().encode("who?", [text])
    start, end = np.full((2, len(pair.ids)), -9.0)
    inside = [i for i, side in enumerate(pair.sequence_ids) if side == 1]
    last = next(i for i in inside if pair.offsets[i][1] >= text.index(" (Sweden"))
    start[inside[0]], end[last], end[inside[0]] = 5.0, 5.0, 4.0
    spans, margin = spans_of(hit(text, 100), pair, start, end)
    assert text[spans[0].start - 100 : spans[0].end - 100] == "Norway" and margin == 9.0 + 18.0
    spans, _ = spans_of(hit(text, 100), pair, start, np.where(np.arange(len(end)) == inside[-1], 9.0, end))
    assert text[spans[0].start - 100 : spans[0].end - 100] == text.rstrip(".")  # both halves of both pairs


@pytest.mark.parametrize(
    ("text", "cut", "kept"),
    [
        ("said « Vladimir Poutine », yes", " Vladimir Pout", "Vladimir Poutine"), ("in (Armenia) now", "(Armenia", "Armenia"),
        ("La Russie a", "La Russ", "La Russie"), ("costs 4400, or", "4400,", "4400"), ("他在北京工作", "北京", "北京"),
        ("the «whole quote» here", "«whole quote»", "«whole quote»"), ("x «», y", "«», ", "«»"),
    ],
)  # fmt: skip
def test_trim(text: str, cut: str, kept: str) -> None:
    at = text.index(cut)
    start, end = trim(text, at, at + len(cut))
    assert text[start:end] == kept


@pytest.mark.model
def test_the_shipped_reader_finds_words_across_languages() -> None:
    paragraphs = SEED.read_text(encoding="utf-8").splitlines()
    hits: Sequence[Hit] = [hit(paragraph) for paragraph in paragraphs]
    for question, word in (
        ("Which country has a military base in Armenia?", "Russie"), ("Qui a appelé à un cessez-le-feu ?", "Macron"),
        ("How many cargo flights landed in Baku?", "deux"),
    ):  # fmt: skip
        best = max(SpanReader().read(question, hits), key=lambda reading: reading.relevance)
        assert word in best.hit.chunk.page_content
