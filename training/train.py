"""The reader's training loop: a stream of examples to weights.

Takes an endless stream of examples and a time budget; gives a trained network. bfloat16 on a GPU and on processors that have
instructions for it, float32 elsewhere (docs/decisions.md). The learning rate falls to zero with the time that is
left, so the budget is kept whatever else the machine does. Checkpoints make it resumable.
"""

import ctypes
import itertools
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from rag.network import ReaderNetwork
from rag.read import PairTokenizer
from training.claims import Claim
from training.data import Example
from training.stream import GROUP

BATCH = 16  # windows a step
POOL = 24  # batches sorted by length together
WARM_UP = 150  # steps
RATE_ENCODER, RATE_HEADS = 7e-5, 3e-4
LONGEST = 288  # tokens of a question and its window
SAVE_EVERY = 200  # steps
CLAIMS, GROUPS = 0.17, 0.2  # of the batches check claims or rank groups of short windows, the others read
RANKING_WEIGHT, GROUP_SPAN_WEIGHT = 0.5, 0.5  # of a group's losses: most of its windows have no answer
EVIDENCE_WEIGHT = 0.3  # of the span loss where the span is a claim's evidence
MALLOPT = {-8: 1, -4: 0, -1: -1}  # glibc's M_ARENA_MAX, M_MMAP_MAX and M_TRIM_THRESHOLD: one arena, no mmap, nothing given back
WORD_WEIGHT = torch.tensor(4.0)  # of a word that is not borne out: most are


