"""Training windows: rows of question, context and answer turned into what the reader will meet.

Takes the folder of JSON-lines files; gives an endless, seeded stream of `Example`s: windows of whole sentences around the
answer, negatives that hurt, and questions in other languages' words; or of groups, in which one question meets several windows.
Tokenising is left to `batches`.
"""

import gzip
import itertools
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

SHARES = {  # of the stream; French and encyclopaedic text weigh more, the two large sets less
    "piaf.fr": 0.18, "squadshifts-newwiki.en": 0.20, "squadshifts-reddit.en": 0.07, "squadshifts-amazon.en": 0.06,
    "policyqa.en": 0.02, "jaquad.ja": 0.13, "drcd.zh": 0.13, "cmrc2018.zh": 0.06, "arcd.ar": 0.05, "thquad.tr": 0.10,
}  # fmt: skip
HELD_OUT = 25  # one context in so many is kept for validation and calibration
NEGATIVE = 0.40  # of the stream
KINDS = {"cut": 0.30, "retrieved": 0.30, "changed": 0.17, "sibling": 0.10, "stranger": 0.13}  # of the negatives
GROUP_KINDS = {"cut": 0.25, "retrieved": 0.45, "sibling": 0.2, "stranger": 0.1}  # the question stays
SWITCHED = 0.5  # of the questions in a language with a lexicon
TRANSLATED, TOLD = 0.5, 0.2  # of these, whole questions where there are translations; of the windows, where there are
SWITCHED_WORDS = (0.4, 0.7, 1.0)  # of their known words, drawn for each
FOLLOWING = 0.12  # of the questions come after another one about the same context, as a follow-up is read
GROUP, ABSENT = 8, 0.25  # windows that compete for a question; the share of groups where none answers it
SHORT_BUDGETS = (60, 120, 120, 200, 300)  # characters of a window in a group
BUDGETS = (120, 300, 420, 420, 560, 560, 800)  # characters of a window in an alphabet; CJK windows take 0.4 of it
LEAST = 20  # characters of a context without the answer's sentences
SENTENCE_END = re.compile(r"(?<=[.!?؟])\s+|(?<=[。！？])|\n+")
WORD = re.compile(r"\w+")
WORDS = re.compile(r"((?i:how (?:many|much|long))|\w+)")
SPACELESS = re.compile(r"[^\s]*[\u3040-\u30ff\u4e00-\u9fff]")
LONGEST_WORD = 8  # characters, in Chinese and Japanese
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
NUMBER = re.compile(r"\d[\d.,]*\d|\d")
NAME = re.compile(r"(?<=[\w,] )[A-ZÀ-ÞİŞĞ][\w’'-]+(?: [A-ZÀ-ÞİŞĞ][\w’'-]+)*")  # not the question's first word

Lexicon = dict[str, dict[str, dict[str, str]]]  # source language → word → language → word
Told = dict[str, dict[str, str]]  # text → language → translation


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
    """The rows of one file, its contexts by title, and its answered rows by context."""

    language: str
    rows: list[Row]
    contexts: dict[str, list[str]] = field(default_factory=dict)
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


def stream(
    found: dict[str, Source],
    lexicon: Lexicon,
    retrieved: dict[str, dict[str, list[str]]],
    seed: int,
    negative: float = NEGATIVE,
    translated: dict[str, Told] | None = None,
) -> Iterator[Example]:
    """Examples without end, `negative` of them without an answer.

    `retrieved` is what `negatives.mine` found; `translated` what `training.translate` wrote: file → text → {language: translation}.
    """
    rng = random.Random(seed)
    for name, row in _rows(found, translated or {}, rng):
        source = found[name]
        budget = _budget(BUDGETS, source, rng)
        if rng.random() < negative:
            example = _negative(row, source, found, retrieved[name].get(row.question, []), budget, rng)
        else:
            example = window(row, budget, rng)
        yield replace(example, question=_worded(example.question, row, source, lexicon, (translated or {}).get(name, {}), rng))


def groups(
    found: dict[str, Source],
    lexicon: Lexicon,
    retrieved: dict[str, dict[str, list[str]]],
    seed: int,
    translated: dict[str, Told] | None = None,
) -> Iterator[list[Example]]:
    """GROUP short windows for one question without end; the first alone holds its answer, or in ABSENT of the groups none."""
    rng = random.Random(seed)
    for name, row in _rows(found, translated or {}, rng):
        source = found[name]
        made = [window(row, _budget(SHORT_BUDGETS, source, rng), rng)] if row.start >= 0 and rng.random() > ABSENT else []
        seen = {example.window for example in made}
        for _ in range(4 * GROUP):
            near = retrieved[name].get(row.question, [])
            example = _negative(row, source, found, near, _budget(SHORT_BUDGETS, source, rng), rng, GROUP_KINDS)
            if example.window not in seen and len(made) < GROUP:
                made.append(example)
                seen.add(example.window)
        question = _worded(row.question, row, source, lexicon, (translated or {}).get(name, {}), rng)
        if len(made) == GROUP:
            yield [replace(example, question=question) for example in made]


def _rows(found: dict[str, Source], translated: dict[str, Told], rng: random.Random) -> Iterator[tuple[str, Row]]:
    """Rows drawn by `SHARES`, each file's in shuffled rounds; TOLD of them with a translated context."""
    rounds: dict[str, list[Row]] = {name: [] for name in found}
    names = list(found)
    while True:
        name = rng.choices(names, [SHARES[n] for n in names])[0]
        if not rounds[name]:
            rounds[name] = rng.sample(found[name].rows, len(found[name].rows))
        row = rounds[name].pop()
        if rng.random() < TOLD:
            row = _told(row, translated.get(name, {}).get(row.context, {}), rng)
        yield name, row


def _budget(budgets: Sequence[int], source: Source, rng: random.Random) -> int:
    return int(rng.choice(budgets) * (0.4 if source.language in ("ja", "zh") else 1))


def _worded(question: str, row: Row, source: Source, lexicon: Lexicon, told: Told, rng: random.Random) -> str:
    """The question, in FOLLOWING of the cases after another one, and SWITCHED of them in another language."""
    parts = [question]
    if question == row.question and rng.random() < FOLLOWING:
        parts = followed(source, row, rng)
    if rng.random() < SWITCHED:
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


def _told(row: Row, others: dict[str, str], rng: random.Random) -> Row:
    """The row with its context in another language, where the answer stands there in the same words, once; else the row."""
    answer = row.context[row.start : row.end]
    fit = [context for _, context in sorted(others.items()) if row.start >= 0 and context.count(answer) == 1]
    if not fit:
        return row
    context = rng.choice(fit)
    start = context.index(answer)
    return replace(row, context=context, start=start, end=start + len(answer))


def _negative(
    row: Row, source: Source, found: dict[str, Source], near: list[str], budget: int, rng: random.Random, kinds: dict[str, float] = KINDS
) -> Example:
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    made = None
    if kind == "cut":
        made = without_answer(row, budget, rng)
    elif kind == "changed":
        made = changed(row, source, budget, rng)
    elif kind == "retrieved" and near:
        made = _part(row, rng.choice(near), budget, rng)
    if made is None and kind != "stranger":
        made = other_context(row, source, budget, rng)
    if made is None:
        stranger = rng.choice(found[rng.choice(list(found))].rows)
        made = _part(row, stranger.context, budget, rng)
    return made
