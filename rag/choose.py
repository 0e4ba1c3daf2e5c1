"""Which spans are shown, and in what words an answer without an LLM says them.

Takes readings, then citations; gives the spans worth citing, then the answer's text.
"""

from collections.abc import Sequence

from rag.types import Citation, Hit, Reading, Span, by_answer

SEVERAL = 0.2  # of the best reading's relevance: another source this sure is shown beside it
MOST = 3  # different answers shown
MOST_CITATIONS = 4


def select(readings: Sequence[Reading], threshold: float) -> list[tuple[Reading, Span]]:
    """The spans to show, from readings in order of relevance: the best, and others nearly as sure from other words."""
    if not readings or readings[0].relevance < threshold:
        return []
    floor = max(threshold, SEVERAL * readings[0].relevance)
    chosen: list[tuple[Reading, Span]] = []
    for reading in readings:
        if reading.relevance < floor or not reading.spans or len(chosen) == MOST_CITATIONS:
            continue
        span = reading.spans[0]
        if not any(same_place(reading.hit, span, other.hit, there) for other, there in chosen):
            chosen.append((reading, span))
    return chosen


def same_place(a: Hit, x: Span, b: Hit, y: Span) -> bool:
    """Whether a span in one hit and a span in another share words of the same document."""
    return a.chunk.metadata["document"] == b.chunk.metadata["document"] and x.start < y.end and y.start < x.end


def compose(citations: Sequence[Citation]) -> str:
    """The text of an answer without an LLM: the short answers with their numbers, then each quotation, verbatim."""
    heads = [group[0].answer + " " + "".join(f"[{c.number}]" for c in group) for group in by_answer(citations)[:MOST]]
    return "\n\n".join(["; ".join(heads), *(f"> {c.quote} [{c.number}]".replace("\n", "\n> ") for c in citations)])