class Batch(NamedTuple):
    """Tensors of one step: (batch, tokens) each, and the first and last answer token (0, 0 where there is none).

    `doubt` is -1 but in a batch of claims: there 1 on the words that the passage does not bear out, 0 on the others, and at
    position 0 whether there are any. `ranked` says that each data.GROUP windows in a row are one question's.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    passage: torch.Tensor
    start: torch.Tensor
    end: torch.Tensor
    doubt: torch.Tensor
    ranked: bool = False


Encoded = tuple[list[int], list[bool], int, int, list[int]]


def encode(tokenizer: PairTokenizer, example: Example | Claim) -> Encoded:
    """Token ids, which of them are the passage's, the answer's (or evidence's) first and last token, and the doubts."""
    asked = f"passage: {example.text}" if isinstance(example, Claim) else f"query: {example.question}"
    [pair] = tokenizer.encode(asked, [example.window])
    inside = [side == 1 for side in pair.sequence_ids]
    covered = _tokens(pair, 1, example.start, example.end)
    start, end = (covered[0], covered[-1]) if covered else (0, 0)
    doubt = [-1] * len(pair.ids)
    if isinstance(example, Claim):
        doubt[0] = int(not example.true)
        if example.true or example.changed:
            shift = len("passage: ")
            changed = {i for a, b in example.changed for i in _tokens(pair, 0, a + shift, b + shift)}
            for i, side in enumerate(pair.sequence_ids):
                doubt[i] = int(i in changed) if side == 0 else doubt[i]
    return pair.ids, inside, start, end, doubt


def _tokens(pair: Any, side: int, start: int, end: int) -> list[int]:
    """The tokens of one side of a pair that touch a range of its characters."""
    sides = enumerate(pair.sequence_ids)
    return [i for i, s in sides if s == side and start >= 0 and pair.offsets[i][1] > start and pair.offsets[i][0] < end]


def collate(items: list[Encoded], ranked: bool = False) -> Batch:
    """Pad encoded examples to the longest."""
    longest = _longest(items)
    ids = torch.tensor([ids + [1] * (longest - len(ids)) for ids, *_ in items])
    passage = torch.tensor([inside + [False] * (longest - len(inside)) for _, inside, *_ in items])
    starts, ends = (torch.tensor([item[i] for item in items]) for i in (2, 3))
    doubt = torch.tensor([item[4] + [-1] * (longest - len(item[4])) for item in items])
    return Batch(ids, (ids != 1).long(), passage, starts, ends, doubt, ranked)


def batches(
    tokenizer: PairTokenizer, examples: Iterator[Example], claims: Iterator[Claim], groups: Iterator[list[Example]], seed: int
) -> Iterator[Batch]:
    """Batches of like lengths, in random order within a pool; CLAIMS of them are of claims, GROUPS of groups."""
    rng = random.Random(seed)
    one: Iterator[Sequence[Example | Claim]] = ([example] for example in examples)
    checked: Iterator[Sequence[Example | Claim]] = ([claim] for claim in claims)
    while True:
        made: list[tuple[list[Encoded], bool]] = []
        for stream, share, size in ((one, 1 - CLAIMS - GROUPS, 1), (checked, CLAIMS, 1), (groups, GROUPS, GROUP)):
            count = BATCH // size
            drawn = itertools.islice(stream, count * round(POOL * share))
            pool = sorted(([encode(tokenizer, item) for item in items] for items in drawn), key=_longest)
            made += [(list(itertools.chain(*pool[i : i + count])), size > 1) for i in range(0, len(pool), count)]
        rng.shuffle(made)
        yield from (collate(items, ranked) for items, ranked in made)


def _longest(items: list[Encoded]) -> int:
    return max(len(ids) for ids, *_ in items)


def halved(device: torch.device) -> bool:
    """Whether bfloat16 is quicker there: on a GPU, and on processors with instructions for it (elsewhere it is three times slower)."""
    able = torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def keep_memory() -> None:
    """Have glibc, where it is the C library, keep what a step frees: given back and taken again, it costs a third of the time."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, value in MALLOPT.items():
            mallopt(option, value)


def loss(network: ReaderNetwork, batch: Batch) -> dict[str, torch.Tensor]:
    """Span loss (cross-entropy, "no answer" being position 0), and relevance or doubt loss (binary cross-entropy).

    For groups the relevance loss is the cross-entropy of which of the windows answers, with 0 standing for none of them.
    """
    device = network.span.weight.device
    ids, mask, passage, first, last, doubt = (part.to(device) for part in batch[:-1])
    with torch.autocast(device.type, torch.bfloat16, enabled=halved(device)):
        start, end, relevance, doubts = (part.float() for part in network(ids, mask, passage))
    span = (functional.cross_entropy(start, first) + functional.cross_entropy(end, last)) / 2
    if batch.ranked:
        rivals = functional.pad(relevance.view(-1, GROUP), (0, 1))
        right = functional.pad((first > 0).float().view(-1, GROUP), (0, 1), value=0.5).argmax(dim=1)
        return {"group span": GROUP_SPAN_WEIGHT * span, "ranking": RANKING_WEIGHT * functional.cross_entropy(rivals, right)}
    if doubt[0, 0] < 0:
        return {"span": span, "relevance": functional.binary_cross_entropy_with_logits(relevance, (first > 0).float())}
    words = doubt[:, 1:] >= 0
    word = functional.binary_cross_entropy_with_logits(doubts[:, 1:][words], doubt[:, 1:][words].float(), pos_weight=WORD_WEIGHT)
    whole = functional.binary_cross_entropy_with_logits(doubts[:, 0], doubt[:, 0].float())
    return {"evidence": EVIDENCE_WEIGHT * span, "words": word, "claim": whole}


def train(network: ReaderNetwork, steps: Iterator[Batch], minutes: float, checkpoint: Path) -> int:
    """Train for `minutes`, counting those of an earlier run kept in `checkpoint`; returns the steps done."""
    heads = [p for name, p in network.trained().items() if not name.startswith("encoder")]
    body = [p for name, p in network.trained().items() if name.startswith("encoder")]
    groups = [{"params": body, "peak": RATE_ENCODER}, {"params": heads, "peak": RATE_HEADS}]
    optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.01, fused=True)
    done, spent = _resume(network, optimizer, checkpoint)
    started, sums = time.monotonic() - spent, defaultdict[str, list[float]](list)
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # far less than one epoch: nothing to regularise, and attention is 4 times faster
    if halved(network.span.weight.device) and network.span.weight.device.type == "cpu":
        network.encoder.set_attn_implementation("eager")  # the fused kernel's way back takes three times as long in bfloat16
    while (left := 1 - (time.monotonic() - started) / (60 * minutes)) > 0:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(1.0, (done + 1) / WARM_UP) * left
        losses = loss(network, next(steps))
        sum(losses.values()).backward()  # type: ignore[union-attr]
        torch.nn.utils.clip_grad_norm_(network.trained().values(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done += 1
        for name, value in losses.items():
            sums[name].append(value.item())
        if done % 50 == 0:
            told = "  ".join(f"{name} {mean(values):.3f}" for name, values in sums.items())
            print(f"step {done}  {(time.monotonic() - started) / 60:.1f} min  {told}", flush=True)
            sums.clear()
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
