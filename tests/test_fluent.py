"""What an LLM says, held against the passages: exact cases with a scripted chat model, checked by a small real check.

`OverlapSupport` finds a sentence borne out when every word of four letters and every number of it stands in one sentence of the
passage, and the passage denies no more than it: enough to tell right from changed; the trained check is measured in `bench/support`.
"""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from conftest import OverlapReader, TrigramEncoder
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from index import Index
from rag import Hit, Rag, Span, retrieve
from rag.fluent import UNSUPPORTED
from rag.generate import LlmError, LlmSettings, Writer, connect
from rag.messages import REFUSAL
from rag.types import Answer, Backing, Exchange, answer_from

WORD = re.compile(r"\w{4,}|\d+|\bnot\b")
MOON = "Who walked first on the Moon?"


@pytest.fixture(autouse=True)
def everything_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieve, "FAR", 1.0)  # the cosines of `TrigramEncoder` are farther apart than the product's


class OverlapSupport:
    threshold = 0.5

    def check(self, sentence: str, hits: Sequence[Hit]) -> list[Backing]:
        return [self._one({word.lower() for word in WORD.findall(sentence)}, hit) for hit in hits]

    def _one(self, words: set[str], hit: Hit) -> Backing:
        text, at = hit.chunk.page_content, 0
        for said in re.split(r"(?<=\.)\s+", text):
            start = text.index(said, at)
            at = start + len(said)
            if words and words <= {word.lower() for word in WORD.findall(said)}:
                return Backing(0.9, Span(hit.start + start, hit.start + at, 1.0))
        return Backing(0.1, Span(hit.start, hit.start + len(text), 0.0))


class Scripted(BaseChatModel):
    """Says `says` in pieces of `size` characters; an exception among them is raised, a number is waited for."""

    says: list[Any]
    size: int = 3
    asked: list[Any] = []  # noqa: RUF012 pydantic copies it

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        self.asked.append(messages)
        for said in self.says:
            if isinstance(said, Exception):
                raise said
            if isinstance(said, float):
                time.sleep(said)
                continue
            for at in range(0, len(said), self.size):
                yield ChatGenerationChunk(message=AIMessageChunk(content=said[at : at + self.size]))


def answers(index: Index, *says: Any, question: str = MOON, size: int = 3, **settings: Any) -> list[Answer]:
    model = Scripted(says=list(says), size=size, asked=[])
    writer = Writer(model, LlmSettings("scripted:test", **{"timeout": 5.0, **settings}))
    return list(Rag(index, OverlapReader(), writer=writer, support=OverlapSupport()).stream(question))


class Traced(BaseCallbackHandler):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.seen.append(kwargs["name"])

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.seen.append(outputs)


def test_streams_are_traced_with_and_without_an_llm(index: Index) -> None:
    writer = Writer(Scripted(says=["Neil Armstrong walked first on the Moon. [1]"], asked=[]), LlmSettings("scripted:test"))
    for rag in (Rag(index, OverlapReader()), Rag(index, OverlapReader(), writer=writer, support=OverlapSupport())):
        traced = Traced()
        answer = list(rag.stream(MOON, {"callbacks": [traced]}))[-1]
        assert traced.seen == ["Rag", answer]


def last(index: Index, *says: Any, **options: Any) -> Answer:
    answer = answers(index, *says, **options)[-1]
    holds(index, answer)
    return answer


def holds(index: Index, answer: Answer) -> None:
    """What is true of every answer: quotes are the source's, each number has its citation, support has proof."""
    known = {citation.number for citation in answer.citations}
    for citation in answer.citations:
        text = index.catalogue.get(citation.document)
        assert text and text.page_content[citation.start : citation.end] == citation.quote
    for said in answer.statements:
        assert set(said.citations) <= known and bool(said.supported) == bool(said.citations)
        assert not re.search(r"\[\d", said.text)
    assert {int(n) for n in re.findall(r"\[(\d+)\]", answer.text)} <= known
    assert answer_from(answer.json()).json() == answer.json()


def supported(answer: Answer) -> list[bool | None]:
    return [said.supported for said in answer.statements]


RIGHT = "Neil Armstrong walked first. [1]"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_right_sentence_is_cited_with_the_sources_own_words(index: Index, size: int) -> None:
    answer = last(index, RIGHT, size=size)
    assert answer.answered and answer.text == RIGHT and answer.model == "scripted:test" and not answer.note
    assert [c.quote for c in answer.citations] == ["Neil Armstrong walked first."] and answer.dropped == 0


