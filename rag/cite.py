"""Spans to citations: the exact sentences, checked against the source's own characters.

Takes spans and the documents they point into; gives numbered `Citation`s and counts what does not hold. Nothing is ever found
again by likeness: a citation is a range, or it is dropped.
"""

from bisect import bisect_right

from langchain_core.documents import Document

from index.catalogue import Catalogue
from index.load import place_at
from index.split import Range, sentences_around
from rag.memo import Recent
from rag.types import Citation, Hit, Span

KEPT = 64  # documents whose text stays in memory


class Citer:
    """Makes citations into the documents of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._kept = Recent[Document](KEPT)

    def cite(self, number: int, hit: Hit, span: Span, score: float) -> Citation | None:
        """The citation of a span with the sentences around it; None when the document is gone or does not hold it."""
        identity = hit.chunk.metadata["document"]
        if (document := self._document(identity)) is None:
            return None
        text = document.page_content
        if (
            not 0 <= span.start < span.end <= len(text)
            or text[hit.start : hit.chunk.metadata["end"]] != hit.chunk.page_content
        ):
            return None
        meta = document.metadata
        start, end = enclosing(sentences_around(text, meta["language"], span.start, span.end), span)
        return Citation(
            number, identity, meta["title"], meta["source"], start, end, text[start:end], text[span.start : span.end],
            span.start, span.end, hit.chunk.metadata["language"], score, place_at(meta.get("places", []), span.start),
        )  # fmt: skip

    def _document(self, identity: str) -> Document | None:
        # The catalogue is asked each time: a document may have been removed since.
        if not self._catalogue.has(identity):
            return None
        document = self._kept.get(identity)
        if document is None and (document := self._catalogue.get(identity)) is not None:
            self._kept.put(identity, document)
        return document


def enclosing(ranges: list[Range], span: Span) -> Range:
    """From the start of the sentence that holds the span's start to the end of the one that holds its end."""
    starts = [start for start, _ in ranges]
    first = max(0, bisect_right(starts, span.start) - 1)
    last = max(0, bisect_right(starts, span.end - 1) - 1)
    return min(ranges[first][0], span.start), max(ranges[last][1], span.end)
