"""The chain: a question, its hits, their readings, one cited answer or the one refusal.

Takes a question; gives an `Answer`. `Rag` is a LangChain Runnable: `invoke`, `stream`, `batch`, `ainvoke` and tracing come with it.
"""

import time
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.documents import Document
from langchain_core.runnables import Runnable, RunnableConfig

from index.language import detect
from index.lexical import names
from index.library import Index
from rag.choose import compose, select
from rag.cite import Citer
from rag.fluent import Fluent
from rag.follow import CARRIED, Following, Found
from rag.generate import Writer
from rag.messages import refusal
from rag.read import Reader, SpanReader
from rag.retrieve import HybridRetriever, worth_reading
from rag.support import ReaderSupport, Support
from rag.types import Answer, Citation, Exchange, Hit, Reading, Span

LONGEST_QUESTION = 2000  # characters
K = 8  # passages found; those worth it are read
SURE = 0.5  # the confidence above which a question is taken to stand alone, as is one with a name or a number


class QuestionError(ValueError):
    """A question that cannot be asked; the message says why."""


def checked(question: str) -> str:
    """The question on one line, without control characters; raises QuestionError when it is empty or too long."""
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in question)
    kept = " ".join(kept.split())
    if not any(c.isalnum() for c in kept):
        raise QuestionError('The question is empty. Ask in words: cite ask "who supplied drones?"')
    if len(kept) > LONGEST_QUESTION:
        raise QuestionError(f"The question has {len(kept)} characters; at most {LONGEST_QUESTION} are read. Shorten it")
    return kept


class Rag(Runnable[str, Answer]):
    """Answers questions from one index. `k` is how many passages are read at most.

    With a `writer` an LLM writes the answer, and `support` checks each of its sentences.
    """

    def __init__(
        self,
        index: Index,
        reader: Reader | None = None,
        threshold: float | None = None,
        k: int = K,
        writer: Writer | None = None,
        support: Support | None = None,
    ) -> None:
        self.index, self.k = index, k
        self.reader: Reader = reader or SpanReader(encoder=index.encoder)
        self.retriever = HybridRetriever(index, k)
        self._citer = Citer(index.catalogue)
        self.threshold = self.reader.threshold if threshold is None else threshold
        self._following = Following(self.reader, self._citer, self.threshold)
        self._fluent: Fluent | None = None
        if writer:
            own = self.reader if isinstance(self.reader, SpanReader) else SpanReader()
            self._fluent = Fluent(writer, support or ReaderSupport(own), self._citer)

    @property
    def model_name(self) -> str:
        """What answers: the LLM, or the reader."""
        return self._fluent.name if self._fluent else self.reader.name

    def warm(self) -> None:
        """Load the models now, so that the first question need not wait."""
        self.index.encoder.query("warm")
        detect("warm")
        chunk = Document(page_content="warm", metadata={"start": 0, "end": 4})
        self.reader.read("warm", [Hit(chunk, 0.0, 0.0)])

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        """The answer. Raises QuestionError for a question that is empty or too long.

        At most `k` passages are read, of `documents` (ids) alone if given; `history` is the conversation so far, for follow-ups.
        """
        return self._call_with_config(self._last, input, config, **kwargs)

    def search(self, question: str, k: int, documents: Collection[str] | None = None) -> list[Hit]:
        """The `k` passages that may answer, unread. Raises QuestionError as `invoke` does."""
        return self.retriever.hits(checked(question), k, documents=documents)

    def stream(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Answer]:
        """The answer as it grows: an LLM's words as they come, or the short form, then each quotation; the last is what `invoke` gives."""
        yield from self._transform_stream_with_config(iter([input]), self._growing, config, **kwargs)

    def _growing(self, questions: Iterator[str], **kwargs: Any) -> Iterator[Answer]:
        (question,) = questions
        if self._fluent:
            yield from self._answers(question, **kwargs)
            return
        answer = self._last(question, **kwargs)
        head, *quotes = answer.text.split("\n\n")
        for count in range(len(answer.citations)):
            yield replace(answer, text="\n\n".join([head, *quotes[:count]]), citations=answer.citations[: count + 1])
        yield answer

    def _last(self, question: str, **kwargs: Any) -> Answer:
        *_, answer = self._answers(question, **kwargs)
        return answer

    def _answers(
        self,
        question: str,
        k: int | None = None,
        documents: Collection[str] | None = None,
        history: Sequence[Exchange] = (),
    ) -> Iterator[Answer]:
        clock = _Clock()
        base = self._answer(question, k, documents, history[-1].question if history else "", clock)
        if self._fluent is None:
            yield base
            return

        def read(other: str) -> list[Reading]:
            return self._read(checked(other), k, base.language, documents, clock)

        for answer in self._fluent.answers(base, read, history):
            clock.lap("llm")
            yield replace(answer, timings_ms=dict(clock.laps))

    def _answer(
        self, question: str, k: int | None, documents: Collection[str] | None, previous: str, clock: "_Clock"
    ) -> Answer:
        question = checked(question)
        language = detect(question)
        clock.lap("language")

        def read(asked: str) -> list[Reading]:
            return self._read(asked, k, language, documents, clock)

        readings = read(question)
        found = Found(question, readings, select(readings, self.threshold), readings)
        if previous.strip() and readings and not names(question) and self.reader.confidence(readings) < SURE:
            found = self._following.found(found, checked(previous[-CARRIED:]), read)
            clock.lap("read")
        citations, dropped = self._resolve(found.chosen)
        nearest = None if citations else self._nearest(found.near)
        clock.lap("cite")
        right = self.reader.confidence(found.readings) if found.readings else 0.0
        return Answer(
            question, bool(citations), compose(citations) if citations else refusal(language), language,
            round(right if citations else 1 - right, 4), self.reader.name, tuple(citations), nearest, tuple(found.readings),
            dropped, clock.laps, found.asked, self.threshold,
        )  # fmt: skip

    def _read(
        self, question: str, k: int | None, language: str, documents: Collection[str] | None, clock: "_Clock"
    ) -> list[Reading]:
        hits = worth_reading(self.retriever.hits(question, k or self.k, language, documents))
        clock.lap("retrieve")
        readings = sorted(self.reader.read(question, hits), key=lambda reading: -reading.relevance)
        clock.lap("read")
        return readings

    def _resolve(self, chosen: Sequence[tuple[Reading, Span]]) -> tuple[list[Citation], int]:
        """Citations numbered from 1, and how many spans did not hold; of several in the same sentence the first stays."""
        citations: list[Citation] = []
        dropped = 0
        for reading, span in chosen:
            made = self._citer.cite(len(citations) + 1, reading.hit, span, reading.relevance)
            if made is None:
                dropped += 1
            elif all((made.document, made.start) != (c.document, c.start) for c in citations):
                citations.append(made)
        return citations, dropped

    def _nearest(self, readings: Sequence[Reading]) -> Citation | None:
        for reading in readings:
            start, end = reading.hit.start, int(reading.hit.chunk.metadata["end"])
            span = reading.spans[0] if reading.spans else Span(start, end, 0.0)
            if made := self._citer.cite(0, reading.hit, span, reading.relevance):
                return made
        return None


class _Clock:
    """Milliseconds of each step."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._started = self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = round(self.laps.get(name, 0) + 1000 * (now - self._last), 1)
        self.laps["total"] = round(1000 * (now - self._started), 1)
        self._last = now
