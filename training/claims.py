"""Training sentences for the support check: true ones about a window, and the same with one fact changed.

Takes the rows that `data` reads; gives an endless, seeded stream of `Claim`s. True sentences are the window's own, shortened, or a
question with its interrogative replaced by the answer (languages that ask in place); half of them are code-switched where there is a
lexicon. A false one has a name, number or answer exchanged, two names swapped, a negation put in or taken out, or its evidence cut.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from training.data import BUDGETS, NAME, NUMBER, Row, Source, grown, sentences, window
from training.wording import SWITCHED, Lexicon, Told, switch

FALSE = 0.5  # of the stream
SHORTEST, LONGEST = 25, 320  # characters of a claim in an alphabet; in Chinese and Japanese 0.4 of it
ANSWERED = 0.6  # of the true claims, at most, are made of a question
KINDS = {"number": 3.0, "name": 4.0, "answer": 4.0, "roles": 3.0, "negation": 2.5, "cut": 1.5}  # how often each is tried
UNTIL_FOUND = 8  # corruptions tried before a claim is given up
NEXT_WORD = re.compile(r"\s*\w+")
ASKED = {  # the interrogative that a question has where its answer would stand
    "zh": re.compile(r"(?:是)?(?:什么人|什么|何人|谁|誰|哪一?[年个個位国國]|多少|何時|何处|何處|几|幾|甚麼|何)"),
    "ja": re.compile(r"(?:誰|何という[^はがのをに、]{1,6}|どこ|いつ|何[年月日人歳]?|どの[^はがのをに、]{1,5}|いくつ)"),
    "tr": re.compile(r"\b(?:kimdir|kim|hangi \w+|ne zaman|nerede|nereye|kaç \w+|kaç|nedir|ne)\b", re.IGNORECASE),
    "en": re.compile(r"^(?:Who|What|Which \w+)(?= (?!do|did|does|is the|are the|was the|were the|is a)\w+)"),
    "fr": re.compile(r"^(?:Qui(?: est-ce qui)?|Qu'est-ce qui|Quel(?:le)? \w+)(?= (?!est|sont|était|étaient)\w+)"),
}
DENIED = {  # (pattern, its denial); the first that fits
    "en": [(r"\b(is|was|are|were|has|had|will|can|could|would)\b(?! not)", r"\1 not"), (r" not\b", "")],
    "fr": [(r"\b(?:ne |n[’'])(\w+) pas\b", r"\1"), (r"\b(est|a|était|avait|ont|étaient|sera)\b", r"n’\1 pas"),
           (r"\b(sont|peut|doit|fut|reste|devient)\b", r"ne \1 pas")],
    "zh": [(r"(不|没有|沒有|未)", ""), (r"(是|在|有|為|为|被|成为|成為|由)", r"不\1")],
    "ja": [(r"なかった", "た"), (r"(である|だ)(?=[。]|$)", "ではない"), (r"(され|して|い)た(?=[。]|$)", r"\1なかった"),
           (r"ている(?=[。]|$)", "ていない"), (r"する(?=[。]|$)", "しない")],
    "tr": [(r"(\w+)(?:tır|tir|dır|dir|tur|tür|dur|dür)(?=[.]|$)", r"\1 değildir"), (r" değildir", "dir")],
    "ar": [(r"\b(كان|كانت)\b", r"لم ي\1"), (r"\bلم ", ""), (r"\b(هو|هي)\b", r"ليس \1")],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence about a window: `true`, or with `changed` (character ranges of the text) wrong; where its evidence stands.

    A false claim without `changed` has its evidence elsewhere; `start` is then -1. `kind` says how it was made.
    """

    text: str
    window: str
    true: bool
    kind: str
    start: int = -1
    end: int = -1
    changed: tuple[tuple[int, int], ...] = ()


