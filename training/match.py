"""The matcher's weights: `python -m training.match --data FOLDER`, half an hour on two cores.

Takes questions of the files and ours, in the passages' languages and others, and the passages that the embedder puts nearest each;
gives `match.safetensors` beside the reader's weights. What the embedder makes of each token stays as it is: a matrix that turns it and
the weight of a question's tokens are learnt, so that the match tells the passage that answers, or that none does, better than the
cosine does alone.
"""

import argparse
import random
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from index.embed import VERSION, SentenceEncoder
from rag.calibration import WEIGHTS
from training.listed import RIVALS, Encoded, Listed, listed, material, passages

SEED = 5
SIZE = 64  # what the states are turned into
SAMPLE = 20_000  # states that tell in which directions they differ
BATCH, EPOCHS, RATE = 32, 2, 1e-3
WARM_UP = 100  # steps
BEGIN = (20.0, 10.0, -15.0)  # how much the match and the cosine tell, and the bias
QUICK = 30  # times as fast as the rest, these three are learnt


class Match(nn.Module):
    """What `rag.match.Matcher` computes, and what its figure tells beside the cosine."""

    def __init__(self, states: np.ndarray) -> None:
        """Begins with the directions in which these `states` (tokens, dimension) differ most."""
        super().__init__()
        middle = states.mean(axis=0)
        axes = np.linalg.svd(states - middle, full_matrices=False)[2][:SIZE]
        self.turn, self.shift = nn.Parameter(torch.tensor(axes)), nn.Parameter(torch.tensor(-(axes @ middle)))
        self.weight = nn.Parameter(torch.zeros(1, states.shape[1]))
        self.telling = nn.Parameter(torch.tensor(BEGIN))

    def forward(self, asked: torch.Tensor, in_asked: torch.Tensor, told: torch.Tensor, in_told: torch.Tensor) -> torch.Tensor:
        """Matches (questions, passages) of states (questions, tokens, dimension) and (questions, passages, tokens, dimension)."""
        sought, found = (normalize(states @ self.turn.T + self.shift, dim=-1) for states in (asked, told))
        likeness = torch.einsum("qid,qpjd->qpij", sought, found).masked_fill(~in_told[:, :, None], -1.0)
        counts = (asked @ self.weight[0]).masked_fill(~in_asked, -1e4).softmax(dim=-1)
        return (likeness.amax(dim=-1) * counts[:, None]).sum(dim=-1)


def loss(match: Match, lists: list[Listed], asked: Encoded, told: Encoded, rng: random.Random) -> torch.Tensor:
    """Which passage answers, or that none does, of each list; and that none does once the one that answers is taken out."""
    size = RIVALS + 1
    there = [[*(rng.sample(one.right, 1) if one.right else []), *one.wrong] for one in lists]
    numbers = torch.tensor([row + [row[-1]] * (size - len(row)) for row in there])
    empty = torch.arange(size)[None] >= torch.tensor([[len(row)] for row in there])
    told_states, in_told = (part.reshape(len(lists), size, *part.shape[1:]) for part in told.padded(numbers.flatten().tolist()))
    matches = match(*asked.padded([one.question for one in lists]), told_states, in_told)
    questions = torch.from_numpy(asked.vectors[[one.question for one in lists]])
    cosines = torch.einsum("qd,qpd->qp", questions, torch.from_numpy(told.vectors[numbers.numpy()]))
    odds = match.telling[0] * matches + match.telling[1] * cosines + match.telling[2]
    odds = torch.cat([odds.masked_fill(empty, -1e4), torch.zeros(len(lists), 1)], dim=1)
    has = torch.tensor([bool(one.right) for one in lists])
    right = torch.where(has, 0, size)
    without = odds.clone()
    without[has, 0] = -1e4
    none = torch.full((len(lists),), size)
    return cross_entropy(odds, right) + (cross_entropy(without, none, reduction="none") * has).sum() / has.sum().clamp(min=1)


def train(lists: list[Listed], asked: Encoded, told: Encoded) -> Match:
    """EPOCHS over the lists."""
    rng = random.Random(SEED)
    match = Match(told.states[:: max(1, len(told.states) // SAMPLE)].astype("f4"))
    groups = [{"params": [match.turn, match.shift, match.weight], "by": 1}, {"params": [match.telling], "by": QUICK}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    order = [i for _ in range(EPOCHS) for i in rng.sample(range(len(lists)), len(lists))]
    steps, sums = len(order) // BATCH, list[float]()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * group["by"] * min(1.0, (step + 1) / WARM_UP) * (1 - step / steps)
        found = loss(match, [lists[i] for i in order[step * BATCH : (step + 1) * BATCH]], asked, told, rng)
        optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        sums.append(found.item())
        if (step + 1) % 200 == 0:
            print(f"step {step + 1} of {steps}  {np.mean(sums):.3f}", flush=True)
            sums.clear()
    return match


def main() -> None:
    """Encode, find what stands beside each question, train, write."""
    parser = argparse.ArgumentParser(prog="python -m training.match", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--translated", type=Path, help="the questions in other languages (training.translate)")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "match.safetensors")
    options = parser.parse_args()
    torch.manual_seed(SEED)
    encoder = SentenceEncoder()
    contexts, asked = material(options.data, options.translated, SEED)
    shown = passages(contexts, encoder)
    print(f"{len(asked)} questions, {len(shown)} passages of {len(contexts)} contexts", flush=True)
    questions = Encoded(encoder, [one.question for one in asked], asked=True)
    told = Encoded(encoder, [passage.text for passage in shown], asked=False)
    lists = [one for one in listed(asked, shown, questions.vectors, told.vectors) if one.wrong]
    match = train(lists, questions, told)
    notes = {"questions": str(len(lists)), "vectors": VERSION, "licence": "CC-BY-SA-4.0"}
    parts = {name: getattr(match, name).detach().numpy().astype("f2") for name in ("turn", "shift", "weight")}
    partial = options.out.with_suffix(".partial")
    save_file(parts, partial, notes)
    partial.replace(options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
