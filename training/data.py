"""Rows of question, context and answer, and windows cut from them as the reader will meet them.

Takes the folder of JSON-lines files; gives windows of whole sentences around the answer, and windows that nearly answer.
`training.stream` draws from them.
"""

import gzip
import itertools
import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

SHARES = {  # of the stream; French and encyclopaedic text weigh more, the two large sets less
    "piaf.fr": 0.18, "squadshifts-newwiki.en": 0.20, "squadshifts-reddit.en": 0.07, "squadshifts-amazon.en": 0.06,
    "policyqa.en": 0.02, "jaquad.ja": 0.13, "drcd.zh": 0.13, "cmrc2018.zh": 0.06, "arcd.ar": 0.05, "thquad.tr": 0.10,
}  # fmt: skip
HELD_OUT = 25  # one context in so many is kept for validation and calibration
BUDGETS = (120, 300, 420, 420, 560, 560, 800)  # characters of a window in an alphabet; CJK windows take 0.4 of it
LEAST = 20  # characters of a context without the answer's sentences
SENTENCE_END = re.compile(r"(?<=[.!?؟])\s+|(?<=[。！？])|\n+")
WORD = re.compile(r"\w+")
NUMBER = re.compile(r"\d[\d.,]*\d|\d")
NAME = re.compile(r"(?<=[\w,] )[A-ZÀ-ÞİŞĞ][\w’'-]+(?: [A-ZÀ-ÞİŞĞ][\w’'-]+)*")  # not the question's first word

@dataclass(frozen=True, slots=True)
class Example:
    """A question and a window; `start` and `end` are characters of the window, or -1 where it holds no answer."""

    question: str
    window: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a data file, its first answer only."""

    question: str
    context: str
    title: str
    start: int
    end: int
    id: str = ""
    asked_in: str = ""  # the question's language, where it is ours


@dataclass(slots=True, eq=False)
class Source:
    """The rows of one file, its contexts by title, its share of the stream, and its answered rows by context."""

    language: str
    rows: list[Row]
    contexts: dict[str, list[str]] = field(default_factory=dict)
    share: float = 1
    beside: dict[str, list[Row]] = field(init=False)

    def __post_init__(self) -> None:
        self.beside = defaultdict(list)
        for row in self.rows:
            if row.start >= 0:
                self.beside[row.context].append(row)


def read_rows(path: Path) -> list[Row]:
    """The file's rows; raises FileNotFoundError naming it when it is missing."""
    rows = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            answers = item["answers"]
            start, text = (answers[0]["start"], answers[0]["text"]) if answers else (-1, "")
            trimmed = text.rstrip(" .,;:،。、")
            end = start + len(trimmed or text)
            rows.append(Row(item["question"].lstrip("- "), item["context"], item["title"], start, end, str(item["id"])))
    return rows


def sources(folder: Path, held_out: bool = False) -> dict[str, Source]:
    """Each training file's rows without the held-out contexts, or those alone."""
    found = {}
    for name, share in SHARES.items():
        rows = read_rows(folder / "train" / f"{name}.jsonl.gz")
        order = {context: i for i, context in enumerate(dict.fromkeys(row.context for row in rows))}
        kept = [row for row in rows if (order[row.context] % HELD_OUT == 0) == held_out]
        contexts: dict[str, set[str]] = defaultdict(set)
        for row in kept:
            contexts[row.title].add(row.context)
        found[name] = Source(name.rsplit(".", 1)[1], kept, {title: sorted(c) for title, c in contexts.items()}, share)
    return found


def sentences(text: str) -> list[tuple[int, int]]:
    """Rough sentence ranges that cover the text: quick, for windows only."""
    cuts = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    return [(a, b) for a, b in itertools.pairwise(cuts) if b > a]


def window(row: Row, budget: int, rng: random.Random) -> Example:
    """Whole sentences around the answer, grown at random to either side up to `budget` characters."""
    a, b = grown(row.context, row.start, row.end, budget, rng)
    return Example(row.question, row.context[a:b], row.start - a, row.end - a)


def without_answer(row: Row, budget: int, rng: random.Random) -> Example | None:
    """The window with the answer's sentences cut out: the nearest miss there is. None where little is left."""
    ranges = sentences(row.context)
    before = "".join(row.context[a:b] for a, b in ranges if b <= row.start)
    after = "".join(row.context[a:b] for a, b in ranges if a >= row.end)
    text, answer = before + after, row.context[row.start : row.end]
    if len(text) < LEAST or answer.lower() in text.lower():
        return None
    at = min(len(before), len(text) - 1)
    a, b = grown(text, at, at, budget, rng)
    return Example(row.question, text[a:b], -1, -1)


def grown(context: str, start: int, end: int, budget: int, rng: random.Random) -> tuple[int, int]:
    """The range of the whole sentences that hold `start` to `end`, and of others beside them, up to `budget` characters.

    Windows with and without the answer are cut alike: a slice that begins inside a word would tell that it holds none.
    """
    ranges = sentences(context)
    first = next((i for i, (_, b) in enumerate(ranges) if start < b), 0)
    last = next((i for i, (_, b) in enumerate(ranges) if end <= b and i >= first), len(ranges) - 1)
    while True:
        sides = []
        if first > 0 and ranges[last][1] - ranges[first - 1][0] <= budget:
            sides.append(-1)
        if last + 1 < len(ranges) and ranges[last + 1][1] - ranges[first][0] <= budget:
            sides.append(1)
        if not sides:
            return ranges[first][0], ranges[last][1]
        if rng.choice(sides) < 0:
            first -= 1
        else:
            last += 1


def other_context(row: Row, source: Source, budget: int, rng: random.Random) -> Example | None:
    """Of up to 12 other contexts of the same article, the one sharing most words or bigrams with the question."""
    answer = row.context[row.start : row.end].lower()
    pool = [c for c in source.contexts[row.title] if c != row.context]
    pool = rng.sample(pool, min(12, len(pool)))
    pool = [c for c in pool if not answer or answer not in c.lower()]
    if not pool:
        return None
    grams = _grams(row.question)
    return part_of(row, max(pool, key=lambda c: len(grams & _grams(c)) / (len(c) ** 0.5)), budget, rng)


def part_of(row: Row, context: str, budget: int, rng: random.Random) -> Example:
    """Whole sentences of a context, around the one that shares most with the question or around any."""
    ranges = sentences(context)
    grams = _grams(row.question)
    a, b = rng.choice(ranges)
    if rng.random() < 0.5:
        a, b = max(ranges, key=lambda ab: len(grams & _grams(context[ab[0] : ab[1]])))
    a, b = grown(context, a, b, budget, rng)
    return Example(row.question, context[a:b], -1, -1)


def _grams(text: str) -> set[str]:
    words = WORD.findall(text.lower())
    return set(words) | {w[i : i + 2] for w in words if ord(w[0]) > 0x2E7F for i in range(len(w) - 1)}
