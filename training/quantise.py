"""What enters each linear layer of the embedder and of the reader: `python -m training.quantise --data FOLDER`.

Takes windows of left-out contexts in six languages, and questions about them in twenty; writes the ranges that `index.quantised` needs,
those of the embedder and of its questions' layers beside it, those of the reader beside its weights.
"""

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from index.embed import QUESTION_RANGES, RANGES, SentenceEncoder
from index.quantised import LINEAR, Range
from index.weights import bundled_model
from rag.calibration import WEIGHTS
from rag.network import load
from rag.read import READER_RANGES, SpanReader
from training import data
from training.calibrate import CROSSED
from training.ours import by_row

WINDOWS = 12  # of a file
CHARACTERS = 420
LARGE = 1.3  # times the 98th percentile of the channels' largest values: beyond it a channel is split
MOST = 8  # channels that are split
SHARES = np.linspace(0.3, 1, 15)  # of the widest range that are tried
SAMPLE = 4000  # tokens that a range is chosen on


def ranges(encoder: Any, texts: list[list[int]]) -> dict[str, Range]:
    """`LAYER.LINEAR` → Range, from the states that the token ids of each text give rise to."""
    seen: dict[str, list[np.ndarray]] = defaultdict(list)
    hooks = []
    for number, layer in enumerate(encoder.encoder.layer):
        for name, paths in LINEAR.items():

            def keep(_module: nn.Module, given: tuple[torch.Tensor], at: str = f"{number}.{name}") -> None:
                seen[at].append(given[0].flatten(0, 1).numpy())

            hooks.append(layer.get_submodule(paths[0]).register_forward_pre_hook(keep))
    with torch.inference_mode():
        for ids in texts:
            encoder(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    for hook in hooks:
        hook.remove()
    return {name: _range(np.concatenate(parts)) for name, parts in seen.items()}


def _range(states: np.ndarray) -> Range:
    """The range with the least squared error over states (tokens, channels)."""
    largest = np.abs(states).max(axis=0)
    order = np.argsort(-largest)[:MOST]
    large = sorted(int(i) for i in order if largest[i] > LARGE * np.quantile(largest, 0.98))
    others = np.delete(states, large, axis=1)
    sample = others[np.random.default_rng(0).permutation(len(others))[:SAMPLE]]
    tried = []
    for share in SHARES:
        low, high = min(float(others.min()) * share, 0.0), max(float(others.max()) * share, 0.0)
        scale = (high - low) / 255
        zero = round(-low / scale)
        codes = np.clip(np.rint(sample / scale) + zero, 0, 255)
        tried.append((float(np.square((codes - zero) * scale - sample).mean()), scale, zero))
    _, scale, zero = min(tried)
    return Range(scale, zero, large)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m training.quantise", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--weights", type=Path, default=WEIGHTS / "reader.safetensors")
    options = parser.parse_args()
    rng, embedder, reader = random.Random(1), SentenceEncoder(exact=True), SpanReader()
    asked = []
    for source in data.sources(options.data, held_out=True).values():
        budget = int(CHARACTERS * (0.4 if source.language in ("ja", "zh") else 1))
        rows = rng.sample([row for row in source.rows if row.start >= 0], WINDOWS)
        asked += [(row.question, data.window(row, budget, rng).window) for row in rows]
    questions = [f"query: {question}" for question, _ in asked]
    crossed = [f"query: {question}" for some in by_row(CROSSED).values() for question in some]
    tokenise = embedder.model.tokenizer
    passages = tokenise([f"passage: {window}" for _, window in asked] + questions)
    write(RANGES, ranges(embedder.model[0].auto_model, passages["input_ids"]))
    write(QUESTION_RANGES, ranges(embedder.asking[0].auto_model, tokenise(questions + crossed)["input_ids"]))
    pairs = [pair.ids for question, window in asked for pair in reader.encode(question, [window])]
    write(READER_RANGES, ranges(load(bundled_model(), options.weights).encoder, pairs))


def write(path: Path, found: dict[str, Range]) -> None:
    """A line for each linear layer: scale, zero, the channels that are split."""
    lines = (json.dumps({name: [float(f"{r.scale:.4g}"), r.zero, r.large]})[1:-1] for name, r in found.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{path.name}: {sum(len(r.large) for r in found.values())} channels of {len(found)} layers split")


if __name__ == "__main__":
    main()
