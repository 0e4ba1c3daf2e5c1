"""Which weights read best: `python -m training.compare --data FOLDER FILE...`, on windows that no training saw.

Takes the reader's weights; prints, for each file, F1 of the best span in the window with the answer (questions of the data in the window's
language, ours across languages) and the AUROC of the relevance against the same window without it.
"""

import argparse
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
from langchain_core.documents import Document

from bench.squad import characters, normalised, score
from rag.read import SpanReader, TorchEngine
from rag.types import Hit
from training import data
from training.calibrate import CROSSED
from training.fitting import UNFITTED
from training.ours import by_row

QUESTIONS = {"piaf.fr": 120, "squadshifts-newwiki.en": 70, "squadshifts-reddit.en": 30, "jaquad.ja": 50, "drcd.zh": 50,
             "arcd.ar": 40, "thquad.tr": 60}  # fmt: skip
BUDGET = 560  # characters of a window; CJK windows take 0.4 of it
SEED = 7

Case = tuple[bool, str, str, str, str, str]  # across languages, language, question, window, answer, window without it ("" for none)


def cases(folder: Path) -> list[Case]:
    """QUESTIONS of the left-out rows, and all of ours across languages."""
    rng, found, ours = random.Random(SEED), data.sources(folder, held_out=True), by_row(CROSSED)
    drawn = []
    for name, number in QUESTIONS.items():
        rows = [row for row in found[name].rows if row.start >= 0]
        drawn += [(False, found[name].language, row, row.question) for row in rng.sample(rows, min(len(rows), number))]
    for source in found.values():
        drawn += [(True, source.language, row, asked) for row in source.rows for asked in ours.get(row.id, ())]
    made = []
    for across, language, row, asked in drawn:
        budget = int(BUDGET * (0.4 if language in ("ja", "zh") else 1))
        shown, other = data.window(row, budget, random.Random(row.id)), data.without_answer(row, budget, random.Random(row.id))
        answer = row.context[row.start : row.end]
        made.append((across, language, asked, shown.window, answer, other.window if other else ""))
    return made


def compare(reader: SpanReader, asked: list[Case]) -> dict[str, float]:
    """The figures of one reader."""
    scores, right, wrong = (defaultdict[bool, list[float]](list) for _ in range(3))
    for across, language, question, window, answer, other in asked:
        read = reader.measure(question, [_hit(text) for text in (window, other) if text])
        said = read[0].spans[0] if read[0].spans else None
        text = window[said.start : said.end] if said else ""
        scores[across].append(score(text, (answer,), characters if language in ("ja", "zh") else normalised)[0])
        if other:
            right[across].append(read[0].relevance)
            wrong[across].append(read[1].relevance)
    told = {}
    for across, name in ((False, "same"), (True, "across")):
        told[f"F1 {name}"] = float(np.mean(scores[across]))
        told[f"AUROC {name}"] = float((np.array(right[across])[:, None] > np.array(wrong[across])[None]).mean())
    return told


def _hit(text: str) -> Hit:
    return Hit(Document(page_content=text, metadata={"start": 0, "end": len(text)}), 0.0, 0.0)


def main() -> None:
    """Print a line for each file."""
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("weights", type=Path, nargs="+")
    options = parser.parse_args()
    asked = cases(options.data)
    for path in options.weights:
        told = compare(SpanReader(TorchEngine(path), UNFITTED), asked)
        print(path, *(f"{name} {value:.3f}" for name, value in told.items()), sep="  ", flush=True)


if __name__ == "__main__":
    main()
