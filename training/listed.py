"""Questions with the passages that the embedder puts beside them: what the matcher learns from.

Takes the data folder, the translations and the encoder; gives, for each question, the passages that answer it and the nearest that do not,
and what the encoder makes of their tokens. Training is left to `match`.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from langchain_core.documents import Document
from torch.nn.utils.rnn import pad_sequence

from index.embed import SentenceEncoder
from index.split import split
from training import data, ours, translate
from training.data import Row

CONTEXTS, QUESTIONS = 1500, 2500  # of each file, at most; and whatever our questions are about
NEAREST, RIVALS = 24, 7  # passages looked at for a question; those without its answer that are kept, at most
BLOCK = 512  # questions compared, and texts encoded, at once


class Passage(NamedTuple):
    """A chunk of a context, as the index cuts it."""

    context: str
    start: int
    end: int
    text: str


class Asked(NamedTuple):
    """A question about a context; start and end of its answer there, or -1."""

    question: str
    context: str
    start: int
    end: int


class Listed(NamedTuple):
    """Numbers of a question, of the passages that answer it, if any, and of the nearest that do not."""

    question: int
    right: list[int]
    wrong: list[int]


class Encoded:
    """Texts as unit vectors, and the states of their tokens one after the other."""

    def __init__(self, encoder: SentenceEncoder, texts: list[str], asked: bool) -> None:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found: list[np.ndarray] = [np.empty(0)] * len(texts)
        for block in (order[at : at + BLOCK] for at in range(0, len(order), BLOCK)):
            for i, states in zip(block, encoder.states([texts[i] for i in block], asked), strict=True):
                found[i] = states.astype("f2")
        self.states, self._at = np.concatenate(found), np.cumsum([0, *map(len, found)])
        means = np.stack([states.astype("f4").mean(axis=0) for states in found])
        self.vectors = means / np.linalg.norm(means, axis=1, keepdims=True)

    def padded(self, numbers: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """States (texts, tokens, dimension), and which of them are a text's."""
        rows = [torch.from_numpy(self.states[self._at[i] : self._at[i + 1]].astype("f4")) for i in numbers]
        lengths = torch.tensor([[len(row)] for row in rows])
        states = pad_sequence(rows, batch_first=True)
        return states, torch.arange(states.shape[1])[None] < lengths


def material(folder: Path, translated: Path | None, seed: int) -> tuple[dict[str, str], list[Asked]]:
    """Contexts with their languages, and questions about them: ours, and the files', half of which change their language where they can."""
    rng, found = random.Random(seed), data.sources(folder)
    told = translate.read(translated) if translated else {}
    own = ours.sources(found)
    asked = [_asked(row, row.question) for source in own.values() for row in source.rows]
    contexts = {row.context: source.language for source in own.values() for row in source.rows}
    for name, source in found.items():
        every = sorted({row.context for row in source.rows})
        contexts |= dict.fromkeys(rng.sample(every, min(CONTEXTS, len(every))), source.language)
        rows = [row for row in source.rows if row.context in contexts and row.start >= 0]
        for row in rng.sample(rows, min(QUESTIONS, len(rows))):
            others = told.get(name, {}).get(row.question, {})
            switched = others and rng.random() < 0.5
            asked.append(_asked(row, others[rng.choice(sorted(others))] if switched else row.question))
    return contexts, list(dict.fromkeys(asked))


def _asked(row: Row, question: str) -> Asked:
    return Asked(question, row.context, row.start, row.end)


def passages(contexts: dict[str, str], encoder: SentenceEncoder) -> list[Passage]:
    """The contexts' chunks."""
    made = []
    for context, language in contexts.items():
        for chunk in split(Document(page_content=context, metadata={"language": language}), encoder.token_spans):
            made.append(Passage(context, chunk.metadata["start"], chunk.metadata["end"], chunk.page_content))
    return made


def by_context(shown: list[Passage]) -> dict[str, list[int]]:
    """Context → the numbers of its passages."""
    own = defaultdict[str, list[int]](list)
    for number, passage in enumerate(shown):
        own[passage.context].append(number)
    return own


def listed(asked: list[Asked], shown: list[Passage], questions: np.ndarray, vectors: np.ndarray) -> Iterator[Listed]:
    """What stands beside each question. A near miss's own passages come first; others that hold an answer's words are left out."""
    own = by_context(shown)
    for first in range(0, len(asked), BLOCK):
        nearest = np.argsort(-(questions[first : first + BLOCK] @ vectors.T), axis=1)[:, :NEAREST].tolist()
        for number, (one, near) in enumerate(zip(asked[first : first + BLOCK], nearest, strict=True), first):
            answer, beside = one.context[one.start : one.end].lower() if one.start >= 0 else "", own[one.context]
            right = [i for i in beside if one.start < shown[i].end and shown[i].start < one.end] if answer else []
            wrong = near if answer else [*beside, *(i for i in near if i not in beside)]
            kept = [i for i in wrong if i not in right and (not answer or answer not in shown[i].text.lower())]
            yield Listed(number, right, kept[:RIVALS])
