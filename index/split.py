"""Documents to chunks: whole sentences, exact offsets.

Takes a Document and a counter of tokens; gives chunks (Documents too) of at most `MAX_TOKENS`, each beginning with the
last sentence of the one before. `document.page_content[start:end] == chunk.page_content`, always. Owns sentencex, chosen by the table
in docs/decisions.md.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise

import sentencex
from langchain_core.documents import Document

from index.language import of_chunk
from index.load import place_at

VERSION = "2"  # raise it when the same text would be cut otherwise: an index records it
MAX_TOKENS = 128
AT_ONCE = 1000  # sentences whose tokens are counted together
UNMARKED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Burmese, Khmer
SPACE = re.compile(r"\s+")
PHRASE = 120  # characters, at least, of a part of their text that stands for a sentence
BLOCK = 20_000  # characters handed to sentencex at once, cut at a line's end where there is one

Range = tuple[int, int]
TokenSpans = Callable[[list[str]], list[list[Range]]]  # for each text, the character range of each token


def sentences(text: str, language: str) -> Iterator[Range]:
    """Character ranges of the sentences, in order, without the space around them."""
    for block in _blocks(text):
        yield from _sentences_of(text, language, block)


def sentences_around(text: str, language: str, start: int, end: int) -> list[Range]:
    """Those of `sentences` in the blocks that `start` to `end` touches: a large text is not cut for one quote."""
    found: list[Range] = []
    for block in _blocks(text):
        if block[0] >= end:
            break
        if block[1] > start:
            found.extend(_sentences_of(text, language, block))
    return found


def _sentences_of(text: str, language: str, block: Range) -> list[Range]:
    start, end = block
    ranges: list[Range] = []
    for found in sentencex.get_sentence_boundaries(language, text[start:end]):
        ranges.extend(_lines(text, start + found["start_index"], start + found["end_index"]))
    return ranges


def _blocks(text: str) -> Iterator[Range]:
    start = 0
    while len(text) - start > BLOCK:
        line = text.rfind("\n", start + 1, start + BLOCK)
        end = line + 1 if line > 0 else start + BLOCK
        yield start, end
        start = end
    yield start, len(text)


def _lines(text: str, start: int, end: int) -> list[Range]:
    """The range cut at line ends and stripped; a paragraph's end always ends a sentence."""
    ranges: list[Range] = []
    for line in text[start:end].splitlines(keepends=True):
        if line.strip():
            ranges.extend(_phrases(text, *_stripped(text, start, start + len(line))))
        start += len(line)
    return ranges


def _phrases(text: str, start: int, end: int) -> Iterator[Range]:
    """The range itself; in scripts whose sentences have no mark at their end, cut at spaces into parts of some PHRASE characters."""
    if UNMARKED.search(text, start, end):
        while end - start > 2 * PHRASE and (space := SPACE.search(text, start + PHRASE, end)):
            yield start, space.start()
            start = space.end()
    yield start, end


def split(document: Document, token_spans: TokenSpans) -> Iterator[Document]:
    """The document's chunks in order, made as they are asked for.

    Each has the document's metadata and `document` (its id), `start`, `end` (characters of its text), `number` (from 0), its own
    `language`, and in place of `places` the `place` where it begins.
    """
    text, meta = document.page_content, document.metadata
    places = meta.get("places", [])
    shared = {name: value for name, value in meta.items() if name != "places"}
    pieces = _pieces(text, sentences(text, meta["language"]), token_spans)
    for number, (start, end) in enumerate(_pack(pieces)):
        content = text[start:end]
        own = {"document": document.id, "start": start, "end": end, "number": number, "place": place_at(places, start)}
        metadata = {**shared, **own, "language": of_chunk(content, meta["language"])}
        yield Document(id=f"{document.id}:{start}-{end}", page_content=content, metadata=metadata)


def _pieces(text: str, found: Iterator[Range], token_spans: TokenSpans) -> Iterator[tuple[int, int, int]]:
    """Each sentence as (start, end, tokens), one longer than a chunk cut between tokens."""
    while some := list(islice(found, AT_ONCE)):
        for (start, end), tokens in zip(some, token_spans([text[a:b] for a, b in some]), strict=True):
            groups = [tokens[i : i + MAX_TOKENS] for i in range(0, len(tokens), MAX_TOKENS)] or [[(0, end - start)]]
            cuts = [0, *(group[0][0] for group in groups[1:]), end - start]
            ranges = [_stripped(text, start + a, start + b) for a, b in pairwise(cuts)]
            yield from ((a, b, len(group)) for (a, b), group in zip(ranges, groups, strict=True) if b > a)


def _stripped(text: str, start: int, end: int) -> Range:
    """The range without space at its edges."""
    body = text[start:end].strip()
    start += text[start:end].index(body)
    return start, start + len(body)


def _pack(pieces: Iterable[tuple[int, int, int]]) -> Iterator[Range]:
    """Ranges of consecutive pieces of at most MAX_TOKENS, overlapping by one piece where both fit."""
    held: list[tuple[int, int, int]] = []
    for piece in pieces:
        if held and sum(tokens for *_, tokens in held) + piece[2] > MAX_TOKENS:
            yield held[0][0], held[-1][1]
            held = held[-1:] if len(held) > 1 and held[-1][2] + piece[2] <= MAX_TOKENS else []
        held.append(piece)
    if held:
        yield held[0][0], held[-1][1]