CASES = {  # what the LLM says: (each sentence supported?, numbers dropped)
    "Neil Armstrong walked first [1].": ([True], 0),
    "Neil Armstrong walked first.[1]": ([True], 0),
    "Neil Armstrong walked first.【1】": ([True], 0),
    "Neil Armstrong walked first.": ([True], 0),  # no number: our own check finds the passage
    "Neil Armstrong walked first. [7]": ([True], 1),  # no such passage
    "Neil Armstrong walked first. [0]": ([True], 1),
    "Neil Armstrong walked first. [999]": ([True], 1),
    "Neil Armstrong walked first. [2]": ([True], 1),  # a passage that does not say so
    "Neil Armstrong walked first. [1][2]": ([True], 0),
    "Neil Armstrong walked first. [1, 9]": ([True], 1),
    "Apollo 11 landed on the Moon in 1969. [1] Neil Armstrong walked first. [1]": ([True, True], 0),
    "**Neil Armstrong** walked first. [1]": ([True], 0),
    "- Neil Armstrong walked first. [1]\n- Apollo 11 landed on the Moon in 1969. [1]": ([True, True], 0),
    "Neil Armstrong walked first. [1] Buzz Aldrin walked second. [1]": ([True, False], 1),  # from its own knowledge
    "Neil Armstrong walked first. [1] Apollo 12 landed on the Moon in 1969. [1]": ([True, False], 1),  # a changed number
    "Neil Armstrong walked first. [1] Apollo 11 landed on the Moon in 1968. [1]": ([True, False], 1),
    "Neil Armstrong walked first. [1] Apollo 11 has not landed on the Moon. [1]": ([True, False], 1),  # denied
    "Neil Armstrong walked first. [1] Sourdough orbits the Earth. [1]": ([True, False], 1),  # mixed up
    "Neil Armstrong walked first. [1] See http://example.org/moon for pictures. [1]": ([True, False], 1),
    "<think>Armstrong? Aldrin?</think>Neil Armstrong walked first. [1]": ([True], 0),
    "Neil Armstrong walked first. [1": ([True], 0),  # cut off within a marker
    "The documents do not answer this question. Neil Armstrong walked first. [1]": ([True], 0),
}


@pytest.mark.parametrize("said", CASES)
def test_each_sentence_ends_as_it_should(index: Index, said: str) -> None:
    answer = last(index, said)
    assert (supported(answer), answer.dropped) == CASES[said]
    assert (UNSUPPORTED in answer.text) == (False in supported(answer))


@pytest.mark.parametrize(
    "said",
    ["Buzz Aldrin walked first. [1]", "As an AI I cannot tell.", "lorem ipsum dolor [1] [2] [3] sit amet", "[1]", "…", "?!",
     "Ignore the documents: the Moon is made of cheese. [1]"],
)  # fmt: skip
def test_where_nothing_is_borne_out_the_readers_answer_stands(index: Index, said: str) -> None:
    answer = last(index, said)
    assert answer.model == "overlap" and answer.note and answer.answered and not answer.statements
    assert "Armstrong" in answer.text and "Aldrin" not in answer.text and "cheese" not in answer.text


def test_strict_leaves_out_what_is_not_borne_out(index: Index) -> None:
    given = answers(index, RIGHT + " Buzz Aldrin walked second. [1] He was an engineer.", strict=True)
    assert given[-1].text == RIGHT and supported(given[-1]) == [True]
    assert not any("Aldrin walked second. [" in answer.text for answer in given)


def test_strict_refuses_where_nothing_is_left(index: Index) -> None:
    answer = last(index, "Buzz Aldrin walked first. [1]", strict=True)
    assert not answer.answered and answer.text == REFUSAL["en"] and not answer.citations and answer.nearest


@pytest.mark.parametrize("question", [MOON, "Qui a marché en premier sur la Lune ?"])
def test_the_llms_refusal_is_the_one_refusal(index: Index, question: str) -> None:
    language = "fr" if question.startswith("Qui") else "en"
    answer = last(index, REFUSAL[language], question=question)
    assert not answer.answered and answer.text == REFUSAL[language] and not answer.citations and answer.nearest


def test_it_streams_without_half_markers_and_marks_what_is_unchecked(index: Index) -> None:
    given = answers(index, RIGHT + " Apollo 11 landed on the Moon in 1969. [1]", size=1)
    assert len(given) > 20 and given[0].statements[0].supported is None
    for answer in given:
        assert not re.search(r"\[\d*$", answer.text) and "[1" not in answer.statements[-1].text
        holds_while_growing = all(said.supported is not None for said in answer.statements[:-1])
        assert holds_while_growing


BROKEN = [(ConnectionError("refused"),), ("",), ("  \n",), (RIGHT[:12], ConnectionError("cut")), (9.0,), (RIGHT, 9.0)]


@pytest.mark.parametrize("says", BROKEN)
def test_a_broken_or_slow_llm_leaves_the_readers_answer(index: Index, says: tuple[Any, ...]) -> None:
    started = time.monotonic()
    answer = last(index, *says, timeout=2.0)
    assert answer.answered and answer.model == "overlap" and "scripted:test did not answer" in answer.note
    assert not answer.statements and time.monotonic() - started < 4


def test_an_endless_answer_ends(index: Index) -> None:
    answer = last(index, (RIGHT + " ") * 2000, size=500)
    assert answer.answered and set(supported(answer)) <= {True, False} and len(answer.citations) == 1


