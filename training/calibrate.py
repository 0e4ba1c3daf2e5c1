"""From the network's logits to probabilities and one threshold: `python -m training.calibrate --data FOLDER`.

Takes the contexts that training left out, in six languages, with their own questions and with ours about them in other languages
(`crossed.tsv`: 508 questions in 20 languages, written for this), and 78 invented passages with 801 questions in the same and in other
languages (`left_out.tsv`), 52 of them 23 articles told in two or three languages, so that near misses are there which no training
saw; gives `calibration.json` beside the weights. Every question is put to the product's own retrieval over all these contexts and
their neighbours at once, and again with its own context taken out of the hits, so that it has no answer. Nothing is fitted or
chosen on the seed article's questions or on evaluation data.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from index import Index, build
from index.language import detect
from rag import Hit, HybridRetriever, SpanReader
from rag.answer import K
from rag.calibration import WEIGHTS, Known
from rag.read import crowded, said
from rag.retrieve import worth_reading
from training import data
from training.fitting import UNFITTED, Case, figures, fit
from training.ours import LEFT_OUT, by_row, written

OWN = 4  # passages of the question's own paragraph, at most
SIBLINGS = 4  # other paragraphs of the same article that stand beside each left-out one: near misses
CROSSED = Path(__file__).parent / "crossed.tsv"  # row id, language, question


def cases(folder: Path, contexts: int, questions: int, seed: int = 1) -> Iterator[tuple[Case, Case]]:
    """For each question, its readings with the answer among the passages, and without."""
    rng, ours, reader = random.Random(seed), by_row(CROSSED), SpanReader(calibration=UNFITTED)
    asked: list[tuple[data.Row, str, bool]] = []
    with tempfile.TemporaryDirectory() as place:
        texts = Path(place) / "texts"
        texts.mkdir()
        trained = data.sources(folder)
        for name, source in data.sources(folder, held_out=True).items():
            pool = sorted({row.context for row in source.rows})
            kept = set(rng.sample(pool, min(contexts, len(pool)))) | {r.context for r in source.rows if r.id in ours}
            titles = sorted({row.title for row in source.rows if row.context in kept})
            beside = [c for title in titles for c in trained[name].contexts.get(title, [])[:SIBLINGS]]
            _put(texts, name, dict.fromkeys([*sorted(kept), *beside]))
            own = [row for row in source.rows if row.context in kept and row.start >= 0]
            asked += [(row, row.question, False) for row in rng.sample(own, min(questions, len(own)))]
            asked += [(row, question, True) for row in source.rows for question in ours.get(row.id, [])]
        for name, source in written(LEFT_OUT).items():
            _put(texts, name, sorted({row.context for row in source.rows}))
            asked += [(row, row.question, detect(row.question) != source.language) for row in source.rows]
        with Index(Path(place) / "index", create=True) as index:
            build(index, [texts])
            retriever = HybridRetriever(index)
            for row, question, switched in asked:
                yield _pair(row, question, switched, retriever, reader)


def _put(folder: Path, name: str, contexts: Iterable[str]) -> None:
    for number, context in enumerate(contexts):
        (folder / f"{name}.{number}.txt").write_text(context, encoding="utf-8", newline="")


def _pair(row: data.Row, question: str, switched: bool, retriever: HybridRetriever, reader: SpanReader) -> tuple[Case, Case]:
    found, more = (retriever.hits(question, k) for k in (K, K + OWN))
    documents = {_document(hit) for hit in (*found, *more)}
    own = {document for document in documents if retriever.index.catalogue.get(document).page_content == row.context}
    without = worth_reading([hit for hit in more if _document(hit) not in own][:K])
    with_it = worth_reading(found)
    every = {str(hit.chunk.id): hit for hit in (*with_it, *without)}
    known = dict(zip(every, reader.measure(question, list(every.values())), strict=True))
    return _case(row, with_it, known, own, switched, reader), _case(row, without, known, own, switched, reader)


def _case(row: data.Row, hits: list[Hit], known: dict[str, Known], own: set[str], switched: bool, reader: SpanReader) -> Case:
    crowd, read, gold, right = crowded(hits), [], [], []
    for hit in hits:
        read.append(replace(known[str(hit.chunk.id)], crowd=crowd))
        is_own, span = _document(hit) in own, read[-1].spans[0] if read[-1].spans else None
        gold.append(is_own and hit.start < row.end and row.start < hit.chunk.metadata["end"])
        shared = max(0, min(span.end, row.end) - max(span.start, row.start)) if span else 0
        longer = max(span.end - span.start, row.end - row.start) if span else 1
        right.append(bool(is_own and shared / longer >= 0.5))
    sentences = reader.said([said(hit, of.spans) for hit, of in zip(hits, read, strict=True)])
    return Case(read, np.stack(sentences), np.array(gold, bool), np.array(right, bool), switched)


def _document(hit: Hit) -> str:
    return str(hit.chunk.metadata["document"])


def write(path: Path, **parts: dict[str, float]) -> None:
    """Put these parts into the calibration; its others stay."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(kept | parts, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Read, fit, write `calibration.json`, print the figures."""
    parser = argparse.ArgumentParser(prog="python -m training.calibrate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--out", type=Path, default=WEIGHTS / "calibration.json")
    parser.add_argument("--contexts", type=int, default=30, help="left-out contexts of each data file (default: 30)")
    parser.add_argument("--questions", type=int, default=60, help="questions about them (default: 60)")
    options = parser.parse_args()
    pairs = list(cases(options.data, options.contexts, options.questions))
    found = figures(pairs)
    write(options.out, reader=asdict(fit(pairs)), figures=found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
