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
from training.data import Example, Source
from training.wording import Lexicon, Told

CLAIMS, GROUPS = 0.17, 0.2  # of the batches check claims or rank groups of short windows; the others read
VIEWS = 0.3  # of the batches, where there are any, show windows of the files with two wordings of the question


@dataclass(slots=True)
class Material:
    """The files' rows and ours with the passages that retrieval puts beside each, dictionaries and texts in several languages."""

    found: dict[str, Source]
    own: dict[str, Source]
    words: Lexicon
    retrieved: dict[str, dict[str, list[str]]]
    near: dict[str, dict[str, list[str]]]
    translated: dict[str, Told]
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
        near = negatives.mine(found, options.work / "ours.npz", own)
        translated = translate.read(options.translated) if options.translated else {}
        folder = options.parallel
        told = (parallel.texts(folder), parallel.stories(folder), cloze.names(folder)) if folder else ([], [], {})
        return cls(found, own, words, retrieved, near, translated, *told)

    def files(self, seed: int, negative: float) -> Iterator[Example]:
        """Questions of the files, half of them in other languages."""
        return stream.stream(self.found, self.words, self.retrieved, seed, negative, self.translated)

    def asked(self, seed: int, negative: float) -> list[Iterator[Example]]:
        """Questions of our own and, a fifth as often, cloze questions."""
        found = 5 * [stream.stream(self.own, {}, self.near, seed, negative)]
        return [*found, cloze.stream(self.stories, self.names, seed - 2)] if self.stories else found

    def claims(self, seed: int) -> Iterator[claims.Claim]:
        """Sentences to check, half of them across languages."""
        rows = [row for source in self.found.values() for row in source.rows if source.language in ("en", "fr")]
        across = [claims.translated(self.found, self.translated, self.words, seed + 4)] if self.translated else []
        across += [parallel.stream(texts, rows, seed + 1) for texts in (self.texts, self.stories) if texts]
        return stream.mixed(claims.stream(self.found, self.words, seed), across, stream.CLAIMS_ACROSS, seed + 2)

    def groups(self, seed: int, across: float) -> Iterator[list[Example]]:
        """Windows that compete for a question."""
        files = stream.groups(self.found, self.words, self.retrieved, seed, self.translated)
        return stream.mixed(files, [stream.groups(self.own, {}, self.near, seed + 5)], across, seed + 6)

    def reading(self, tokenizer: PairTokenizer, seed: int, size: int, negative: float, across: float, views: float) -> Iterator[Batch]:
        """The reader's batches of `size` windows, `negative` of them without the answer; `across` and `views` as in `stream` and here."""
        read = stream.mixed(self.files(seed, negative), self.asked(seed + 8, negative), across, seed + 7)
        streams: Streams = {
            "read": (([example] for example in read), 1 - CLAIMS - GROUPS - views),
            "claims": (([claim] for claim in self.claims(seed + 1)), CLAIMS),
            "groups": (self.groups(seed + 4, across), GROUPS),
        }
        if views:
            pairs = stream.views(self.found, self.words, self.retrieved, seed + 11, negative, self.translated)
            streams["views"] = (pairs, views)
        return batches(tokenizer, streams, size, seed)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `Material.load` takes."""
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--work", type=Path, default=Path("checkpoints"), help="checkpoints, the lexicon and the mined negatives")
    parser.add_argument("--parallel", type=Path, help="folder of translations (training.parallel) and dictionaries (training.dictionaries)")
    parser.add_argument("--translated", type=Path, help="the questions in other languages (training.translate)")
