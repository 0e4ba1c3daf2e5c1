"""How well unsupported sentences are told from supported ones: `python -m bench.support --data FOLDER`, a table in Markdown.

Same language: sentences about contexts that training did not see, other sentences than those calibrated on, true (the context's
own, shortened, or a question turned into a statement) and with one fact changed. Across languages: sentences of XQuAD-R in one
language held against the same paragraph in another. Beside the product's check stand two simpler ones: the cosine with the nearest
sentence, and looking up names and numbers; each of those has the threshold that is best for it on the very sentences
measured, the product's was set before.
"""

import argparse
import os
import random
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from bench.squad import json_lines
from index.embed import SentenceEncoder
from index.language import detect
from index.split import sentences
from rag import SpanReader
from rag.support import ReaderSupport, numbers
from training import claims, data
from training.support import half, passage

PAIRS = (("en", "de"), ("de", "en"), ("en", "es"), ("es", "ru"), ("en", "zh"), ("ar", "en"), ("ru", "en"), ("tr", "en"))
KINDS = ("number", "name", "roles", "negation")
NEIGHBOURS = (
    "MiniCheck-FT5 770M 74.7, SummaC-ZS 60M 67.9 (balanced accuracy over LLM-AggreFact, English: Tang et al., EMNLP 2024; "
    "other sentences than these)"
)
NAMED = re.compile(r"(?<=\w )[A-ZÀ-ÖØ-ÞΑ-ΩА-Я]\w+")


def across(folder: Path, each: int) -> Iterator[claims.Claim]:
    """True sentences in one language about the paragraph in another, and as many with one fact changed."""
    for asked, told in PAIRS:
        rng = random.Random(f"{asked}-{told}")
        rows = list(zip(*(json_lines(folder / "eval" / "xquad_r" / f"{code}.jsonl.gz") for code in (asked, told)), strict=True))
        texts = [data.Row("", mine["context"], "", -1, -1) for mine, _ in rows]
        made = {True: 0, False: 0}
        while min(made.values()) < each:
            mine, other = rng.choice(rows)
            start, end = rng.choice(mine["sentences"])
            text = mine["context"][start:end].strip()
            if not 30 <= len(text) * (2.5 if asked == "zh" else 1) <= 320:
                continue
            claim: claims.Claim | None
            claim = claims.Claim(text, mine["context"], True, "said", start, end)
            if made[False] < made[True]:
                claim = claims.corrupted(claim, texts, asked, rng, KINDS)
            if claim and made[claim.true] < each:
                made[claim.true] += 1
                yield replace(claim, window=other["context"])


class Simple:
    """The simpler measures."""

    def __init__(self) -> None:
        self._encoder = SentenceEncoder()

    def cosine(self, claim: claims.Claim) -> float:
        """Of the sentence and the nearest sentence of the passage."""
        language = detect(claim.window)
        shown = [claim.window[a:b] for a, b in sentences(claim.window, language)]
        vectors = self._encoder.documents([claim.text, *shown])
        return float((vectors[1:] @ vectors[0]).max())

    def names(self, claim: claims.Claim) -> float:
        """Share of the sentence's names and numbers that the passage has."""
        named = {name.lower() for name in NAMED.findall(claim.text)} | numbers(claim.text)
        there = claim.window.lower()
        return float(np.mean([name in there or name in numbers(claim.window) for name in named])) if named else 1.0


def flagged(true: np.ndarray, supported: np.ndarray) -> tuple[float, float, float]:
    """Balanced accuracy, and precision and recall of the unsupported sentences that were flagged."""
    wrong, said = ~true, ~supported
    precision = (wrong & said).sum() / max(1, said.sum())
    recall = said[wrong].mean()
    return float((recall + supported[true].mean()) / 2), float(precision), float(recall)


def best(true: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Supported or not, by the threshold with the best balanced accuracy on these very sentences."""
    threshold = max(np.unique(scores), key=lambda t: flagged(true, scores >= t)[0])
    return scores >= threshold


def table(found: list[claims.Claim], support: ReaderSupport, simple: Simple) -> list[str]:
    """A row for each check, and a line with the recall of each kind of change."""
    true = np.array([claim.true for claim in found])
    spent: dict[int, list[float]] = {1: [], 4: []}  # passages → seconds
    scores = []
    for claim in found:
        for count, seconds in spent.items():
            started = time.perf_counter()
            backing, *_ = support.check(claim.text, [passage(claim)] * count)
            seconds.append(time.perf_counter() - started)
        scores.append(backing.probability)
    ours = np.array(scores) >= support.threshold
    checks = {
        "our check": ours,
        "cosine with the nearest sentence": best(true, np.array([simple.cosine(claim) for claim in found])),
        "names and numbers looked up": best(true, np.array([simple.names(claim) for claim in found])),
    }
    rows = []
    for name, said in checks.items():
        balanced, precision, recall = flagged(true, said)
        rows.append(f"| {name} | {100 * balanced:.1f} | {precision:.2f} | {recall:.2f} |")
    told: dict[bool, list[str]] = {True: [], False: []}
    for is_true, kind in sorted({(claim.true, claim.kind) for claim in found}):
        mine = np.array([(claim.true, claim.kind) == (is_true, kind) for claim in found])
        told[is_true].append(f"{kind} {(ours == is_true)[mine].mean():.2f} of {mine.sum()}")
    flagged_, kept = (", ".join(told[is_true]) for is_true in (False, True))
    one, four = (1000 * statistics.median(seconds) for seconds in spent.values())
    return [*rows, "", f"Flagged: {flagged_}. Let through: {kept}. Median time: {one:.0f} ms against one passage, {four:.0f} against four."]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.support", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and eval/")
    parser.add_argument("--claims", type=int, default=600, help="same-language sentences (default: 600)")
    parser.add_argument("--each", type=int, default=40, help="true, and false, sentences of a language pair (default: 40)")
    options = parser.parse_args()
    support, simple = ReaderSupport(SpanReader()), Simple()
    held = half(data.sources(options.data, held_out=True), second=True)
    parts = {
        "same language (en, fr, tr, ar, zh, ja)": list(islice(claims.stream(held, {}, 11), options.claims)),
        f"across languages ({', '.join('→'.join(pair) for pair in PAIRS)})": list(across(options.data, options.each)),
    }
    print(f"On {os.cpu_count()} cores. Published neighbours: {NEIGHBOURS}.")
    for name, found in parts.items():
        print(f"\n### {name}: {len(found)} sentences\n\n| check | balanced accuracy | precision | recall |\n|---|---|---|---|")
        print("\n".join(table(found, support, simple)), flush=True)


if __name__ == "__main__":
    main()
