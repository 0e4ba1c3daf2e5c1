"""How good the answers are: `python -m bench.quality --data FOLDER` writes docs/quality.md; `--squad FILE` scores any SQuAD file.

Takes evaluation data that nothing here was trained or tuned on (XQuAD, XQuAD-R), and the seed questions; gives one Markdown
table with the published neighbours beside each figure. `--sample N` questions a language keep it within minutes on two cores.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench import news, retrieval, table
from bench.refusals import refusing
from bench.squad import Item, Paragraphs, characters, measure, normalised, squad_file, xquad
from bench.table import SEED, Row
from index import Index, build
from rag import Rag, SpanReader
from rag.evaluate import evaluate, read_questions

PAIRS = (("en", "de"), ("en", "es"), ("en", "zh"), ("ar", "en"), ("zh", "en"), ("ru", "es"))  # question → paragraph


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
    """XQuAD-R by cosine, then read again."""
    pool = retrieval.load(folder / "xquad_r")
    sentences, questions = retrieval.encode(pool)
    found = retrieval.figures(pool, sentences, questions)
    neighbours = "0.66 best direct encoder, trained for it; 0.72 translate-test (LAReQA)"
    size = f"{len(pool.sentences):,} sentences, {len(pool.questions):,} questions, 11 languages"
    yield f"XQuAD-R, pooled ({size}), mAP", f"**{found['mAP']:.3f}**", neighbours
    for name in ("recall@100", "nDCG@10", "nDCG@10 same", "nDCG@10 cross"):
        yield f"the same, {name}", f"{found[name]:.3f}", ""
    again = retrieval.reranked(pool, sentences, questions, reader, sample, SEED)
    text = f"{again['mAP before']:.3f} → **{again['mAP after']:.3f}**"
    yield f"the same, {sample} questions, so → the first {retrieval.DEPTH} read again, mAP", text, neighbours


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


def news_articles() -> Iterator[Row]:
    """Ten articles that no training saw, beside each other."""
    for name, found in news.measure().items():
        yield (
            f"ten invented news articles in French, {found.questions} questions {name}: a citation holds the gold words",
            f"**{found.cited:.2f}**",
            "",
        )
        yield f"the same, {name}: unanswerable refused / answerable refused", f"**{found.refused:.2f} / {found.wrongly_refused:.2f}**", ""


def main() -> None:
    """Print the figures of a SQuAD file as JSON, or measure everything and write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--squad", type=Path, help="a SQuAD-format file, 1.1 or 2.0: prints its figures as JSON")
    parser.add_argument("--limit", type=int, help="with --squad: so many questions, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of that draw (default: 0)")
    parser.add_argument("--data", type=Path, help="folder with eval/ and seed_questions.jsonl")
    parser.add_argument("--sample", type=int, default=240, help="XQuAD questions a language (default: 240; all: 1190)")
    parser.add_argument(
        "--only", nargs="+", choices=("seed", "news", "reading", "ranking", "refusing"), help="measure these, keep other rows"
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
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "seed": lambda: seed_article(options.data),
        "news": news_articles,
        "reading": lambda: reading(evaluation, sample, paragraphs),
        "ranking": lambda: ranking(evaluation, 4 * sample, paragraphs.reader),
        "refusing": lambda: refusing(evaluation, max(10, sample // 2), paragraphs.reader, options.out.with_name("reliability.svg")),
    }
    rows, rest = table.kept(options.out) if options.only else {}, table.below(options.out)
    for name in options.only or parts:
        for what, measured, published in parts[name]():
            print(f"{what} | {measured} | {published}", flush=True)
            rows[what] = measured, published
            options.out.write_text(table.page(rows, sample, rest), encoding="utf-8")  # what is measured so far is kept


if __name__ == "__main__":
    main()
