"""The embedder's upper layers: `python -m training.embedder --data FOLDER`, for a GPU.

Takes questions with their passages, in the same and in other languages, what retrieval puts beside these and does not answer, and texts
that say the same in many languages; writes `index/embedder.safetensors`, differences from the bundled encoder that `index.embed` adds to
it. Trained by contrast within large batches (InfoNCE), questions to passages and back.
"""

import argparse
import itertools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from index import differences
from index.embed import EMBEDDER, bundled_tokenizer
from index.weights import bundled_model
from rag.network import trainable
from training import cloze, data, stream
from training.batches import side_by_side
from training.material import Material, arguments
from training.train import halved

SEED = 20261126
PAIRS, CHUNK = 512, 128  # of a batch; texts encoded together
LONGEST = 192  # tokens
RATE, WARM_UP = 5e-5, 100
TEMPERATURE = 0.02
SHARES = {"files": 0.4, "ours": 0.25, "told": 0.25, "cloze": 0.1}  # of the pairs
SHORT, ASKED = 0.3, 0.5  # of the passages keep little but their answer's sentence; of the texts that say the same stand for a question
NEAR = 10  # texts to either side, of which one is a rival

Tokenise = Callable[[list[str]], list[list[int]]]


class Pair(NamedTuple):
    """A question, or a text that stands for one, its passage, a passage that is not (or ""), and what both are from."""

    asked: str
    passage: str
    rival: str
    key: str


class Batch(NamedTuple):
    """Chunks of token ids, texts of like lengths together; the place of each of PAIRS questions, their passages and the rivals among them.

    `barred` (questions, passages and rivals) are those that may answer a question and are not its own.
    """

    chunks: list[torch.Tensor]
    places: torch.Tensor
    barred: torch.Tensor


def pairs(material: Material, seed: int) -> Iterator[Pair]:
    """Pairs without end, by SHARES."""
    rng = random.Random(seed)
    made = {
        "files": _asked(stream.rivals(material.files, seed + 1), rng),
        "ours": _asked(stream.rivals(material.own, seed + 2), rng),
        "told": _told([text for text in (*material.texts, *material.stories) if len(text) > 1], rng),
        "cloze": _cloze(cloze.stream(material.stories, material.names, seed + 3)),
    }
    names = list(SHARES)
    while True:
        yield next(made[rng.choices(names, list(SHARES.values()))[0]])


def _asked(found: Iterator[tuple[data.Example, str, str]], rng: random.Random) -> Iterator[Pair]:
    for example, rival, context in found:
        window = example.window
        if rng.random() < SHORT:
            a, b = data.grown(window, example.start, example.end, 0, rng)
            window = window[a:b]
        yield Pair(example.question, window, rival, context)


def _told(texts: list[dict[str, str]], rng: random.Random) -> Iterator[Pair]:
    while True:
        at = rng.randrange(len(texts))
        asked, told = rng.sample(sorted(texts[at]), 2)
        beside = texts[min(max(at + rng.choice((-1, 1)) * rng.randint(1, NEAR), 0), len(texts) - 1)]
        rival = beside.get(told, "") if beside is not texts[at] else ""
        prompt = "" if rng.random() < ASKED else "passage: "
        yield Pair(prompt + texts[at][asked], texts[at][told], rival, str(at))


def _cloze(examples: Iterator[data.Example]) -> Iterator[Pair]:
    for example in examples:
        if example.start >= 0:
            yield Pair(example.question, example.window, "", example.window)


def batches(material: Material, tokenise: Tokenise, seed: int, size: int = PAIRS) -> Iterator[Batch]:
    """Batches without end."""
    drawn = pairs(material, seed)
    while True:
        some = list(itertools.islice(drawn, size))
        asked = [pair.asked if pair.asked.startswith("passage: ") else f"query: {pair.asked}" for pair in some]
        texts = [*asked, *(f"passage: {pair.passage}" for pair in some), *(f"passage: {pair.rival}" for pair in some)]
        ids = tokenise(texts)
        chunks, places = chunked(ids, CHUNK)
        keys = [pair.key for pair in some]
        same = torch.tensor([[a == b for b in keys] for a in keys])
        others = same & ~torch.eye(size, dtype=torch.bool)
        none = torch.tensor([not pair.rival for pair in some]).expand(size, size)
        yield Batch(chunks, places, torch.cat([others, others | none], dim=1))


