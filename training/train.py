"""The reader's training loop: a stream of examples to weights.

Takes an endless stream of examples and a time budget; gives a trained network. bfloat16 on a GPU, float32 on a CPU: on those
without AMX, bfloat16 measured three times slower (docs/decisions.md). The learning rate falls to zero with the time that is
left, so the budget is kept whatever else the machine does. Checkpoints make it resumable.
"""

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from rag.network import ReaderNetwork
from training.data import Example

BATCH = 16  # windows a step
POOL = 24  # batches sorted by length together
WARM_UP = 150  # steps
RATE_ENCODER, RATE_HEADS = 1e-4, 5e-4
LONGEST = 288  # tokens of a question and its window
SAVE_EVERY = 200  # steps


class Batch(NamedTuple):
    """Tensors of one step: (batch, tokens) each, and the first and last answer token (0, 0 where there is none)."""

    ids: torch.Tensor
    mask: torch.Tensor
    passage: torch.Tensor
    start: torch.Tensor
    end: torch.Tensor


def encode(tokenizer: Tokenizer, example: Example) -> tuple[list[int], list[bool], int, int]:
    """Token ids, which of them are the passage's, and the answer's first and last token."""
    pair = tokenizer.encode(f"query: {example.question}", example.window)
    inside = [i for i, side in enumerate(pair.sequence_ids) if side == 1]
    covered = [
        i for i in inside
        if example.start >= 0 and pair.offsets[i][1] > example.start and pair.offsets[i][0] < example.end
    ]  # fmt: skip
    start, end = (covered[0], covered[-1]) if covered else (0, 0)
    return pair.ids, [side == 1 for side in pair.sequence_ids], start, end


def collate(items: list[tuple[list[int], list[bool], int, int]]) -> Batch:
    """Pad encoded examples to the longest."""
    longest = max(len(ids) for ids, *_ in items)
    ids = torch.tensor([ids + [1] * (longest - len(ids)) for ids, *_ in items])
    passage = torch.tensor([inside + [False] * (longest - len(inside)) for _, inside, *_ in items])
    starts, ends = (torch.tensor([item[i] for item in items]) for i in (2, 3))
    return Batch(ids, (ids != 1).long(), passage, starts, ends)


def batches(tokenizer: Tokenizer, examples: Iterator[Example], seed: int) -> Iterator[Batch]:
    """Batches of like lengths, in random order within a pool."""
    rng = random.Random(seed)
    while True:
        pool = [encode(tokenizer, example) for example in itertools.islice(examples, BATCH * POOL)]
        pool.sort(key=lambda item: len(item[0]))
        groups = [pool[i : i + BATCH] for i in range(0, len(pool), BATCH)]
        rng.shuffle(groups)
        yield from map(collate, groups)


def loss(network: ReaderNetwork, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Span loss (cross-entropy, "no answer" being position 0) and relevance loss (binary cross-entropy)."""
    device = network.span.weight.device
    ids, mask, passage, first, last = (part.to(device) for part in batch)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        start, end, relevance = network(ids, mask, passage)
    start, end, relevance = start.float(), end.float(), relevance.float()
    span = (functional.cross_entropy(start, first) + functional.cross_entropy(end, last)) / 2
    return span, functional.binary_cross_entropy_with_logits(relevance, (first > 0).float())


def train(network: ReaderNetwork, steps: Iterator[Batch], minutes: float, checkpoint: Path) -> int:
    """Train for `minutes`, counting those of an earlier run kept in `checkpoint`; returns the steps done."""
    heads = [p for name, p in network.trained().items() if name.startswith(("span", "relevance"))]
    body = [p for name, p in network.trained().items() if not name.startswith(("span", "relevance"))]
    groups = [{"params": body, "peak": RATE_ENCODER}, {"params": heads, "peak": RATE_HEADS}]
    optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.01, fused=True)
    done, spent = _resume(network, optimizer, checkpoint)
    started, sums = time.monotonic() - spent, [0.0, 0.0]
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # far less than one epoch: nothing to regularise, and attention is 4 times faster
    while (left := 1 - (time.monotonic() - started) / (60 * minutes)) > 0:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(1.0, (done + 1) / WARM_UP) * left
        span, relevance = loss(network, next(steps))
        (span + relevance).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.trained().values(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done, sums = done + 1, [sums[0] + span.item(), sums[1] + relevance.item()]
        if done % 50 == 0:
            minutes_spent = (time.monotonic() - started) / 60
            print(
                f"step {done}  {minutes_spent:.1f} min  span {sums[0] / 50:.3f}  relevance {sums[1] / 50:.3f}",
                flush=True,
            )
            sums = [0.0, 0.0]
        if done % SAVE_EVERY == 0:
            _keep(network, optimizer, done, time.monotonic() - started, checkpoint)
    _keep(network, optimizer, done, time.monotonic() - started, checkpoint)
    return done


def _keep(network: ReaderNetwork, optimizer: torch.optim.Optimizer, done: int, spent: float, path: Path) -> None:
    state = {"network": network.trained(), "optimizer": optimizer.state_dict(), "done": done, "spent": spent}
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _resume(network: ReaderNetwork, optimizer: torch.optim.Optimizer, path: Path) -> tuple[int, float]:
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True, map_location=network.span.weight.device)
    network.load_state_dict(state["network"], strict=False)
    optimizer.load_state_dict(state["optimizer"])
    return state["done"], state["spent"]
