"""Training examples to batches of tokens, in this process or in others.

Takes the streams that `stream`, `claims` and `cloze` draw; gives padded tensors with the answer's tokens, batches of like lengths in
random order. What is learnt from them is left to `train`.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from rag.read import PairTokenizer
from training.claims import Claim
from training.data import Example

POOL = 24  # batches sorted by length together
LONGEST = 288  # tokens of a question and its window
SEEDS = 1000  # between those of two processes


class Batch(NamedTuple):
    """Tensors of one step: (batch, tokens) each, and the first and last answer token (0, 0 where there is none).

    `kind` is "read"; "views", where each two windows in a row are one, asked about in two wordings; "groups", where each GROUP windows
    in a row are one question's; or "claims". `doubt` is -1 but for claims: there 1 on the words that the passage does not bear out,
    0 on the others, and at position 0 whether there are any.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    passage: torch.Tensor
    start: torch.Tensor
    end: torch.Tensor
    doubt: torch.Tensor
    kind: str = "read"


Encoded = tuple[list[int], list[bool], int, int, list[int]]
Streams = dict[str, tuple[Iterator[Sequence[Example | Claim]], float]]  # kind → what goes into a batch together, share of the batches


def encode(tokenizer: PairTokenizer, example: Example | Claim) -> Encoded:
    """Token ids, which of them are the passage's, the answer's (or evidence's) first and last token, and the doubts."""
    asked = f"passage: {example.text}" if isinstance(example, Claim) else f"query: {example.question}"
    [pair] = tokenizer.encode(asked, [example.window])
    sides = pair.sequence_ids
    inside = [side == 1 for side in sides]
    covered = _tokens(pair, 1, example.start, example.end)
    start, end = (covered[0], covered[-1]) if covered else (0, 0)
    doubt = [-1] * len(sides)
    if isinstance(example, Claim):
        doubt[0] = int(not example.true)
        if example.true or example.changed:
            shift = len("passage: ")
            changed = {i for a, b in example.changed for i in _tokens(pair, 0, a + shift, b + shift)}
            for i, side in enumerate(sides):
                doubt[i] = int(i in changed) if side == 0 else doubt[i]
    return pair.ids, inside, start, end, doubt


def _tokens(pair: Any, side: int, start: int, end: int) -> list[int]:
    """The tokens of one side of a pair that touch a range of its characters."""
    if start < 0:
        return []
    return [i for i, (s, (a, b)) in enumerate(zip(pair.sequence_ids, pair.offsets, strict=True)) if s == side and b > start and a < end]


def collate(items: list[Encoded], kind: str = "read") -> Batch:
    """Pad encoded examples to the longest."""
    longest = _longest(items)
    ids = torch.tensor([ids + [1] * (longest - len(ids)) for ids, *_ in items])
    passage = torch.tensor([inside + [False] * (longest - len(inside)) for _, inside, *_ in items])
    starts, ends = (torch.tensor([item[i] for item in items]) for i in (2, 3))
    doubt = torch.tensor([item[4] + [-1] * (longest - len(item[4])) for item in items])
    return Batch(ids, (ids != 1).long(), passage, starts, ends, doubt, kind)


def batches(tokenizer: PairTokenizer, streams: Streams, size: int, seed: int) -> Iterator[Batch]:
    """Batches of `size` windows without end: of like lengths, in random order within a pool, each kind's share of them."""
    rng = random.Random(seed)
    while True:
        made: list[tuple[list[Encoded], str]] = []
        for kind, (stream, share) in streams.items():
            first = next(stream)
            count = size // len(first)
            drawn = itertools.islice(itertools.chain([first], stream), count * round(POOL * share))
            pool = sorted(([encode(tokenizer, item) for item in items] for items in drawn), key=_longest)
            made += [(list(itertools.chain(*pool[i : i + count])), kind) for i in range(0, len(pool), count)]
        rng.shuffle(made)
        yield from (collate(items, kind) for items, kind in made)


def _longest(items: list[Encoded]) -> int:
    return max(len(ids) for ids, *_ in items)


class _Endless(IterableDataset[Any]):
    """What `make` makes of a seed, another one in each process."""

    def __init__(self, make: Callable[[int], Iterator[Any]], seed: int) -> None:
        self._make, self._seed = make, seed

    def __iter__(self) -> Iterator[Any]:
        info = get_worker_info()
        return self._make(self._seed + SEEDS * (info.id if info else 0))


def side_by_side(make: Callable[[int], Iterator[Any]], seed: int, workers: int) -> Iterator[Any]:
    """What `make` makes of seeds, made by as many processes as a GPU needs to be kept busy; in this one for none."""
    if not workers:
        return make(seed)
    loader = DataLoader(_Endless(make, seed), batch_size=None, num_workers=workers, prefetch_factor=8, pin_memory=True)
    return iter(loader)
