"""How good the answers are: `python -m bench.quality --data FOLDER` writes docs/quality.md; `--squad FILE` scores any SQuAD file.

Takes evaluation data that nothing here was trained or tuned on (XQuAD, XQuAD-R), and the seed questions; gives one Markdown
table with the published neighbours beside each figure. `--sample N` questions a language keep it within minutes on two cores.
"""

import argparse
import json
import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench import retrieval
from bench.squad import Item, Paragraphs, characters, json_lines, measure, normalised, score, squad_file
from index import Index, build
from rag import Hit, HybridRetriever, Rag, SpanReader
from rag.answer import K
from rag.evaluate import evaluate, read_questions
from rag.retrieve import worth_reading
from training.calibrate import expected_error

PAIRS = (("en", "de"), ("en", "es"), ("en", "zh"), ("ar", "en"), ("zh", "en"), ("ru", "es"))  # question → paragraph
SOME = ("ar", "de", "en", "zh")  # the paragraphs of these alone, so that most questions are in a language that no paragraph is in
SEED = 20260101
Row = tuple[str, str, str]  # what is measured, our figure, the published ones


def xquad(folder: Path, language: str) -> dict[str, Item]:
    """Every XQuAD question of a language, by id."""
    found = {}
    for row in json_lines(folder / "xquad" / f"{language}.jsonl.gz"):
        found[row["id"]] = Item(row["question"], row["context"], tuple(answer["text"] for answer in row["answers"]))
    return found


def reading(folder: Path, sample: int, paragraphs: Paragraphs) -> Iterator[Row]:
    """XQuAD in its twelve languages and across six pairs of them."""
    tokens = {"": normalised, "_chars": characters}
    languages = sorted(path.name.split(".")[0] for path in (folder / "xquad").glob("*.jsonl.gz"))
    items = {language: xquad(folder, language) for language in languages}
    ids = random.Random(SEED).sample(sorted(items["en"]), min(sample, len(items["en"])))
    found = {lang: measure([items[lang][i] for i in ids], paragraphs, tokens) for lang in languages}
    each = " · ".join(
        f"{lang} {value['f1']:.1f}" for lang, value in sorted(found.items(), key=lambda item: -item[1]["f1"])
    )
    yield (
        f"XQuAD, {len(ids)} questions a language, whole paragraphs, F1 / EM, average of 12",
        f"**{_mean(found, 'f1'):.1f} / {_mean(found, 'em'):.1f}** (zh by characters: {found['zh']['f1_chars']:.1f})",
        "mBERT 65.2 / 50.3, XLM-R base 71.9 / 56.4; multilingual MiniLM, same size, 68.2 F1; each trained on SQuAD",
    )
    yield "each language, F1", each, ""
    cross = {}
    for asked, read in PAIRS:
        mixed = [Item(items[asked][i].question, items[read][i].context, items[read][i].answers) for i in ids]
        cross[f"{asked}→{read}"] = measure(mixed, paragraphs, tokens)
    pairs = " · ".join(f"{name} {value['f1']:.1f}" for name, value in cross.items())
    yield (
        "XQuAD across languages, question → paragraph, F1, average of 6",
        f"**{_mean(cross, 'f1'):.1f}** ({pairs})",
        "none published",
    )


def _mean(found: dict[str, dict[str, float]], name: str) -> float:
    return float(np.mean([value[name] for value in found.values()]))


def ranking(folder: Path, sample: int, reader: SpanReader) -> Iterator[Row]:
    """XQuAD-R, with and without the languages' means taken away, then read again."""
    pool = retrieval.load(folder / "xquad_r")
    sentences, questions = retrieval.encode(pool)
    plain = retrieval.figures(pool, sentences, questions)
    kinds = ((pool.sentences, sentences, "passage"), (pool.questions, questions, "query"))
    vectors = tuple(retrieval.centred(rows, given, kind) for rows, given, kind in kinds)
    ours = retrieval.figures(pool, vectors[0], vectors[1])
    neighbours = "0.66 best direct encoder, trained for it; 0.72 translate-test (LAReQA)"
    size = f"{len(pool.sentences):,} sentences, {len(pool.questions):,} questions, 11 languages"
    yield (
        f"XQuAD-R, pooled ({size}), mAP: embedder alone → centred and projected",
        f"{plain['mAP']:.3f} → **{ours['mAP']:.3f}**",
        neighbours,
    )
    for name in ("recall@100", "nDCG@10", "nDCG@10 same", "nDCG@10 cross"):
        yield f"the same, {name}", f"{plain[name]:.3f} → {ours[name]:.3f}", ""
    again = retrieval.reranked(pool, vectors[0], vectors[1], reader, sample, SEED)
    text = f"{again['mAP before']:.3f} → **{again['mAP after']:.3f}**"
    yield f"the same, {sample} questions, so → the first {retrieval.DEPTH} read again, mAP", text, neighbours


def refusing(folder: Path, sample: int, reader: SpanReader) -> Iterator[Row]:
    """Questions in every language over pooled corpora, with their paragraph in all its languages in it, and without."""
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
            for pool in (sorted(items), SOME):
                yield from _refusals(index, items, pool, sample, reader)


