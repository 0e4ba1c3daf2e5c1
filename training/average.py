"""The mean of two runs' weights: `python -m training.average FIRST SECOND --share S --out FILE`.

Takes the reader's weights of two runs from the same encoder, or means of such; gives S of the second and the rest of the first. It
reads better than either (`training/README.md` has the figures) and costs nothing (Wortsman et al., ICML 2022).
"""

import argparse
from pathlib import Path

import torch

from index.weights import bundled_model
from rag.network import load, save


def average(first: Path, second: Path, share: float, encoder: Path, out: Path) -> None:
    """Write the mean of the weights, with `share` of the second."""
    made, other = load(encoder, first), load(encoder, second).trained()
    with torch.no_grad():
        for name, value in made.trained().items():
            value.lerp_(other[name], share)
    save(made, encoder, out, {"mean": f"{1 - share:g} and {share:g} of two runs", "licence": "CC-BY-SA-4.0"})


def main() -> None:
    """Average and write."""
    parser = argparse.ArgumentParser(prog="python -m training.average", description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, default=0.6, help="of the second (default: 0.6)")
    parser.add_argument("--out", type=Path, default=Path("rag/weights/reader.safetensors"))
    options = parser.parse_args()
    average(options.first, options.second, options.share, bundled_model(), options.out)


if __name__ == "__main__":
    main()
