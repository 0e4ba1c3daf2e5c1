"""From the network's logits to words: a passage's best spans, as whole words with their offsets in the document.

Takes start and end logits of a tokenised pair; gives `Span`s.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from index.lexical import NO_SPACES
from rag.types import Hit, Span

LONGEST_ANSWER = 40  # tokens
SPANS = 3  # kept of each passage
OUTSIDE = -5e3  # a lower score has a token outside the passage, which the network masks with -1e4
NO_SPAN = -10.0  # the margin of a passage with no span at all
EDGES = " \t\n\r,;:"  # never part of an answer
FULL_STOPS = ".。،"
BRACKETS = (("(", ")"), ("[", "]"), ("（", "）"))
PAIRS = (("«", "»"), ("“", "”"), ("„", "“"), ("「", "」"), *BRACKETS)


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