def stream(
    found: dict[str, Source], lexicon: Lexicon, seed: int, switched: float = SWITCHED
) -> Iterator[Claim]:
    """Claims without end, files drawn by their shares; `switched` of them in other languages' words where a lexicon is."""
    rng = random.Random(seed)
    names = list(found)
    while True:
        name = rng.choices(names, [found[name].share for name in names])[0]
        source = found[name]
        row = rng.choice(source.rows)
        claim: Claim | None
        if row.start < 0 or (claim := _true(row, source.language, rng)) is None:
            continue
        known = lexicon.get(source.language)
        if known and rng.random() < switched:
            claim = replace(claim, text=switch(claim.text, known, rng))
        if rng.random() < FALSE:
            rows = [row, *source.beside[row.context], *rng.sample(source.rows, 20)]
            claim = corrupted(claim, rows, source.language, rng)
        if claim:
            yield claim


def translated(found: dict[str, Source], told: dict[str, Told], lexicon: Lexicon, seed: int) -> Iterator[Claim]:
    """Claims without end across languages: a sentence of a context held against the context's translation, or the other way round.

    Contexts whose translation has as many sentences; half of the claims are code-switched too.
    """
    rng = random.Random(seed)
    pairs = [
        (name, context, sides)
        for name, texts in told.items()
        for context in found[name].beside.keys() & texts.keys()
        for language, other in texts[context].items()
        for sides in (((found[name].language, context), (language, other)), ((language, other), (found[name].language, context)))
        if len(sentences(context)) == len(sentences(other))
    ]
    pairs.sort()
    while True:
        name, context, ((language, asked), (_, shown)) = rng.choice(pairs)
        ranges, others = sentences(asked), sentences(shown)
        at = rng.randrange(len(ranges))
        text, (start, end) = asked[slice(*ranges[at])].strip(), others[at]
        if not SHORTEST <= len(text) <= LONGEST:
            continue
        first, last = grown(shown, start, end, rng.choice(BUDGETS), rng)
        claim = Claim(_shortened(text, rng), shown[first:last], True, "said", start - first, end - first)
        if rng.random() < SWITCHED and language in lexicon:
            claim = replace(claim, text=switch(claim.text, lexicon[language], rng))
        false = corrupted(claim, [*found[name].beside[context], *rng.sample(found[name].rows, 20)], language, rng)
        if false:
            yield false if rng.random() < FALSE else claim


def _true(row: Row, language: str, rng: random.Random) -> Claim | None:
    """A true claim about a window of the row's context."""
    scale = 0.4 if language in ("ja", "zh") else 1
    shown = window(row, int(rng.choice(BUDGETS) * scale), rng)
    ranges = [(a, b) for a, b in sentences(shown.window) if SHORTEST * scale <= b - a <= LONGEST * scale]
    held = next(((a, b) for a, b in ranges if a <= shown.start < b), None)
    if held and rng.random() < ANSWERED:
        answer, question = shown.window[shown.start : shown.end], re.sub(r"(です)?か?[ ?？。.]*$", "", row.question)
        text = ASKED[language].sub(lambda _: answer, question, count=1) if language in ASKED else question
        if text != question:
            return Claim(text + ("。" if scale < 1 else "."), shown.window, True, "answered", *held)
        if rng.random() < 0.5:
            return Claim(f"{row.question} {answer}", shown.window, True, "asked", *held)
    if not ranges:
        return None
    a, b = rng.choice(ranges)
    return Claim(_shortened(shown.window[a:b].strip(), rng), shown.window, True, "said", a, b)


def _shortened(text: str, rng: random.Random) -> str:
    """The sentence without its asides, and sometimes without its first or last clause."""
    short = re.sub(r"\s*[(（\[][^()（）\[\]]*[)）\]]", "", text)
    clauses = re.split(r"(?<=[,，、;；])\s*", short)
    if len(clauses) > 2 and rng.random() < 0.4:
        clauses = clauses[1:] if rng.random() < 0.5 else clauses[:-1]
        short = " ".join(clauses).rstrip(",，、;； ")
    return short if len(short) >= 10 else text


