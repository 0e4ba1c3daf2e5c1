"""`python -m training --data FOLDER --out rag/weights/`: the whole recipe, from data to the reader's weights."""

import argparse
from pathlib import Path
from zlib import crc32

import torch

from index.embed import bundled_tokenizer
from index.weights import bundled_model
from rag import network as reader
from rag.read import PairTokenizer
from training import stream, train
from training.batches import LONGEST, side_by_side
from training.material import Material, arguments

SEED = 20260101


def main() -> None:
    """Read the material, train, and write `reader.safetensors`."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    arguments(parser)
    parser.add_argument("--out", type=Path, default=Path("rag/weights"), help="where reader.safetensors goes")
    parser.add_argument("--minutes", type=float, default=120, help="time for the training loop, resumed runs counted")
    parser.add_argument("--negative", type=float, default=stream.NEGATIVE, help="share of windows without the answer")
    parser.add_argument("--init", type=Path, help="continue from these weights instead of the embedder alone")
    parser.add_argument("--workers", type=int, default=8, help="processes that make batches for a GPU (default: 8)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    train.keep_memory()
    steps = run(Material.load(options), options, bundled_model(), PairTokenizer(bundled_tokenizer, LONGEST))
    print(f"{steps} steps; wrote {options.out / 'reader.safetensors'}")


def run(material: Material, options: argparse.Namespace, encoder: Path, tokenizer: PairTokenizer) -> int:
    """Train as the options say, and write the weights; returns the steps done."""
    torch.manual_seed(SEED)
    network = reader.load(encoder, options.init) if options.init else reader.ReaderNetwork(encoder)
    large = torch.cuda.is_available()
    network.to("cuda" if large else "cpu")
    scale = train.LARGE if large else train.SMALL
    checkpoint = options.work / "reader.pt"
    since = next((path for path in (checkpoint, options.init) if path and path.exists()), None)
    seed = SEED + (crc32(since.read_bytes()) % 10**6 if since else 0)  # other examples than the run before had
    steps = side_by_side(
        lambda seed: material.reading(tokenizer, seed, scale.batch, options.negative, scale.across, scale.views),
        seed, options.workers if large else 0,
    )  # fmt: skip
    done = train.train(network, steps, options.minutes, checkpoint, scale)
    notes = {"steps": str(done), "minutes": str(options.minutes), "licence": "CC-BY-SA-4.0"}
    reader.save(network, encoder, options.out / "reader.safetensors", notes)
    return done


if __name__ == "__main__":
    main()