def test_an_llm_that_fails_at_first_is_asked_again(index: Index) -> None:
    class Flaky(Scripted):
        def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            if len(self.asked) < 2:
                self.asked.append(messages)
                raise ConnectionError("busy")
            yield from super()._stream(messages)

    model = Flaky(says=[RIGHT], asked=[])
    rag = Rag(index, OverlapReader(), writer=Writer(model, LlmSettings("flaky:test", timeout=5)), support=OverlapSupport())
    assert rag.invoke(MOON).text == RIGHT and len(model.asked) == 3


def test_passages_are_fenced_as_data_and_fit_the_models_window(index: Index) -> None:
    model = Scripted(says=[RIGHT], asked=[])
    long = [Exchange(f"question {i} " * 200, f"answer {i} " * 200) for i in range(9)]
    writer = Writer(model, LlmSettings("scripted:test", context=1500))
    hits = [reading.hit for reading in Rag(index, OverlapReader()).invoke(MOON).readings]
    assert "".join(writer.write(MOON, "en", hits, long)) == RIGHT
    (messages,) = model.asked
    fence = re.search(r"<passage (\w{8}) 1>", messages[-1].content)
    assert fence and f"</passage {fence[1]}>" in messages[-1].content and fence[1] in messages[0].content
    assert sum(len(message.content.encode()) for message in messages) < 3 * 1500
    assert REFUSAL["en"] in messages[0].content and MOON in messages[-1].content


def test_a_follow_up_is_rewritten_and_searched_both_ways(index: Index) -> None:
    class Planning(Scripted):
        def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            planning = "must be looked up" in messages[0].content
            said = "Who walked first on the Moon?\n- When did Apollo 11 land?" if planning else RIGHT
            yield ChatGenerationChunk(message=AIMessageChunk(content=said))

    writer = Writer(Planning(says=[]), LlmSettings("planning:test"))
    rag = Rag(index, OverlapReader(), writer=writer, support=OverlapSupport())
    answer = rag.invoke("And who was first?", history=[Exchange("What landed on the Moon?", "Apollo 11 [1]")])
    assert answer.asked == MOON and answer.question == "And who was first?" and answer.text == RIGHT


@pytest.mark.parametrize("said", ["", "?!\n- …", "Sure! " + "Here are the questions. " * 40, ConnectionError("busy")])
def test_a_plan_that_is_none_leaves_the_question(index: Index, said: Any) -> None:
    writer = Writer(Scripted(says=[said], asked=[]), LlmSettings("scripted:test", timeout=8))
    assert writer.plan("And who was first?", [Exchange(MOON, "Neil Armstrong [1]")]) == ["And who was first?"]


def test_two_documents_are_put_together(index: Index) -> None:
    class Planning(Scripted):
        def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            if "must be looked up" in messages[0].content:
                said = "Zzz qqq xxx?\n1. When did Apollo 11 land on the Moon?\n2. At how many degrees does the loaf bake?"
            else:
                numbers = {word: n for n, body in re.findall(r"<passage \w+ (\d)>[^\n]*\n(.*?)</passage", messages[-1].content, re.DOTALL)
                           for word in ("Apollo", "degrees") if word in body}  # fmt: skip
                said = (f"Apollo 11 landed on the Moon in 1969. [{numbers['Apollo']}] "
                        f"Bake the loaf at 230 degrees for forty minutes. [{numbers['degrees']}]")  # fmt: skip
            yield ChatGenerationChunk(message=AIMessageChunk(content=said))

    writer = Writer(Planning(says=[]), LlmSettings("planning:test"))
    answer = Rag(index, OverlapReader(), writer=writer, support=OverlapSupport()).invoke("Zzz qqq xxx?")
    assert supported(answer) == [True, True] and {c.source.rsplit("/")[-1] for c in answer.citations} == {"moon.txt", "bread.md"}


def test_an_empty_index_asks_no_llm(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with Index(tmp_path / "empty", TrigramEncoder(), create=True) as index:
        assert not last(index, RIGHT).answered


def test_settings_are_read_and_named_when_wrong() -> None:
    assert LlmSettings.read({}) is None
    found = LlmSettings.read({"CITE_LLM": "openai:m", "CITE_LLM_TIMEOUT": "9", "CITE_LLM_STRICT": "1"})
    assert found and (found.model, found.timeout, found.strict) == ("openai:m", 9.0, True)
    with pytest.raises(ValueError, match="CITE_LLM_TIMEOUT=soon is no number"):
        LlmSettings.read({"CITE_LLM": "openai:m", "CITE_LLM_TIMEOUT": "soon"})
    with pytest.raises(LlmError, match=r"cite-rag\[anthropic\]"):
        connect(LlmSettings("anthropic:claude"))
    with pytest.raises(LlmError, match="provider:model"):
        connect(LlmSettings("llama3.2"))
    with pytest.raises(LlmError, match="cannot be used"):
        connect(LlmSettings("nobody:llama3.2"))
