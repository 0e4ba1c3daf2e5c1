"""An LLM's answer, sentence by sentence, each checked against the passages it cites before it counts.

Takes the reader's answer and a `Writer`; gives Answers as the text grows. A number resolves to a passage that was shown, or is dropped;
a sentence is supported where a passage bears it out, and is then cited with that passage's own words. Whatever goes wrong with the
LLM, the reader's answer stands, with a note.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from index.split import sentences
from rag.cite import Citer
from rag.generate import LlmError, Writer
from rag.messages import refusal
from rag.support import Support
from rag.types import Answer, Citation, Exchange, Hit, Reading, Statement

PASSAGES = 6  # shown to the LLM
OTHERS = 3  # passages not cited that a sentence is held against when the cited ones do not bear it out
SURE = 0.5  # the reader's confidence from which a question without a conversation need not be taken apart
UNSUPPORTED = "[?]"  # after a sentence that no passage bears out, in plain text
NUMBERS = r"[\[【]\s*\d{1,3}(?:\s*[,;–†-][^\]】\n]{0,12})*\s*[\]】]"
MARKER = re.compile(rf"\s*{NUMBERS}")
LEADING = re.compile(rf"^(?:\s*{NUMBERS})+[.,;。]?")
HALF = re.compile(r"\s*[\[【][\d\s,;–†-]*$")  # a marker that the stream has not ended
FORMATTING = re.compile(r"^#+\s+|\*\*|__|`+")
NOTHING = ("", False, 0)  # no sentence

Read = Callable[[str], list[Reading]]


class Fluent:
    """Answers with an LLM. `read` gives the reader's readings of a question, best first."""

    def __init__(self, writer: Writer, support: Support, citer: Citer) -> None:
        self._writer, self._support, self._citer = writer, support, citer
        self.name = writer.name

    def answers(self, base: Answer, read: Read, history: Sequence[Exchange] = ()) -> Iterator[Answer]:
        """The answer as it grows; `base` is the reader's, which the last is when the LLM fails."""
        asked, readings = base.asked or base.question, list(base.readings)
        if history or base.confidence < SURE or not base.answered:
            asked, *parts = self._writer.plan(base.question, history)
            readings = _merged([readings, *(read(other) for other in dict.fromkeys((asked, *parts)) if other != base.asked)])
        if not readings:
            yield base
            return
        base = replace(base, asked=asked, readings=tuple(readings))
        draft = _Draft(base, [reading.hit for reading in readings[:PASSAGES]], self._writer, self._support, self._citer)
        try:
            for piece in self._writer.write(base.question, base.language, draft.passages, history, asked):
                draft.add(piece)
                yield draft.answer()
            draft.end()
        except LlmError as error:
            yield replace(base, note=f"{self._writer.name} did not answer ({error}). This is the answer without it.")
            return
        yield draft.whole()


def _merged(found: Sequence[Sequence[Reading]]) -> list[Reading]:
    """The readings of several questions in turn, each passage once."""
    kept: dict[str, Reading] = {}
    for rank in range(max(map(len, found))):
        for readings in found:
            if rank < len(readings):
                kept.setdefault(str(readings[rank].hit.chunk.id), readings[rank])
    return list(kept.values())


