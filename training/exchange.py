"""Questions that ask for something else: a name, a number or a telling word exchanged, beside the window that answered them.

Takes rows; gives examples without an answer. Who supplied trucks does not answer who supplied drones.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from training.data import NAME, NUMBER, Example, Row, Source, sentences, window

ALPHABETIC = re.compile(r"(\w+['’ ])([^\W\d_\u3040-\u9fff]{4,})\b")
JAPANESE = re.compile(r"(?<![\u4e00-\u9fff])([\u4e00-\u9fff]{2,4}|[\u30a1-\u30fc]{2,})([\u3041-\u3096])")
OFTEN = 0.01  # of a file's questions have the word: it says what kind of question this is
STEM, ENDING = 4, 2  # characters that two forms of a word share; that words of one kind do
TRIED = 30  # questions that lend a name


class Word(NamedTuple):
    """A word of a question, where it begins, and its kind: words of one kind stand in each other's place."""

    text: str
    start: int
    kind: str


def changed(row: Row, source: Source, budget: int, rng: random.Random) -> Example | None:
    """The answer's window under the question with a word exchanged for one that the context does not have.

    It is a telling word of the sentence that answers, for one that another question has in its place, of the same article where it
    can; or a name or number of the context.
    """
    for make in rng.sample((_reworded, _renamed), 2):
        if row.start >= 0 and (question := make(row, source, rng)):
            return Example(question, window(row, budget, rng).window, -1, -1)
    return None


def telling(question: str) -> Iterator[Word]:
    """The longer words: of one kind after the same word with the same ending and case, in Japanese before the same particle."""
    for match in ALPHABETIC.finditer(question):
        before, word = match.groups()
        yield Word(word, match.start(2), f"{before.lower()}{word[-ENDING:].lower()}{word[0].isupper()}")
    for match in JAPANESE.finditer(question):
        word, after = match.groups()
        yield Word(word, match.start(1), f"{len(word)}{word[0] < '一'}{after}")


@cache
def _lent(source: Source) -> dict[str, list[str]]:
    """The telling words of all questions by kind, and by title and kind."""
    asked = [(row, list(telling(row.question))) for row in source.rows]
    often = Counter(word.text.lower() for _, words in asked for word in words)
    found = defaultdict(list)
    for row, words in asked:
        for word in words:
            if often[word.text.lower()] < OFTEN * len(source.rows):
                found[word.kind].append(word.text)
                found[row.title + word.kind].append(word.text)
    return found


def _reworded(row: Row, source: Source, rng: random.Random) -> str | None:
    lent, context = _lent(source), row.context.lower()
    sentence = next((row.context[a:b].lower() for a, b in sentences(row.context) if a <= row.start < b), "")
    found = [word for word in telling(row.question) if word.text in lent[word.kind] and _stem(word.text) in sentence]
    for word in rng.sample(found, len(found)):
        for others in (lent[row.title + word.kind], lent[word.kind]):
            if fit := [other for other in others if _stem(other) not in context]:
                return _put(row.question, word.text, word.start, fit, rng)
    return None


def _renamed(row: Row, source: Source, rng: random.Random) -> str | None:
    context, kinds = row.context.lower(), (NUMBER, NAME)
    found = [(kind, match) for kind in kinds for match in kind.finditer(row.question) if match[0].lower() in context]
    if not found:
        return None
    kind, match = rng.choice(found)
    others = [other[0] for asked in rng.sample(source.rows, min(TRIED, len(source.rows))) for other in kind.finditer(asked.question)]
    return _put(row.question, match[0], match.start(), [other for other in others if other.lower() not in context], rng)


def _stem(word: str) -> str:
    return word.lower() if JAPANESE.match(f"{word}の") else word[:STEM].lower()


def _put(question: str, word: str, start: int, others: list[str], rng: random.Random) -> str | None:
    return question[:start] + rng.choice(others) + question[start + len(word) :] if others else None
