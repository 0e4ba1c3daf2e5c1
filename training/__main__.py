"""`python -m training --data FOLDER --out rag/weights/`: the whole recipe, from data to the reader's weights."""

import argparse
from pathlib import Path
from zlib import crc32

import torch

from index.embed import bundled_tokenizer
from index.weights import bundled_model
from rag import network as reader
from rag.read import PairTokenizer
from training import claims, cloze, data, lexicon, negatives, ours, parallel, spelling, stream, train, translate

SEED = 20260101


def main() -> None:
    """Mine the lexicon, train, and write `reader.safetensors`."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--out", type=Path, default=Path("rag/weights"), help="where reader.safetensors goes")
    parser.add_argument("--work", type=Path, default=Path("checkpoints"), help="checkpoints and the mined lexicon")
    parser.add_argument("--minutes", type=float, default=120, help="time for the training loop, resumed runs counted")
    parser.add_argument("--negative", type=float, default=stream.NEGATIVE, help="share of windows without the answer")
    parser.add_argument("--init", type=Path, help="continue from these weights instead of the embedder alone")
    parser.add_argument("--parallel", type=Path, help="folder of translations (training.parallel) and dictionaries (training.dictionaries)")
    parser.add_argument("--translated", type=Path, help="the questions in other languages (training.translate)")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    train.keep_memory()

    encoder = bundled_model()
    words = lexicon.mine(encoder, options.work / "lexicon.json", options.parallel)
    translated = translate.read(options.translated) if options.translated else {}
    tokenizer = PairTokenizer(bundled_tokenizer, train.LONGEST)
    network = reader.load(encoder, options.init) if options.init else reader.ReaderNetwork(encoder)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint = options.work / "reader.pt"
    since = next((path for path in (checkpoint, options.init) if path and path.exists()), None)
    seed = SEED + (crc32(since.read_bytes()) % 10**6 if since else 0)  # other examples than the run before had
    found = data.sources(options.data)
    if options.parallel:
        spelling.add(words, found)
    retrieved = negatives.mine(found, options.work / "negatives.npz")
    examples = stream.stream(found, words, retrieved, seed, options.negative, translated)
    across = [claims.translated(found, translated, words, seed + 5)] if translated else []
    own = ours.sources(found)
    near = negatives.mine(found, options.work / "ours.npz", own)
    asked = 5 * [stream.stream(own, {}, near, seed + 8, options.negative)]  # five times as often as the cloze questions
    if options.parallel:
        rows = [row for source in found.values() for row in source.rows if source.language in ("en", "fr")]
        stories = parallel.stories(options.parallel)
        across += [parallel.stream(texts, rows, seed + 2) for texts in (parallel.texts(options.parallel), stories)]
        asked.append(cloze.stream(stories, cloze.names(options.parallel), seed + 6))
    examples = stream.mixed(examples, asked, stream.ASKED_ACROSS, seed + 7)
    checked = stream.mixed(claims.stream(found, words, seed + 1), across, stream.CLAIMS_ACROSS, seed + 3)
    groups = stream.groups(found, words, retrieved, seed + 4, translated)
    groups = stream.mixed(groups, [stream.groups(own, {}, near, seed + 9)], stream.ASKED_ACROSS, seed + 10)
    batches = train.batches(tokenizer, examples, checked, groups, seed)
    steps = train.train(network, batches, options.minutes, checkpoint)
    notes = {"steps": str(steps), "minutes": str(options.minutes), "licence": "CC-BY-SA-4.0"}
    reader.save(network, encoder, options.out / "reader.safetensors", notes)
    print(f"{steps} steps; wrote {options.out / 'reader.safetensors'}")


if __name__ == "__main__":
    main()
