"""Training windows: rows of question, context and answer turned into what the reader will meet.

Takes the folder of JSON-lines files; gives an endless, seeded stream of `Example`s: windows of whole sentences around the
answer, negatives that hurt, and code-switched questions. Tokenising is left to `batches`.
"""

import gzip
import itertools
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SHARES = {  # of the stream; French and encyclopaedic text weigh more, the two large sets less
    "piaf.fr": 0.18, "squadshifts-newwiki.en": 0.20, "squadshifts-reddit.en": 0.07, "squadshifts-amazon.en": 0.06,
    "policyqa.en": 0.02, "jaquad.ja": 0.13, "drcd.zh": 0.13, "cmrc2018.zh": 0.06, "arcd.ar": 0.05, "thquad.tr": 0.10,
}  # fmt: skip
HELD_OUT = 25  # one context in so many is kept for validation and calibration
NEGATIVE = 0.40  # of the stream
KINDS = {"cut": 0.30, "retrieved": 0.30, "changed": 0.17, "sibling": 0.10, "stranger": 0.13}  # of the negatives
SWITCHED = 0.5  # of the questions in a language with a lexicon
SWITCHED_WORDS = (0.4, 0.7, 1.0)  # of their known words, drawn for each
BUDGETS = (300, 420, 420, 560, 560, 800)  # characters of a window in an alphabet; CJK windows take 0.4 of it
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


@dataclass(slots=True)
class Source:
    """The rows of one file, and its contexts by title."""

    language: str
    rows: list[Row]
    contexts: dict[str, list[str]] = field(default_factory=dict)


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
    for name in SHARES:
        rows = read_rows(folder / "train" / f"{name}.jsonl.gz")
        order = {context: i for i, context in enumerate(dict.fromkeys(row.context for row in rows))}
        kept = [row for row in rows if (order[row.context] % HELD_OUT == 0) == held_out]
        contexts: dict[str, set[str]] = defaultdict(set)
        for row in kept:
            contexts[row.title].add(row.context)
        found[name] = Source(name.rsplit(".", 1)[1], kept, {title: sorted(c) for title, c in contexts.items()})
    return found


def sentences(text: str) -> list[tuple[int, int]]:
    """Rough sentence ranges that cover the text: quick, for windows only."""
    cuts = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    return [(a, b) for a, b in itertools.pairwise(cuts) if b > a]


def window(row: Row, budget: int, rng: random.Random) -> Example:
    """Whole sentences around the answer, grown at random to either side up to `budget` characters."""
    ranges = sentences(row.context)
    first = next((i for i, (_, b) in enumerate(ranges) if row.start < b), 0)
    last = next((i for i, (_, b) in enumerate(ranges) if row.end <= b), len(ranges) - 1)
    while True:
        sides = []
        if first > 0 and ranges[last][1] - ranges[first - 1][0] <= budget:
            sides.append(-1)
        if last + 1 < len(ranges) and ranges[last + 1][1] - ranges[first][0] <= budget:
            sides.append(1)
        if not sides:
            break
        if rng.choice(sides) < 0:
            first -= 1
        else:
            last += 1
    a, b = ranges[first][0], ranges[last][1]
    return Example(row.question, row.context[a:b], row.start - a, row.end - a)


def without_answer(row: Row, budget: int) -> Example | None:
    """The same context with the answer's sentences cut out: the nearest miss there is. None where little is left."""
    ranges = sentences(row.context)
    left = [(a, b) for a, b in ranges if b <= row.start or a >= row.end]
    text = "".join(row.context[a:b] for a, b in left)[:budget]
    answer = row.context[row.start : row.end]
    return None if len(text) < 80 or answer.lower() in text.lower() else Example(row.question, text, -1, -1)


