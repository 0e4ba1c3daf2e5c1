"""Questions whose paragraph is in a pool of many languages, and the same with it taken out: right and false refusals, and the confidence.

Takes XQuAD's paragraphs in all their languages; gives rows for `bench.quality` and the reliability plot. A pool of all twelve languages,
and one of four, so that most questions are in a language that no paragraph is in.
"""

import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench import reliability
from bench.squad import Item, characters, score, xquad
from bench.table import SEED, Row
from index import Index, build
from rag import Hit, HybridRetriever, SpanReader
from rag.answer import K
from rag.retrieve import worth_reading
from training.calibrate import OWN
from training.fitting import expected_error

SOME = ("ar", "de", "en", "zh")  # the paragraphs of these alone


def refusing(folder: Path, sample: int, reader: SpanReader, plot: Path) -> Iterator[Row]:
    """Questions in every language over pooled corpora, with their paragraph in all its languages in it, and without.

    The answers' confidences are drawn to `plot` (SVG).
    """
    names = [path.name.split(".")[0] for path in (folder / "xquad").glob("*.jsonl.gz")]
    items = {language: xquad(folder, language) for language in sorted(names)}
    with tempfile.TemporaryDirectory() as place:
        texts = Path(place) / "texts"
        texts.mkdir()
        for language, asked in items.items():
            for number, context in enumerate(sorted({item.context for item in asked.values()})):
                (texts / f"{number}.{language}.txt").write_text(context, encoding="utf-8", newline="")
        with Index(Path(place) / "index", create=True) as index:
            build(index, [texts])
            answered: dict[str, reliability.Answered] = {}
            for pool in (sorted(items), SOME):
                given = answered.setdefault(f"{len(pool)} languages", [])
                yield from refusals(index, items, pool, sample, reader, given)
            plot.write_text(reliability.plot(answered), encoding="utf-8")


def refusals(
    index: Index,
    items: dict[str, dict[str, Item]],
    pool: Sequence[str],
    sample: int,
    reader: SpanReader,
    answered: reliability.Answered,
) -> Iterator[Row]:
    """Of an index's paragraphs in the languages of the pool; what was answered, with its confidence, is added to `answered`."""
    retriever, rng = HybridRetriever(index), random.Random(SEED)
    entries = index.catalogue.entries()
    chosen = [entry.id for entry in entries if entry.source.split(".")[-2] in pool]  # NUMBER.LANGUAGE.txt
    documents = chosen if len(chosen) < len(entries) else None

    def text(hit: Hit) -> str:
        return index.catalogue.get(hit.chunk.metadata["document"]).page_content  # type: ignore[union-attr]

    present, absent = [], []
    for language in sorted(items):
        for i in rng.sample(sorted(items[language]), min(sample, len(items[language]))):
            question, own = items[language][i].question, {items[lang][i].context for lang in pool}
            more = retriever.hits(question, K + OWN * len(pool), documents=documents)
            others = [hit for hit in more if text(hit) not in own][:K]
            with_it, without = (
                sorted(reader.read(question, worth_reading(hits)), key=lambda reading: -reading.relevance)
                for hits in (retriever.hits(question, K, documents=documents), others)
            )
            present.append(with_it[0].relevance)
            absent.append(without[0].relevance)
            for readings in (with_it, without):
                if (read := readings[0]).relevance >= reader.threshold and read.spans:
                    said = text(read.hit)[read.spans[0].start : read.spans[0].end]
                    best = max(score(said, items[lang][i].answers, characters)[0] for lang in pool)
                    answered.append((reader.confidence(readings), text(read.hit) in own and best >= 0.5))
    absent_, present_ = np.array(absent), np.array(present)
    refused, wrongly = float((absent_ < reader.threshold).mean()), float((present_ < reader.threshold).mean())
    at_ten = float((absent_ < np.quantile(present_, 0.10)).mean())
    auroc = float((present_[:, None] > absent_[None, :]).mean())
    about = f"paragraph taken out of {len(pool)} languages' XQuAD"
    yield (
        f"refusal, {about}, {len(present)} questions in {len(items)} languages: correct / false",
        f"**{refused:.0%} / {wrongly:.0%}** (at 10 % false: {at_ten:.0%}; AUROC {auroc:.3f})",
        "frontier LLMs below 50 % on refusals over several documents",
    )
    yield (
        f"expected calibration error of the confidence, {about}",
        f"**{expected_error(answered):.3f}** ({reliability.told(answered)})",
        "none published",
    )
