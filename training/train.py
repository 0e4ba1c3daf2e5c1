"""The reader's training loop: batches to weights.

Takes an endless stream of batches and a time budget; gives a trained network. bfloat16 on a GPU and on processors where it is
quicker, float32 elsewhere (docs/decisions.md). The learning rate falls to zero with the time that is left, so the budget is
kept whatever else the machine does. Checkpoints make it resumable.
"""

import ctypes
import itertools
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional

from rag.network import MASKED, ReaderNetwork
from training.batches import Batch
from training.stream import GROUP


class Scale(NamedTuple):
    """What depends on how much is read."""

    batch: int  # windows a step
    encoder: float  # learning rates
    heads: float
    dropout: float
    views: float  # of the batches show windows of the files with two wordings of the question
    save: int  # steps between checkpoints
    across: float  # of the windows outside views, and of the groups, are for questions of our own and cloze questions


SMALL = Scale(16, 7e-5, 3e-4, 0.0, 0.0, 200, 0.65)  # far less than one epoch: nothing to regularise, and attention is 4 times faster
LARGE = Scale(64, 1.2e-4, 5e-4, 0.1, 0.3, 2000, 0.5)  # on a GPU
WARM_UP, TELL = 150, 50  # steps
TRIED = 10  # products of each kind
AGREEMENT_WEIGHT = 1.0
RANKING_WEIGHT, GROUP_SPAN_WEIGHT = 0.5, 0.5  # of a group's losses: most of its windows have no answer
EVIDENCE_WEIGHT = 0.3  # of the span loss where the span is a claim's evidence
MALLOPT = {-8: 1, -4: 0, -1: -1}  # glibc's M_ARENA_MAX, M_MMAP_MAX and M_TRIM_THRESHOLD: one arena, no mmap, nothing given back
WORD_WEIGHT = 4.0  # of a word that is not borne out: most are


@cache
def halved(device: torch.device) -> bool:
    """Whether bfloat16 is quicker there: on a GPU, and on some processors (others have its instructions and take twice as long)."""
    return device.type == "cuda" or _product_time(torch.bfloat16) < _product_time(torch.float32)


def _product_time(kind: torch.dtype) -> float:
    """Seconds of a linear layer's product of the encoder's size: the best of TRIED."""
    states, weight, took = torch.ones(2048, 384, dtype=kind), torch.ones(1536, 384, dtype=kind), []
    for _ in range(TRIED):
        started = time.perf_counter()
        functional.linear(states, weight)
        took.append(time.perf_counter() - started)
    return min(took)


def keep_memory() -> None:
    """Have glibc, where it is the C library, keep what a step frees: given back and taken again, it costs a third of the time."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, value in MALLOPT.items():
            mallopt(option, value)


def loss(network: ReaderNetwork, batch: Batch) -> dict[str, torch.Tensor]:
    """Span loss (cross-entropy, "no answer" being position 0), and relevance or doubt loss (binary cross-entropy).

    For groups the relevance loss is the cross-entropy of which of the windows answers, with 0 standing for none of them. For views
    there is also how far the two are apart in what they say (after Zheng et al., ACL 2021).
    """
    device = network.span.weight.device
    ids, mask, passage, first, last, doubt = (part.to(device, non_blocking=True) for part in batch[:-1])
    with torch.autocast(device.type, torch.bfloat16, enabled=halved(device)):
        start, end, relevance, doubts = (part.float() for part in network(ids, mask, passage))
    span = (functional.cross_entropy(start, first) + functional.cross_entropy(end, last)) / 2
    if batch.kind == "groups":
        rivals = functional.pad(relevance.view(-1, GROUP), (0, 1))
        right = functional.pad((first > 0).float().view(-1, GROUP), (0, 1), value=0.5).argmax(dim=1)
        return {"group span": GROUP_SPAN_WEIGHT * span, "ranking": RANKING_WEIGHT * functional.cross_entropy(rivals, right)}
    if batch.kind == "claims":
        asked = (doubt[:, 1:] >= 0).float()
        weight = asked * torch.where(doubt[:, 1:] > 0, WORD_WEIGHT, 1.0)
        word = functional.binary_cross_entropy_with_logits(doubts[:, 1:], doubt[:, 1:].clamp(min=0).float(), weight, reduction="sum")
        whole = functional.binary_cross_entropy_with_logits(doubts[:, 0], doubt[:, 0].float())
        return {"evidence": EVIDENCE_WEIGHT * span, "words": word / asked.sum(), "claim": whole}
    found = {"span": span, "relevance": functional.binary_cross_entropy_with_logits(relevance, (first > 0).float())}
    if batch.kind == "views":
        found["agreement"] = AGREEMENT_WEIGHT * (apart(start, passage) + apart(end, passage)) / 2
    return found


def apart(logits: torch.Tensor, passage: torch.Tensor) -> torch.Tensor:
    """Mean divergence (Kullback and Leibler's, both ways) of what each two rows say of their passage's tokens and of position 0."""
    first, length = passage.int().argmax(dim=1), passage.sum(dim=1)
    length = length.view(-1, 2).amin(dim=1).repeat_interleave(2)  # a longer question leaves its window fewer
    at = torch.arange(logits.shape[1] - 1, device=logits.device)[None]
    places = (first[:, None] + at).clamp(max=logits.shape[1] - 1)
    inside = logits.gather(1, places).masked_fill(at >= length[:, None], MASKED)
    said = torch.cat([logits[:, :1], inside], dim=1).log_softmax(dim=1).view(len(logits) // 2, 2, -1)
    one, other = said.unbind(dim=1)
    both = [functional.kl_div(a, b, log_target=True, reduction="batchmean") for a, b in ((one, other), (other, one))]
    return torch.stack(both).mean()


def train(network: ReaderNetwork, steps: Iterator[Batch], minutes: float, checkpoint: Path, scale: Scale = SMALL) -> int:
    """Train for `minutes`, counting those of an earlier run kept in `checkpoint`; returns the steps done."""
    heads = [p for name, p in network.trained().items() if not name.startswith("encoder")]
    body = [p for name, p in network.trained().items() if name.startswith("encoder")]
    groups = [{"params": body, "peak": scale.encoder}, {"params": heads, "peak": scale.heads}]
    optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.01, fused=True)
    done, spent = _resume(network, optimizer, checkpoint)
    first = next(steps)  # the streams' own start is not counted
    steps = itertools.chain([first], steps)
    started, sums = time.monotonic() - spent, defaultdict[str, list[torch.Tensor]](list)
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = scale.dropout
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
            sums[name].append(value.detach())
        if done % TELL == 0:
            told = "  ".join(f"{name} {torch.stack(values).mean().item():.3f}" for name, values in sums.items())
            print(f"step {done}  {(time.monotonic() - started) / 60:.1f} min  {told}", flush=True)
            sums.clear()
        if done % scale.save == 0:
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