def other_context(row: Row, source: Source, budget: int, rng: random.Random) -> Example | None:
    """Of up to 12 other contexts of the same article, the one sharing most words or bigrams with the question."""
    answer = row.context[row.start : row.end].lower()
    pool = [c for c in source.contexts[row.title] if c != row.context]
    pool = rng.sample(pool, min(12, len(pool)))
    pool = [c for c in pool if not answer or answer not in c.lower()]
    if not pool:
        return None
    grams = _grams(row.question)
    return _part(row, max(pool, key=lambda c: len(grams & _grams(c)) / (len(c) ** 0.5)), budget, rng)


def changed(row: Row, source: Source, budget: int, rng: random.Random) -> Example | None:
    """The answer's window with a name or number of the question exchanged for one that the context does not have."""
    context, kinds = row.context.lower(), (NUMBER, NAME)
    found = [(kind, match) for kind in kinds for match in kind.finditer(row.question) if match[0].lower() in context]
    if not found:
        return None
    kind, match = rng.choice(found)
    others = [other[0] for asked in rng.sample(source.rows, 30) for other in kind.finditer(asked.question)]
    others = [other for other in others if other.lower() not in context]
    if not others:
        return None
    question = row.question[: match.start()] + rng.choice(others) + row.question[match.end() :]
    return Example(question, window(row, budget, rng).window, -1, -1)


def _part(row: Row, context: str, budget: int, rng: random.Random) -> Example:
    at = rng.randrange(max(1, len(context) - budget)) if len(context) > budget else 0
    return Example(row.question, context[at : at + budget], -1, -1)


def _grams(text: str) -> set[str]:
    words = WORD.findall(text.lower())
    return set(words) | {w[i : i + 2] for w in words if ord(w[0]) > 0x2E7F for i in range(len(w) - 1)}


def switch(question: str, lexicon: dict[str, dict[str, str]], rng: random.Random) -> str:
    """The question with a part of its known words, or all, in one other language."""
    target, share = (
        rng.choice(sorted({lang for entry in lexicon.values() for lang in entry})),
        rng.choice(SWITCHED_WORDS),
    )

    def swap(match: re.Match[str]) -> str:
        other = lexicon.get(match[0].lower(), {}).get(target)
        return other if other and rng.random() < share else match[0]

    return WORD.sub(swap, question)


def stream(
    found: dict[str, Source],
    lexicon: dict[str, dict[str, dict[str, str]]],
    retrieved: dict[str, dict[str, list[str]]],
    seed: int,
    negative: float = NEGATIVE,
) -> Iterator[Example]:
    """Examples without end, drawn by `SHARES`, each file's rows in shuffled rounds; `retrieved` is `negatives.mine`'s."""
    rng = random.Random(seed)
    rounds: dict[str, list[Row]] = {name: [] for name in found}
    names = list(found)
    while True:
        name = rng.choices(names, [SHARES[n] for n in names])[0]
        source = found[name]
        if not rounds[name]:
            rounds[name] = rng.sample(source.rows, len(source.rows))
        row = rounds[name].pop()
        budget = int(rng.choice(BUDGETS) * (0.4 if source.language in ("ja", "zh") else 1))
        if rng.random() < negative:
            near = retrieved[name].get(row.question, [])
            example = _negative(row, source, found, near, budget, rng)
        else:
            example = window(row, budget, rng)
        known = lexicon.get(source.language)
        if known and rng.random() < SWITCHED:
            example = Example(switch(example.question, known, rng), example.window, example.start, example.end)
        yield example


def _negative(
    row: Row, source: Source, found: dict[str, Source], near: list[str], budget: int, rng: random.Random
) -> Example:
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    made = None
    if kind == "cut":
        made = without_answer(row, budget)
    elif kind == "changed":
        made = changed(row, source, budget, rng)
    elif kind == "retrieved" and near:
        made = _part(row, rng.choice(near), budget, rng)
    if made is None and kind != "stranger":
        made = other_context(row, source, budget, rng)
    if made is None:
        stranger = rng.choice(found[rng.choice(list(found))].rows)
        made = Example(row.question, stranger.context[:budget], -1, -1)
    return made
