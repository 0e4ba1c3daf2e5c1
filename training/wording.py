"""Training questions in other words: another language's, or after another question.

Takes rows, a lexicon and translations; gives questions whose words, or whole wording, are in another language, follow-ups, and rows
whose context is translated.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from training.data import Row, Source, sentences

SWITCHED = 0.5  # of the questions in a language with a lexicon
TRANSLATED = 0.5  # of these, whole questions where there are translations
SWITCHED_WORDS = (0.4, 0.7, 1.0)  # of their known words, drawn for each
FOLLOWING = 0.12  # of the questions come after another one about the same context, as a follow-up is read
WORDS = re.compile(r"((?i:how (?:many|much|long))|\w+)")
SPACELESS = re.compile(r"[^\s]*[\u3040-\u30ff\u4e00-\u9fff]")
LONGEST_WORD = 8  # characters, in Chinese and Japanese
MISTYPED = 0.06  # of the questions
TYPED = re.compile(r"[^\W\d_]{5,}")  # a word long enough to be known with a letter wrong
ELLIPSES = {  # what is left of a question that follows on another: "And when?"
    "en": {
        r"when|(in|on|during|since) (what|which) (year|date|month|day|century)|what (year|date)": "And when?",
        r"where|in (what|which) (city|country|place)": "And where?",
        r"who": "And who?", r"how many": "And how many?", r"how much": "And how much?", r"why": "And why?",
    },
    "fr": {
        r"quand|(en|à|de) quel(le)? (année|date|mois|jour|siècle)|à partir de quand": "Et quand ?",
        r"où|dans quel(le)? (ville|pays|lieu)": "Et où ?",
        r"qui": "Et qui ?", r"combien": "Et combien ?", r"pourquoi": "Et pourquoi ?",
    },
}  # fmt: skip

Lexicon = dict[str, dict[str, dict[str, str]]]  # source language → word → language → word
Told = dict[str, dict[str, str]]  # text → language → translation


def switch(question: str, lexicon: dict[str, dict[str, str]], rng: random.Random, shares: Sequence[float] = SWITCHED_WORDS) -> str:
    """The question with a part of its known words, or all, in one other language, drawn among those that know one of them."""
    parts = list(words(question, lexicon))
    known = sorted({target for part in parts for target in lexicon.get(part.lower(), {})})
    if not known:
        return question
    target, share = rng.choice(known), rng.choice(shares)
    spaced = SPACELESS.match(question) is not None
    told = []
    for part in parts:
        other = lexicon.get(part.lower(), {}).get(target)
        swapped = other is not None and rng.random() < share
        told.append((f" {other} " if spaced else other) if swapped and other is not None else part)
    return " ".join("".join(told).split())


def words(question: str, lexicon: dict[str, dict[str, str]]) -> Iterator[str]:
    """Words and what stands between them, in order; in Chinese and Japanese the longest that the lexicon knows, or single characters."""
    if not SPACELESS.match(question):
        yield from (part for part in WORDS.split(question) if part)
        return
    at = 0
    while at < len(question):
        lengths = range(min(LONGEST_WORD, len(question) - at), 1, -1)
        length = next((n for n in lengths if question[at : at + n] in lexicon), 1)
        yield question[at : at + length]
        at += length


def worded(
    question: str, row: Row, source: Source, lexicon: Lexicon, told: Told, rng: random.Random, switched: float = SWITCHED
) -> str:
    """The question, in FOLLOWING of the cases after another one, `switched` of them in another language, and MISTYPED with a slip."""
    asked = _reworded(question, row, source, lexicon, told, rng, switched)
    return mistyped(asked, rng) if rng.random() < MISTYPED else asked


def mistyped(question: str, rng: random.Random) -> str:
    """The question with a letter inside one of its longer words left out, doubled or before the one that it follows."""
    places = [] if SPACELESS.match(question) else list(TYPED.finditer(question))
    if not places:
        return question
    word = rng.choice(places)
    at = rng.randrange(word.start() + 1, word.end() - 1)
    one, next_one = question[at], question[at + 1]
    return question[:at] + rng.choice((next_one, 2 * one + next_one, next_one + one)) + question[at + 2 :]


def _reworded(question: str, row: Row, source: Source, lexicon: Lexicon, told: Told, rng: random.Random, switched: float) -> str:
    parts = [question]
    if question == row.question and rng.random() < FOLLOWING:
        parts = followed(source, row, rng)
    if rng.random() < switched:
        others = [told.get(part, {}) for part in parts]
        common = sorted(set(others[0]).intersection(*others[1:]))
        if common and rng.random() < TRANSLATED:
            language = rng.choice(common)
            return " ".join(other[language] for other in others)
        if known := lexicon.get(source.language):
            return switch(" ".join(parts), known, rng)
    return " ".join(parts)


def followed(source: Source, row: Row, rng: random.Random) -> list[str]:
    """A question about the same context, then the row's: only what it asks for ("And when?") where one sentence answers both."""
    before = rng.choice(source.beside.get(row.context, [row]))
    if before.question == row.question:
        return [row.question]
    first, last = min(before.start, row.start), max(before.end, row.end)
    if any(a <= first and last <= b for a, b in sentences(row.context)):
        for pattern, short in ELLIPSES.get(source.language, {}).items():
            asked = [bool(re.match(rf"(?:{pattern})\b", other.question, re.IGNORECASE)) for other in (before, row)]
            if asked == [False, True]:
                return [before.question, short]
    return [before.question, row.question]


def told(row: Row, others: dict[str, str], rng: random.Random) -> Row:
    """The row with its context in another language, where the answer stands there in the same words, once; else the row."""
    answer = row.context[row.start : row.end]
    fit = [context for _, context in sorted(others.items()) if row.start >= 0 and context.count(answer) == 1]
    if not fit:
        return row
    context = rng.choice(fit)
    start = context.index(answer)
    return replace(row, context=context, start=start, end=start + len(answer))
