"""Documents to chunks: whole sentences, exact offsets.

Takes a Document and a counter of tokens; gives chunks (Documents too) of at most `MAX_TOKENS`, each beginning with the
last sentence of the one before. `document.page_content[start:end] == chunk.page_content`, always. Owns sentencex, chosen by the table
in docs/decisions.md.
"""

from collections.abc import Callable
from itertools import pairwise

import sentencex
from langchain_core.documents import Document

VERSION = "1"  # raise it when the same text would be cut otherwise: an index records it
MAX_TOKENS = 128
BLOCK = 20_000  # characters handed to sentencex at once, cut at a line's end where there is one

Range = tuple[int, int]
TokenSpans = Callable[[list[str]], list[list[Range]]]  # for each text, the character range of each token


def sentences(text: str, language: str) -> list[Range]:
    """Character ranges of the sentences, in order, without the space around them."""
    ranges: list[Range] = []
    for start, end in _blocks(text):
        block = text[start:end]
        for found in sentencex.get_sentence_boundaries(language, block):
            ranges.extend(_lines(text, start + found["start_index"], start + found["end_index"]))
    return ranges


def _blocks(text: str) -> list[Range]:
    cuts = [0]
    while len(text) - cuts[-1] > BLOCK:
        line = text.rfind("\n", cuts[-1] + 1, cuts[-1] + BLOCK)
        cuts.append(line + 1 if line > 0 else cuts[-1] + BLOCK)
    return list(pairwise([*cuts, len(text)]))


def _lines(text: str, start: int, end: int) -> list[Range]:
    """The range cut at line ends and stripped; a paragraph's end always ends a sentence."""
    ranges = []
    for line in text[start:end].splitlines(keepends=True):
        if line.strip():
            ranges.append(_stripped(text, start, start + len(line)))
        start += len(line)
    return ranges


def split(document: Document, token_spans: TokenSpans) -> list[Document]:
    """The document's chunks in order.

    Each has the document's metadata and `document` (its id), `start`, `end` (characters of its text) and `number` (from 0).
    """
    text = document.page_content
    found = sentences(text, document.metadata["language"])
    pieces = [piece for part in _parts(text, found, token_spans) for piece in part]
    chunks = []
    for number, (start, end) in enumerate(_pack(pieces)):
        metadata = {**document.metadata, "document": document.id, "start": start, "end": end, "number": number}
        chunks.append(Document(id=f"{document.id}:{start}-{end}", page_content=text[start:end], metadata=metadata))
    return chunks


def _parts(text: str, found: list[Range], token_spans: TokenSpans) -> list[list[tuple[int, int, int]]]:
    """Each sentence as (start, end, tokens), one longer than a chunk cut between tokens."""
    parts = []
    for (start, end), tokens in zip(found, token_spans([text[a:b] for a, b in found]), strict=True):
        groups = [tokens[i : i + MAX_TOKENS] for i in range(0, len(tokens), MAX_TOKENS)] or [[(0, end - start)]]
        cuts = [0, *(group[0][0] for group in groups[1:]), end - start]
        ranges = [_stripped(text, start + a, start + b) for a, b in pairwise(cuts)]
        parts.append([(a, b, len(group)) for (a, b), group in zip(ranges, groups, strict=True) if b > a])
    return parts


def _stripped(text: str, start: int, end: int) -> Range:
    """The range without space at its edges."""
    body = text[start:end].strip()
    start += text[start:end].index(body)
    return start, start + len(body)


def _pack(pieces: list[tuple[int, int, int]]) -> list[Range]:
    """Ranges of consecutive pieces of at most MAX_TOKENS, overlapping by one piece where both fit."""
    ranges: list[Range] = []
    first = 0
    while first < len(pieces):
        last, total = first, pieces[first][2]
        while last + 1 < len(pieces) and total + pieces[last + 1][2] <= MAX_TOKENS:
            last += 1
            total += pieces[last][2]
        ranges.append((pieces[first][0], pieces[last][1]))
        if last + 1 == len(pieces):
            break
        overlaps = last > first and pieces[last][2] + pieces[last + 1][2] <= MAX_TOKENS
        first = last if overlaps else last + 1
    return ranges
