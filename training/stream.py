"""The reader's training stream: examples without end, or groups of windows that compete for one question.

Takes the rows that `data` reads, what `negatives` mined, and what `wording` needs; everything is drawn by one seed. Tokenising is
left to `batches`.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from training.data import BUDGETS, Example, Row, Source, other_context, part_of, window, without_answer
from training.exchange import changed
from training.wording import SWITCHED, Lexicon, Told, told, worded

T = TypeVar("T")
NEGATIVE = 0.40  # of the stream
KINDS = {"cut": 0.27, "retrieved": 0.28, "changed": 0.25, "sibling": 0.08, "stranger": 0.12}  # of the negatives
GROUP_KINDS = {"cut": 0.25, "retrieved": 0.45, "sibling": 0.2, "stranger": 0.1}  # the question stays
RIVAL_KINDS = {"cut": 0.1, "retrieved": 0.7, "sibling": 0.2}  # beside what is retrieved
SWITCHED_RIVALS = 0.7  # of the questions about what is retrieved
TOLD = 0.2  # of the windows, translated, where there are translations
CLAIMS_ACROSS = 0.5  # of the claims
GROUP, ABSENT = 8, 0.25  # windows that compete for a question; the share of groups where none answers it
SHORT_BUDGETS = (60, 120, 120, 200, 300)  # characters of a window in a group


class Corpus(NamedTuple):
    """Rows to draw from, file by file, and what is put beside them."""

    found: dict[str, Source]
    lexicon: Lexicon
    retrieved: dict[str, dict[str, list[str]]]  # what `negatives.mine` found
    translated: dict[str, Told]  # what `training.translate` wrote: file → text → {language: translation}


def stream(corpus: Corpus, seed: int, negative: float = NEGATIVE) -> Iterator[Example]:
    """Examples without end, `negative` of them without an answer."""
    rng = random.Random(seed)
    for drawn in _windows(corpus, rng, negative):
        yield drawn.worded(corpus.lexicon, rng, SWITCHED)


def views(corpus: Corpus, seed: int, negative: float = NEGATIVE) -> Iterator[list[Example]]:
    """As `stream`, each twice: as the file asks, and in another language where one can be had."""
    rng = random.Random(seed)
    for drawn in _windows(corpus, rng, negative):
        yield [drawn.example, drawn.worded(corpus.lexicon, rng, 1.0)]


def rivals(corpus: Corpus, seed: int) -> Iterator[tuple[Example, str, str]]:
    """A question with its window, a window that ranks high and does not answer, and the whole context, without end."""
    rng = random.Random(seed)
    for drawn in _windows(corpus, rng, 0.0):
        row, source = drawn.row, drawn.source
        if row.start >= 0:
            other = _negative(row, source, corpus.found, drawn.near, characters(BUDGETS, source, rng), rng, RIVAL_KINDS)
            yield drawn.worded(corpus.lexicon, rng, SWITCHED_RIVALS), other.window, row.context


class _Drawn(NamedTuple):
    """A window in the words of its row, its file, the file's translations and what retrieval puts beside the row."""

    example: Example
    row: Row
    source: Source
    told: Told
    near: list[str]

    def worded(self, lexicon: Lexicon, rng: random.Random, switched: float) -> Example:
        question = worded(self.example.question, self.row, self.source, lexicon, self.told, rng, switched)
        return replace(self.example, question=question)


def _windows(corpus: Corpus, rng: random.Random, negative: float) -> Iterator[_Drawn]:
    found = corpus.found
    for name, row in _rows(found, corpus.translated, rng):
        source, near = found[name], corpus.retrieved.get(name, {}).get(row.question, [])
        budget = characters(BUDGETS, source, rng)
        made = _negative(row, source, found, near, budget, rng) if row.start >= 0 and rng.random() < negative else _own(row, budget, rng)
        yield _Drawn(made, row, source, corpus.translated.get(name, {}), near)


def groups(corpus: Corpus, seed: int) -> Iterator[list[Example]]:
    """GROUP short windows for one question without end; the first alone holds its answer, or none (in ABSENT, and for near misses)."""
    rng, found = random.Random(seed), corpus.found
    for name, row in _rows(found, corpus.translated, rng):
        source = found[name]
        missed = row.start < 0
        made = [_own(row, characters(SHORT_BUDGETS, source, rng), rng)] if missed or rng.random() > ABSENT else []
        seen = {example.window for example in made}
        near = corpus.retrieved.get(name, {}).get(row.question, [])
        for _ in range(4 * GROUP):  # a short context has few windows: it is given up
            example = _negative(row, source, found, near, characters(SHORT_BUDGETS, source, rng), rng, GROUP_KINDS)
            if example.window not in seen:
                made.append(example)
                seen.add(example.window)
            if len(made) == GROUP:
                break
        question = worded(row.question, row, source, corpus.lexicon, corpus.translated.get(name, {}), rng)
        if len(made) == GROUP:
            yield [replace(example, question=question) for example in made]


def mixed(own: Iterator[T], others: Sequence[Iterator[T]], share: float, seed: int) -> Iterator[T]:
    """`share` of the items from the other streams in turn, the rest from the first."""
    rng = random.Random(seed)
    while True:
        yield next(rng.choice(others) if others and rng.random() < share else own)


def _rows(found: dict[str, Source], translated: dict[str, Told], rng: random.Random) -> Iterator[tuple[str, Row]]:
    """Rows drawn by their files' shares, each file's in shuffled rounds; TOLD of them with a translated context."""
    rounds: dict[str, list[Row]] = {name: [] for name in found}
    names = list(found)
    while True:
        name = rng.choices(names, [found[name].share for name in names])[0]
        if not rounds[name]:
            rounds[name] = rng.sample(found[name].rows, len(found[name].rows))
        row = rounds[name].pop()
        if rng.random() < TOLD:
            row = told(row, translated.get(name, {}).get(row.context, {}), rng)
        yield name, row


def characters(budgets: Sequence[int], source: Source, rng: random.Random) -> int:
    """One of the budgets of a window; two fifths of it where a character says more."""
    return int(rng.choice(budgets) * (0.4 if source.language in ("ja", "zh") else 1))


def _own(row: Row, budget: int, rng: random.Random) -> Example:
    """A window of the row's context: around its answer, or any where there is none."""
    return window(row, budget, rng) if row.start >= 0 else part_of(row, row.context, budget, rng)


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
        made = part_of(row, rng.choice(near), budget, rng)
    if made is None and kind != "stranger":
        made = other_context(row, source, budget, rng)
    if made is None:
        stranger = rng.choice(found[rng.choice(list(found))].rows)
        made = part_of(row, stranger.context, budget, rng)
    return made
