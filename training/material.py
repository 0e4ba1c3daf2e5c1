"""All that there is to train on, read once.

Takes the data folder, the translations and what earlier steps of the recipe left in the work folder; gives the streams that the reader
(`training`) and the embedder (`training.embedder`) learn from.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from index.weights import bundled_model
from rag.read import PairTokenizer
from training import claims, cloze, data, lexicon, negatives, ours, parallel, spelling, stream, translate
from training.batches import Batch, Streams, batches
from training.data import Example

CLAIMS, GROUPS = 0.17, 0.2  # of the batches check claims or rank groups of short windows; the others read


@dataclass(slots=True)
class Material:
    """The files' rows and ours with the passages that retrieval puts beside each, dictionaries and texts in several languages."""

    files: stream.Corpus  # half of its questions are asked in other languages
    own: stream.Corpus  # asked as they stand
    texts: list[dict[str, str]]
    stories: list[dict[str, str]]
    names: cloze.Names

    @classmethod
    def load(cls, options: argparse.Namespace) -> "Material":
        """What the options of `arguments` name; the lexicon and the negatives are mined where the work folder lacks them."""
        options.work.mkdir(parents=True, exist_ok=True)
        words = lexicon.mine(bundled_model(), options.work / "lexicon.json", options.parallel)
        found = data.sources(options.data)
        if options.parallel:
            spelling.add(words, found)
        retrieved = negatives.mine(found, options.work / "negatives.npz")
        own = ours.sources(found)
        near = ours.with_siblings(negatives.mine(found, options.work / "ours.npz", own), own)
        translated = translate.read(options.translated) if options.translated else {}
        folder = options.parallel
        told = (parallel.texts(folder), parallel.stories(folder), cloze.names(folder)) if folder else ([], [], {})
        return cls(stream.Corpus(found, words, retrieved, translated), stream.Corpus(ours.balanced(own), {}, near, {}), *told)

    def asked(self, seed: int, negative: float) -> list[Iterator[Example]]:
        """Questions of our own and, a fifth as often, cloze questions."""
        found = 5 * [stream.stream(self.own, seed, negative)]
        return [*found, cloze.stream(self.stories, self.names, seed - 2)] if self.stories else found

    def claims(self, seed: int) -> Iterator[claims.Claim]:
        """Sentences to check, half of them across languages."""
        found, words, _, translated = self.files
        rows = [row for source in found.values() for row in source.rows if source.language in ("en", "fr")]
        across = [claims.translated(found, translated, words, seed + 4)] if translated else []
        across += [parallel.stream(texts, rows, seed + 1) for texts in (self.texts, self.stories) if texts]
        return stream.mixed(claims.stream(found, words, seed), across, stream.CLAIMS_ACROSS, seed + 2)

    def groups(self, seed: int, across: float) -> Iterator[list[Example]]:
        """Windows that compete for a question."""
        return stream.mixed(stream.groups(self.files, seed), [stream.groups(self.own, seed + 5)], across, seed + 6)

    def reading(self, tokenizer: PairTokenizer, seed: int, size: int, negative: float, across: float, views: float) -> Iterator[Batch]:
        """The reader's batches of `size` windows, `negative` of them without the answer; `across` and `views` as in `train.Scale`."""
        read = stream.mixed(stream.stream(self.files, seed, negative), self.asked(seed + 8, negative), across, seed + 7)
        streams: Streams = {
            "read": (([example] for example in read), 1 - CLAIMS - GROUPS - views),
            "claims": (([claim] for claim in self.claims(seed + 1)), CLAIMS),
            "groups": (self.groups(seed + 4, across), GROUPS),
        }
        if views:
            streams["views"] = (stream.views(self.files, seed + 11, negative), views)
        return batches(tokenizer, streams, size, seed)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `Material.load` takes."""
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--work", type=Path, default=Path("checkpoints"), help="checkpoints, the lexicon and the mined negatives")
    parser.add_argument("--parallel", type=Path, help="folder of translations (training.parallel) and dictionaries (training.dictionaries)")
    parser.add_argument("--translated", type=Path, help="the questions in other languages (training.translate)")