class _Draft:
    """What the LLM has said so far: sentences that are whole, checked, and the one in hand."""

    def __init__(self, base: Answer, passages: list[Hit], writer: Writer, support: Support, citer: Citer) -> None:
        self.passages = passages
        self._base, self._writer, self._support, self._citer = base, writer, support, citer
        self._said, self._dropped = "", 0
        self._rest = NOTHING
        self._statements: list[Statement] = []
        self._citations: list[Citation] = []

    def add(self, piece: str) -> None:
        """Take in what came; check the sentences that are whole now: those with another after them."""
        self._said += piece
        *whole, self._rest = self._cut() or [NOTHING]
        self._check(whole)

    def end(self) -> None:
        """No more comes: what is there is whole."""
        self._check(self._cut())

    def _cut(self) -> list[tuple[str, bool, int]]:
        return _sentences(HALF.sub("", self._said), self._base.language)

    def _check(self, whole: list[tuple[str, bool, int]]) -> None:
        for text, line, _ in whole:
            if any(character.isalnum() for character in MARKER.sub("", text)):
                self._statements.append(self._statement(text, line and bool(self._statements)))
        self._said = self._said[whole[-1][2] :] if whole else self._said  # checked sentences are not cut again

    def _statement(self, text: str, line: bool) -> Statement:
        """The sentence checked: against what it cites, else against what else was shown."""
        given = list(dict.fromkeys(int(n) for mark in MARKER.finditer(text) for n in re.findall(r"(?<!†)\b\d{1,3}\b", mark[0])))
        cited = [n for n in given if 1 <= n <= len(self.passages)]
        self._dropped += len(given) - len(cited)
        bare = _bare(text)
        if self._refuses(bare):
            return Statement(bare, (), False, 0.0, line)
        others = [n for n in range(1, len(self.passages) + 1) if n not in cited][:OTHERS]
        numbers, best = self._borne_out(bare, cited)
        if not numbers:
            self._dropped += len(cited)
            found, also = self._borne_out(bare, others)
            numbers, best = found[:1], max(best, also)
        return Statement(bare, tuple(numbers), bool(numbers), round(best, 4), line)

    def _borne_out(self, sentence: str, shown: list[int]) -> tuple[list[int], float]:
        """The numbers of the citations of those passages that bear the sentence out, surest first, and the best probability."""
        hits = [self.passages[n - 1] for n in shown]
        found = sorted(zip(self._support.check(sentence, hits), hits, strict=True), key=lambda pair: -pair[0].probability)
        numbers: list[int] = []
        for backing, hit in found:
            if backing.probability >= self._support.threshold:
                number = self._number(self._citer.cite(len(self._citations) + 1, hit, backing.span, backing.probability))
                numbers += [number] if number and number not in numbers else []
        return sorted(numbers), max((backing.probability for backing, _ in found), default=0.0)

    def _number(self, made: Citation | None) -> int:
        """The number under which a quote is cited, new or not; 0 where it does not hold."""
        if made is None:
            self._dropped += 1
            return 0
        for known in self._citations:
            if (known.document, known.start, known.end) == (made.document, made.start, made.end):
                return known.number
        self._citations.append(made)
        return made.number

    def answer(self) -> Answer:
        """What can be shown while more comes: the sentence in hand without its markers, unchecked."""
        rest = _bare(self._rest[0])
        shown = [*self._statements, Statement(rest, line=self._rest[1])] if rest else self._statements
        return self._made([s for s in shown if s.supported is not False] if self._writer.strict else shown)

    def whole(self) -> Answer:
        """The whole answer; the refusal where the LLM refused; where nothing is borne out the reader's answer, or, strict, the refusal."""
        kept = [s for s in self._statements if s.supported or not (self._writer.strict or self._refuses(s.text))]
        base = replace(self._base, dropped=self._dropped)
        if any(statement.supported for statement in kept):
            return self._made(kept)
        if self._writer.strict or any(self._refuses(statement.text) for statement in self._statements):
            nearest = base.nearest or (replace(base.citations[0], number=0) if base.citations else None)
            return replace(
                base, answered=False, text=refusal(base.language), citations=(), nearest=nearest, model=self._writer.name,
                confidence=0.0,
            )  # fmt: skip
        return replace(base, note=f"No passage bears out what {self._writer.name} said. This is the answer without it.")

    def _refuses(self, sentence: str) -> bool:
        known = (refusal(self._base.language), refusal("en"))
        return sentence.strip(" .。") in {text.strip(" .。") for text in known}

    def _made(self, statements: list[Statement]) -> Answer:
        supported = [statement.support for statement in statements if statement.supported]
        return replace(
            self._base, answered=True, text=plain(statements), citations=tuple(self._citations), nearest=None,
            model=self._writer.name, confidence=round(sum(supported) / max(1, len(statements)), 4), dropped=self._dropped,
            statements=tuple(statements),
        )  # fmt: skip


def plain(statements: Sequence[Statement]) -> str:
    """The sentences with [n] after those that are borne out, and UNSUPPORTED after those that are not."""
    parts = []
    for statement in statements:
        marks = "".join(f"[{number}]" for number in statement.citations) or (UNSUPPORTED if statement.supported is False else "")
        parts.append(("\n" if statement.line else " ") + f"{statement.text} {marks}".rstrip())
    return "".join(parts).strip()


def _bare(text: str) -> str:
    """The sentence without its markers and without Markdown's marks."""
    return " ".join(FORMATTING.sub("", MARKER.sub("", text)).split())


def _sentences(said: str, language: str) -> list[tuple[str, bool, int]]:
    """(sentence with its markers, whether it begins a line, its end); markers at a sentence's start are those of the one before."""
    found: list[tuple[str, bool, int]] = []
    before = 0
    for start, end in sentences(said, language):
        text, line = said[start:end], "\n" in said[before:start]
        if found and (marks := LEADING.match(text)):
            found[-1] = (found[-1][0] + marks[0], found[-1][1], start + marks.end())
            text = text[marks.end() :].strip()
        if text:
            found.append((text, line, end))
        before = end
    return found
