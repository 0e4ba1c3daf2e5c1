"""Words of one kind: who asks for another of the kind asks for something else, who asks for the kind asks for the same more widely.

Takes `kinds.tsv`, written for this: language, the word for the kind (or none), and words of it, no two for the same thing. Gives questions
with one word exchanged. Who supplied tanks does not answer who supplied drones; it does answer who supplied weapons.
"""

import random
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

KINDS = Path(__file__).parent / "kinds.tsv"
MATCH = {  # how a word of the table stands in a text; elsewhere as it is
    "en": r"\b({})(?=s?\b)",
    "fr": r"\b({})(?=[sx]?\b)",
    "tr": r"\b({})(?=\b|(?<=\w{{4}})\w)",
    "ar": r"(?:\b|(?<=\b[بلف]ال)|(?<=\bال)|(?<=\bلل))({})\b",
}
AFTER = "of in is was did does are were to that who has have had for on at by from with can will".split()
ALONE = {  # what follows a word that is no part of another one, as "heart" is of "heart disease"
    "en": re.compile(rf"s?(?: (?:{'|'.join(AFTER)})\b|[?,.]|$)"),
    "tr": re.compile(r"\b"),
}


class Kind(NamedTuple):
    """A word for a kind, "" where there is none, and the words of it."""

    name: str
    words: list[str]


def another(question: str, context: str, language: str, but: Collection[str], rng: random.Random) -> str | None:
    """The question asking for another of a kind, not named in the context; None where it has no word of the table but those of `but`."""
    context = context.lower()
    for match in _shuffled(question, language, rng):
        if match[1].lower() in but:
            continue
        others = {word for kind in _kinds(language)[match[1].lower()] for word in kind.words}
        if fit := sorted(word for word in others if word not in context and word not in question.lower()):
            return _put(question, match, rng.choice(fit))
    return None


def wider(question: str, language: str, rng: random.Random) -> str:
    """The question asking for the kind in place of one of it; as it is where it has no word of the table, or a part of a name."""
    for match in _shuffled(question, language, rng):
        alone = language not in ALONE or ALONE[language].match(question, match.end(1))
        if match[1][0].isupper() or not alone:
            continue
        if names := [kind.name for kind in _kinds(language)[match[1].lower()] if kind.name]:
            return _put(question, match, rng.choice(names))
    return question


def _shuffled(question: str, language: str, rng: random.Random) -> Iterator[re.Match[str]]:
    found = [match for match in _pattern(language).finditer(question) if match[1].lower() in _kinds(language)]
    yield from rng.sample(found, len(found))


def _put(question: str, match: re.Match[str], word: str) -> str:
    start, end = match.span(1)
    return question[:start] + (word.capitalize() if match[1][0].isupper() else word) + question[end:]


@cache
def _kinds(language: str) -> dict[str, list[Kind]]:
    """Word → the kinds that it is of."""
    found: dict[str, list[Kind]] = {}
    for line in KINDS.read_text(encoding="utf-8").splitlines():
        own, name, listed = line.split("\t")
        kind = Kind(name, [word.lower() for word in listed.split(", ")])
        for word in kind.words if own == language else ():
            found.setdefault(word, []).append(kind)
    return found


@cache
def _pattern(language: str) -> re.Pattern[str]:
    longest_first = sorted(_kinds(language), key=len, reverse=True)
    return re.compile(MATCH.get(language, "({})").format("|".join(map(re.escape, longest_first))), re.IGNORECASE)