def corrupted(claim: Claim, rows: list[Row], language: str, rng: random.Random, kinds: Sequence[str] = tuple(KINDS)) -> Claim | None:
    """The claim with a fact changed in one of these ways, or None where none fits; names and answers come from `rows`.

    The first row is the one that the claim was made of.
    """
    row, *others = rows
    answers = [other.context[other.start : other.end] for other in others if other.start >= 0]
    makers: dict[str, Callable[[], Claim | None]] = {
        "number": lambda: _exchanged(claim, NUMBER, [m[0] for m in NUMBER.finditer(claim.window)] + [_other(rng)], rng),
        "name": lambda: _exchanged(claim, NAME, _names(rng.sample(rows, min(21, len(rows)))), rng),
        "answer": lambda: _answered(claim, row.context[row.start : row.end], answers, rng) if row.start >= 0 else None,
        "roles": lambda: _swapped(claim, rng),
        "negation": lambda: _denied(claim, language),
        "cut": lambda: replace(
            claim, window=claim.window[: claim.start] + claim.window[claim.end :], start=-1, end=-1, true=False, kind="cut"
        ),
    }  # fmt: skip
    for kind in rng.choices(kinds, [KINDS[kind] for kind in kinds], k=UNTIL_FOUND):
        made = makers[kind]()
        if made and len(made.window) > 40:
            return made
    return None


def _names(rows: Sequence[Row]) -> list[str]:
    return [match[0] for row in rows for match in NAME.finditer(row.context)][:40]


def _other(rng: random.Random) -> str:
    return str(rng.choice((rng.randrange(2, 100), rng.randrange(100, 3000), rng.randrange(1500, 2026))))


def _put(claim: Claim, start: int, end: int, other: str, kind: str) -> Claim:
    text = claim.text[:start] + other + claim.text[end:]
    word = NEXT_WORD.match(text, start)  # what stands where something was taken out
    stop = start + len(other) if other or not word else word.end()
    changed = ((start, stop),) if stop > start else ()
    return replace(claim, text=text, true=False, kind=kind, start=-1, end=-1, changed=changed)


def _exchanged(claim: Claim, pattern: re.Pattern[str], others: list[str], rng: random.Random) -> Claim | None:
    """One match of the pattern exchanged for another that the claim has not."""
    matches = [m for m in pattern.finditer(claim.text) if m[0].lower() in claim.window.lower()]
    others = [other for other in others if other.lower() not in claim.text.lower()]
    if not matches or not others:
        return None
    match = rng.choice(matches)
    return _put(claim, *match.span(), rng.choice(others), "number" if pattern is NUMBER else "name")


def _answered(claim: Claim, answer: str, others: list[str], rng: random.Random) -> Claim | None:
    """The row's answer exchanged for another answer that looks like it."""
    at = claim.text.find(answer)
    alike = [
        other for other in others
        if other.lower() not in claim.text.lower() and answer.lower() not in other.lower()
        and bool(NUMBER.search(other)) == bool(NUMBER.search(answer)) and len(other) < 3 * len(answer) + 10
    ]  # fmt: skip
    return _put(claim, at, at + len(answer), rng.choice(alike[:8]), "answer") if at >= 0 and alike else None


def _swapped(claim: Claim, rng: random.Random) -> Claim | None:
    names = list(NAME.finditer(claim.text))
    pairs = [(a, b) for a in names for b in names if a.end() < b.start() and a[0].lower() != b[0].lower()]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    text = claim.text[: a.start()] + b[0] + claim.text[a.end() : b.start()] + a[0] + claim.text[b.end() :]
    at = b.start() + len(b[0]) - len(a[0])
    changed = ((a.start(), a.start() + len(b[0])), (at, at + len(a[0])))
    return replace(claim, text=text, true=False, kind="roles", start=-1, end=-1, changed=changed)


def _denied(claim: Claim, language: str) -> Claim | None:
    for pattern, denial in DENIED.get(language, ()):
        if match := re.search(pattern, claim.text):
            other = match.expand(denial)
            return _put(claim, *match.span(), other, "negation")
    return None
