import asyncio
from collections.abc import Sequence

import pytest
from conftest import OverlapReader, TrigramEncoder

from index import Index
from rag import Hit, QuestionError, Rag, Reading, Span
from rag.answer import LONGEST_QUESTION, K, checked
from rag.choose import MOST_CITATIONS
from rag.cite import enclosing
from rag.messages import REFUSAL, refusal
from rag.retrieve import worth_reading


def text_of(rag: Rag, document: str) -> str:
    found = rag.index.catalogue.get(document)
    assert found
    return found.page_content


def test_an_answer_quotes_the_source_exactly(rag: Rag) -> None:
    answer = rag.invoke("Who walked first on the Moon?")
    assert answer.answered and "[1]" in answer.text and answer.citations[0].quote in answer.text
    for citation in answer.citations:
        text = text_of(rag, citation.document)
        assert text[citation.start : citation.end] == citation.quote
        assert text[citation.answer_start : citation.answer_end] == citation.answer
        assert citation.start <= citation.answer_start < citation.answer_end <= citation.end
    assert answer.citations[0].source.endswith("moon.txt") and "total" in answer.timings_ms


def test_what_is_not_said_is_refused_in_the_questions_language(rag: Rag) -> None:
    for question, language in (
        ("Quelle entreprise fabrique ces ordinateurs ?", "fr"),
        ("Wie teuer sind diese Computer?", "de"),
    ):
        answer = rag.invoke(question)
        assert not answer.answered and not answer.citations and answer.text == REFUSAL[language]
        assert answer.nearest and answer.nearest.quote in text_of(rag, answer.nearest.document)


def test_an_unknown_language_is_refused_in_english() -> None:
    assert refusal("xx") == REFUSAL["en"]


def test_several_sources_are_all_shown(rag: Rag) -> None:
    answer = rag.invoke("La Lune et les drones")
    assert [c.number for c in answer.citations] == list(range(1, len(answer.citations) + 1))
    assert len({c.source for c in answer.citations}) == 2 <= len(answer.citations) <= MOST_CITATIONS


def test_only_what_is_worth_it_is_read(rag: Rag) -> None:
    question = "Who walked first on the Moon?"
    found, answer = rag.search(question, K), rag.invoke(question)
    read = {reading.hit.chunk.id for reading in answer.readings}
    assert read == {hit.chunk.id for hit in worth_reading(found)} and len(read) < len(found)


class LyingReader(OverlapReader):
    """Points outside its passages' documents, and at one that is not there."""

    def read(self, question: str, hits: Sequence[Hit]) -> list[Reading]:
        return [Reading(hit, 0.9, (Span(10**6 + i, 10**6 + i + 5, 1.0),)) for i, hit in enumerate(hits)]


def test_spans_that_do_not_hold_are_dropped_and_counted(index: Index) -> None:
    answer = Rag(index, LyingReader()).invoke("Who walked on the Moon?")
    assert not answer.answered and answer.citations == () and answer.dropped > 0


def test_it_is_a_langchain_runnable(rag: Rag) -> None:
    question = "Who walked first on the Moon?"
    whole = rag.invoke(question)
    streamed = list(rag.stream(question))
    assert streamed[-1].text == whole.text and all(whole.text.startswith(part.text) for part in streamed)
    assert [a.text for a in rag.batch([question, question])] == [whole.text] * 2
    assert asyncio.run(rag.ainvoke(question)).text == whole.text
    assert (rag | (lambda answer: answer.answered)).invoke(question) is True


@pytest.mark.parametrize("question", ["", "  \n ", "?!", "\x00\x07", "x" * 10_000])
def test_what_is_no_question_is_refused(rag: Rag, question: str) -> None:
    with pytest.raises(QuestionError):
        rag.invoke(question)


def test_control_characters_are_taken_out() -> None:
    assert checked(" who\x00 \x1b[31mwalked\u2028?\n") == "who [31mwalked ?"
    assert len(checked("é" * LONGEST_QUESTION)) == LONGEST_QUESTION


def test_an_empty_index_refuses(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with Index(tmp_path / "empty", TrigramEncoder(), create=True) as index:
        answer = Rag(index, OverlapReader()).invoke("Who walked on the Moon?")
    assert not answer.answered and answer.nearest is None


def test_json_has_every_field(rag: Rag) -> None:
    found = rag.invoke("Who walked first on the Moon?").json()
    assert set(found) == {
        "question", "asked", "answered", "text", "language", "confidence", "model", "citations", "nearest", "hits",
        "dropped", "threshold", "timings_ms", "statements", "note",
    }  # fmt: skip
    assert {"number", "document", "title", "source", "start", "end", "quote", "answer", "language", "score"} <= set(
        found["citations"][0]
    )
    assert {"dense_rank", "lexical_rank", "relevance", "text"} <= set(found["hits"][0]) and 0 <= found[
        "confidence"
    ] <= 1


def test_enclosing_takes_whole_sentences() -> None:
    ranges = [(0, 10), (11, 20), (22, 30)]
    assert enclosing(ranges, Span(12, 15, 0)) == (11, 20)
    assert enclosing(ranges, Span(5, 25, 0)) == (0, 30)
    assert enclosing(ranges, Span(20, 23, 0)) == (11, 30)