def chunked(ids: list[list[int]], size: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Token ids (texts, tokens) of `size` texts of like lengths each, and the place of every text among them."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    chunks = [_padded([ids[i] for i in order[at : at + size]]) for at in range(0, len(order), size)]
    return chunks, torch.tensor(order).argsort()


def _padded(ids: list[list[int]]) -> torch.Tensor:
    longest = len(ids[-1])
    return torch.tensor([row + [1] * (longest - len(row)) for row in ids])


class Embedder(nn.Module):
    """The bundled encoder with mean pooling; its lowest layers and words stay."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = trainable(folder)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Unit vectors (texts, dimension) of token ids (texts, tokens)."""
        mask = (ids != 1).long()
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        return normalize((states * mask[..., None]).sum(dim=1), dim=-1)

    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters that training changes, by the encoder's own names."""
        return [(name, value) for name, value in self.encoder.named_parameters() if value.requires_grad]


def loss(embedder: Embedder, batch: Batch, device: torch.device) -> torch.Tensor:
    """Each question's passage against the batch's, and each passage's question against the batch's."""
    with torch.autocast(device.type, torch.bfloat16, enabled=halved(device)):
        vectors = torch.cat([embedder(chunk.to(device, non_blocking=True)) for chunk in batch.chunks]).float()
    vectors = vectors[batch.places.to(device)]
    count = len(batch.places) // 3
    scores = (vectors[:count] @ vectors[count:].T / TEMPERATURE).masked_fill(batch.barred.to(device), -1e4)
    right = torch.arange(count, device=device)
    return (cross_entropy(scores, right) + cross_entropy(scores[:, :count].T, right)) / 2


def train(embedder: Embedder, steps: Iterator[Batch], minutes: float) -> int:
    """Train for `minutes`; returns the steps done."""
    device = embedder.trained()[0][1].device
    steps = itertools.chain([next(steps)], steps)  # the batches' own start is not counted
    return descend(embedder, lambda: loss(embedder, next(steps), device), RATE, minutes)


def descend(embedder: Embedder, lost: Callable[[], torch.Tensor], rate: float, minutes: float) -> int:
    """Train for `minutes` on what `lost` gives, a step each time, at a `rate` that falls to zero; returns the steps done."""
    weights = [value for _, value in embedder.trained()]
    optimizer = torch.optim.AdamW(weights, lr=0.0, weight_decay=0.01, fused=True)
    embedder.eval()  # no dropout: one passage is seen in many wordings
    done, sums, started = 0, list[torch.Tensor](), time.monotonic()
    while (left := 1 - (time.monotonic() - started) / (60 * minutes)) > 0:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (done + 1) / WARM_UP) * left
        found = lost()
        found.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done += 1
        sums.append(found.detach())
        if done % 25 == 0:
            print(f"step {done}  {(time.monotonic() - started) / 60:.1f} min  {torch.stack(sums).mean().item():.3f}", flush=True)
            sums.clear()
    return done


def run(material: Material, options: argparse.Namespace, folder: Path, tokenise: Tokenise) -> int:
    """Train as the options say, and write the differences; returns the steps done."""
    torch.manual_seed(SEED)
    large = torch.cuda.is_available()
    embedder = Embedder(folder).to("cuda" if large else "cpu")
    size = options.pairs
    steps = side_by_side(lambda seed: batches(material, tokenise, seed, size), SEED, options.workers if large else 0)
    done = train(embedder, steps, options.minutes)
    notes = {"steps": str(done), "minutes": str(options.minutes), "licence": "CC-BY-SA-4.0"}
    differences.write(embedder.trained(), folder, options.out, notes)
    return done


def tokenised() -> Tokenise:
    """Token ids of texts, LONGEST at most."""
    tokenizer = bundled_tokenizer()
    tokenizer.enable_truncation(LONGEST)
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def main() -> None:
    """Read the material, train, write."""
    parser = argparse.ArgumentParser(prog="python -m training.embedder", description=__doc__)
    arguments(parser)
    parser.add_argument("--out", type=Path, default=EMBEDDER)
    parser.add_argument("--minutes", type=float, default=8, help="time for the training loop (default: 8)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"of a batch (default: {PAIRS})")
    parser.add_argument("--workers", type=int, default=5, help="processes that make batches for a GPU (default: 5)")
    options = parser.parse_args()
    steps = run(Material.load(options), options, bundled_model(), tokenised())
    print(f"{steps} steps; wrote {options.out}")


if __name__ == "__main__":
    main()