def _refusals(
    index: Index, items: dict[str, dict[str, Item]], pool: Sequence[str], sample: int, reader: SpanReader
) -> Iterator[Row]:
    """Of an index's paragraphs in the languages of the pool."""
    retriever, rng = HybridRetriever(index), random.Random(SEED)
    entries = index.catalogue.entries()
    chosen = [entry.id for entry in entries if entry.source.split(".")[-2] in pool]  # NUMBER.LANGUAGE.txt
    documents = chosen if len(chosen) < len(entries) else None

    def text(hit: Hit) -> str:
        return index.catalogue.get(hit.chunk.metadata["document"]).page_content  # type: ignore[union-attr]

    present, absent, answered = [], [], []
    for language in sorted(items):
        for i in rng.sample(sorted(items[language]), min(sample, len(items[language]))):
            question, own = items[language][i].question, {items[lang][i].context for lang in pool}
            hits = retriever.hits(question, K + 4 * len(pool), documents=documents)
            others = [hit for hit in hits if text(hit) not in own]
            with_it, without = (
                max(reader.read(question, worth_reading(some[:K])), key=lambda r: r.relevance) for some in (hits, others)
            )
            present.append(with_it.relevance)
            absent.append(without.relevance)
            for read in (with_it, without):
                if read.relevance >= reader.threshold and read.spans:
                    said = text(read.hit)[read.spans[0].start : read.spans[0].end]
                    best = max(score(said, items[lang][i].answers, characters)[0] for lang in pool)
                    answered.append((reader.confidence(read.relevance), text(read.hit) in own and best >= 0.5))
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
        f"**{expected_error(answered):.3f}** ({_reliability(answered)})",
        "none published",
    )


def _reliability(answered: list[tuple[float, bool]]) -> str:
    """Said → were right, by fifths of the confidence."""
    groups = defaultdict(list)
    for confidence, right in answered:
        groups[min(int(confidence * 5), 4)].append((confidence, right))
    return ", ".join(
        f"said {np.mean([c for c, _ in group]):.2f} right {np.mean([r for _, r in group]):.2f} of {len(group)}"
        for _, group in sorted(groups.items())
    )


def seed_article(folder: Path) -> Iterator[Row]:
    """The regression questions on the shipped article."""
    with tempfile.TemporaryDirectory() as place, Index(Path(place) / "index", create=True) as index:
        build(index, [Path("seeds")])
        rag = Rag(index)
        rag.warm()
        found = evaluate(rag, read_questions(folder / "seed_questions.jsonl"))
    yield "seed questions: a citation holds a gold quote", f"**{found.cited:.2f}**", "first try of this reader 0.88"
    yield "seed questions: an acceptable answer in the text", f"**{found.acceptable:.2f}**", "0.75"
    yield (
        "seed questions: unanswerable refused / answerable refused",
        f"**{found.refused:.2f} / {found.wrongly_refused:.2f}**",
        "0.36 / 0.10",
    )
    yield "seed questions: median / p95, ms", f"{found.median_ms:.0f} / {found.p95_ms:.0f}", ""


def main() -> None:
    """Print the figures of a SQuAD file as JSON, or measure everything and write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--squad", type=Path, help="a SQuAD-format file, 1.1 or 2.0: prints its figures as JSON")
    parser.add_argument("--limit", type=int, help="with --squad: so many questions, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of that draw (default: 0)")
    parser.add_argument("--data", type=Path, help="folder with eval/ and seed_questions.jsonl")
    parser.add_argument("--sample", type=int, default=240, help="XQuAD questions a language (default: 240; all: 1190)")
    parser.add_argument(
        "--only", nargs="+", choices=("seed", "reading", "ranking", "refusing"), help="measure these, keep other rows"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/quality.md"))
    options = parser.parse_args()
    if options.squad:
        try:
            print(json.dumps(squad_file(options.squad, options.limit, options.seed)))
        except (ValueError, OSError) as error:
            parser.error(str(error))
        return
    if not options.data or not (options.data / "eval").exists():
        parser.error("give --squad FILE, or --data FOLDER with eval/xquad, eval/xquad_r and seed_questions.jsonl")
    paragraphs = Paragraphs()
    evaluation, sample = options.data / "eval", options.sample
    parts = {
        "seed": lambda: seed_article(options.data),
        "reading": lambda: reading(evaluation, sample, paragraphs),
        "ranking": lambda: ranking(evaluation, 4 * sample, paragraphs.reader),
        "refusing": lambda: refusing(evaluation, max(10, sample // 2), paragraphs.reader),
    }
    rows = _kept(options.out) if options.only else {}
    for name in options.only or parts:
        for what, measured, published in parts[name]():
            print(f"{what} | {measured} | {published}", flush=True)
            rows[what] = measured, published
            options.out.write_text(_page(rows, sample), encoding="utf-8")  # what is measured so far is kept


def _kept(path: Path) -> dict[str, tuple[str, str]]:
    """The rows of a table written before."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return {what: (measured, published) for what, measured, published in cells if what != "what"}


def _page(rows: dict[str, tuple[str, str]], sample: int) -> str:
    table = "\n".join(f"| {what} | {measured} | {published} |" for what, (measured, published) in rows.items())
    return (
        f"# How good it is\n\nMade by `python -m bench.quality --data DATA --sample {sample}` on {os.cpu_count()} cores; "
        "no weight or threshold saw XQuAD or XQuAD-R (the sentence splitter was chosen on the sentence breaks of XQuAD-R).\n\n"
        f"| what | measured | published neighbours |\n|---|---|---|\n{table}\n"
    )  # what stands below the table is written by hand and goes when the page is made anew


if __name__ == "__main__":
    main()
