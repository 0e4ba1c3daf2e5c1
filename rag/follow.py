"""Follow-ups: "And when?" is read together with the question before it, where it follows on that.

Takes what a question finds alone; gives what both find together, or that again. No list of words of any language is needed.
"""

import re
from dataclasses import dataclass, replace

from rag.choose import MOST, same_place, select
from rag.cite import Citer
from rag.fluent import Read
from rag.read import Reader
from rag.types import Reading, Span

AGREED = 0.5  # of its own best relevance that a follow-up has in the passage which the question before leads to
LONG_WORD = re.compile(r"[^\W\d_]{4,}")
OWN_SUBJECT = 3  # long words: such a question is no "and when?", and is not answered with the answer before
CARRIED = 300  # characters of the question before, at most, that a follow-up is read with


@dataclass(frozen=True, slots=True)
class Found:
    """What was read for a question: as it was `asked`, the spans to show, and where to look for the nearest passage if none is."""

    asked: str
    readings: list[Reading]
    chosen: list[tuple[Reading, Span]]
    near: list[Reading]


class Following:
    """Reads a question with the one before it."""

    def __init__(self, reader: Reader, citer: Citer, threshold: float) -> None:
        self._reader, self._citer, self._threshold = reader, citer, threshold

    def found(self, own: Found, before: str, read: Read) -> Found:
        """What the question finds together with the one before, where it follows on that; what it finds alone otherwise."""
        both = f"{before} {own.asked}"
        others = read(both)
        again = self._follows(own.asked, own.readings, others)
        if not again:
            return own
        chosen = [(r, self._within(r, span, again[str(r.hit.chunk.id)])) for r, span in select(others, self._threshold)]
        if len(LONG_WORD.findall(own.asked)) >= OWN_SUBJECT and _echoes(chosen, read(before)):
            return replace(own, near=others)
        return Found(both, others, chosen, others)

    def _follows(self, question: str, alone: list[Reading], both: list[Reading]) -> dict[str, Reading]:
        """Where a question follows on the one before, what it alone reads in the passages that both together lead to.

        It does when both find a surer passage, and the question alone finds there at least about as much as in its own best one.
        """
        if both[0].relevance <= alone[0].relevance:
            return {}
        *there, own = self._reader.read(question, [*(reading.hit for reading in both), alone[0].hit])
        return {str(r.hit.chunk.id): r for r in there} if there[0].relevance >= AGREED * own.relevance else {}

    def _within(self, reading: Reading, span: Span, again: Reading) -> Span:
        """The best new span in the sentence that holds the old one, or the old one."""
        quote = self._citer.cite(0, reading.hit, span, 0.0)
        inside = (new for new in again.spans if quote and quote.start <= new.start and new.end <= quote.end)
        return next(inside, span)


def _echoes(chosen: list[tuple[Reading, Span]], before: list[Reading]) -> bool:
    """Whether the first answer is what the question before was answered with: then nothing was asked of it anew."""
    said = [(reading.hit, span) for reading in before[:MOST] for span in reading.spans[:1]]
    return any(same_place(reading.hit, span, *other) for reading, span in chosen[:1] for other in said)
