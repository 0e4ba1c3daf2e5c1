"""The questions' side of the embedder: `python -m training.questions --data FOLDER`, three quarters of an hour on two cores.

Takes questions, ours and the files', in many languages, and texts that say the same in many; gives `index/questions.safetensors`, what
the layers that make questions' vectors have beyond the passages' own. The passages are chunks as the index cuts them, with the vectors
that it stores. These stay as they are: each is computed once, so that a step costs no more than its questions do, and all passages
there are compete for each of these (after DensePhrases, Lee et al., ACL 2021).
"""

import argparse
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from index import differences
from index.embed import EMBEDDER, QUESTIONS, SentenceEncoder
from index.weights import bundled_model
from training import data, ours, parallel, translate
from training.embedder import SEED, TEMPERATURE, Embedder, Tokenise, chunked, descend, tokenised
from training.listed import BLOCK, CONTEXTS, Passage, by_context, passages
from training.train import halved, keep_memory
from training.wording import MISTYPED, mistyped

RATE = 2e-5
SIZE, CHUNK = 128, 32  # questions of a step; encoded together
FROM_FILE = 6000  # questions of each file, at most
SHARES = {"ours": 0.4, "files": 0.4, "told": 0.2}  # of the questions
SWITCHED = 0.6  # of the files' questions that can be asked in another language
TOLD, LANGUAGES, LEAST = 14_000, 4, 45  # texts that say the same: at most; languages and characters of each, at least
NEAREST = 64  # passages of a question that are searched for its answer's words
BARRED = -1e4


class Posed(NamedTuple):
    """A question in each of its wordings, the numbers of the passages that answer it, and of others that may."""

    wordings: list[str]
    language: str
    right: list[int]
    barred: list[int]


class Bank(NamedTuple):
    """Passages' vectors (passages, dimension), and what is asked of them, by the names of SHARES."""

    vectors: torch.Tensor
    posed: dict[str, list[Posed]]


def bank(folder: Path, translated: Path | None, texts: list[dict[str, str]], encoder: SentenceEncoder) -> Bank:
    """What the data folder, the translations and the texts that say the same give; most of half an hour goes into the vectors."""
    rng, found = random.Random(SEED), data.sources(folder)
    others = translate.read(translated) if translated else {}
    own = ours.sources(found)
    contexts = {row.context: source.language for source in own.values() for row in source.rows}
    for source in found.values():
        every = sorted({row.context for row in source.rows})
        contexts |= dict.fromkeys(rng.sample(every, min(CONTEXTS, len(every))), source.language)
    shown = passages(contexts, encoder)
    vectors = encoder.documents([passage.text for passage in shown])
    asked = [(row, [row.question]) for source in own.values() for row in source.rows if row.start >= 0]
    posed = {"ours": list(placed(asked, shown, vectors, encoder, siblings(own)))}
    asked = []
    for name, source in found.items():
        rows = [row for row in source.rows if row.context in contexts and row.start >= 0]
        drawn = rng.sample(rows, min(FROM_FILE, len(rows)))
        asked += [(row, [row.question, *others.get(name, {}).get(row.question, {}).values()]) for row in drawn]
    posed["files"] = list(placed(asked, shown, vectors, encoder, {}))
    same = list({text["en"]: text for text in texts if len(text) >= LANGUAGES and len(text.get("en", "")) >= LEAST}.values())
    same = rng.sample(same, min(TOLD, len(same)))
    languages = [rng.choice(sorted(text)) for text in same]
    told = encoder.documents([text[language] for text, language in zip(same, languages, strict=True)])
    posed["told"] = [
        Posed([text[other] for other in sorted(text) if other != language], language, [number], [])
        for number, (text, language) in enumerate(zip(same, languages, strict=True), len(shown))
    ]
    return Bank(torch.from_numpy(np.concatenate([vectors, told])), posed)


def siblings(own: dict[str, data.Source]) -> dict[str, set[str]]:
    """Context → those that tell of the same thing in other languages."""
    beside = defaultdict[str, set[str]](set)
    for name, source in own.items():
        for contexts in source.contexts.values() if name.startswith("articles.") else ():
            for context in contexts:
                beside[context] |= {*contexts} - {context}
    return beside


def placed(
    asked: list[tuple[data.Row, list[str]]],
    shown: list[Passage],
    vectors: np.ndarray,
    encoder: SentenceEncoder,
    beside: dict[str, set[str]],
) -> Iterator[Posed]:
    """The questions with their passages' numbers; barred is what may answer, too: it has the answer's words, or tells of the same thing."""
    own, lower = by_context(shown), [passage.text.lower() for passage in shown]
    for first in range(0, len(asked), BLOCK):
        some = asked[first : first + BLOCK]
        scores = encoder.queries([wordings[0] for _, wordings in some]) @ vectors.T
        nearest = np.argsort(-scores, axis=1)[:, :NEAREST].tolist()
        for (row, wordings), near in zip(some, nearest, strict=True):
            answer, mine = row.context[row.start : row.end].lower(), own[row.context]
            right = [i for i in mine if row.start < shown[i].end and shown[i].start < row.end]
            same = [i for context in beside.get(row.context, ()) for i in own[context]]
            barred = {*same, *(i for i in (*near, *mine) if answer in lower[i])} - {*right}
            if right:
                yield Posed(wordings, row.asked_in, right, sorted(barred))


def questions(posed: dict[str, list[Posed]], seed: int) -> Iterator[tuple[str, Posed]]:
    """Questions without end, by SHARES; ours in a rare language as the square root of their share, as `ours.balanced` has it."""
    rng, names = random.Random(seed), list(SHARES)
    counts = Counter(one.language for one in posed["ours"])
    weights = list(itertools.accumulate(counts[one.language] ** -0.5 for one in posed["ours"]))
    while True:
        name = rng.choices(names, list(SHARES.values()))[0]
        one = rng.choices(posed[name], cum_weights=weights if name == "ours" else None)[0]
        first, *others = one.wordings
        asked = rng.choice(others) if others and (name == "told" or rng.random() < SWITCHED) else first
        yield mistyped(asked, rng) if name != "told" and rng.random() < MISTYPED else asked, one


def loss(vectors: torch.Tensor, posed: list[Posed], told: torch.Tensor) -> torch.Tensor:
    """How far the passages that answer are from having all the softmax over `told`; questions are unit vectors (questions, dimension)."""
    scores = vectors @ told.T / TEMPERATURE
    if barred := [(row, at) for row, one in enumerate(posed) for at in one.barred]:
        scores = scores.index_put(tuple(torch.tensor(barred).T), torch.tensor(BARRED))
    right = torch.stack([scores[row, one.right].logsumexp(dim=0) for row, one in enumerate(posed)])
    return (scores.logsumexp(dim=1) - right).mean()


def train(asker: Embedder, drawn: Iterator[tuple[str, Posed]], told: torch.Tensor, tokenise: Tokenise, minutes: float) -> int:
    """Train for `minutes`; returns the steps done."""
    keep_memory()
    halves = halved(torch.device("cpu"))
    if halves:
        asker.encoder.set_attn_implementation("eager")

    def lost() -> torch.Tensor:
        asked, posed = zip(*itertools.islice(drawn, SIZE), strict=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=halves):
            vectors = encoded(asker, tokenise([f"query: {question}" for question in asked]))
        return loss(vectors.float(), list(posed), told)

    return descend(asker, lost, RATE, minutes)


def encoded(asker: Embedder, ids: list[list[int]]) -> torch.Tensor:
    """Unit vectors (questions, dimension), of CHUNK questions of like lengths at a time."""
    chunks, places = chunked(ids, CHUNK)
    return torch.cat([asker(chunk) for chunk in chunks])[places]


def main() -> None:
    """Encode the passages, train, write."""
    parser = argparse.ArgumentParser(prog="python -m training.questions", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--translated", type=Path, help="the questions in other languages (training.translate)")
    parser.add_argument("--parallel", type=Path, help="folder of translations (training.parallel)")
    parser.add_argument("--out", type=Path, default=QUESTIONS)
    parser.add_argument("--minutes", type=float, default=27, help="time for the training loop (default: 27)")
    options = parser.parse_args()
    torch.manual_seed(SEED)
    texts = [*parallel.texts(options.parallel), *parallel.stories(options.parallel)] if options.parallel else []
    made = bank(options.data, options.translated, texts, SentenceEncoder())
    print(f"{len(made.vectors)} passages; " + ", ".join(f"{len(some)} {name}" for name, some in made.posed.items()), flush=True)
    folder = bundled_model()
    asker = Embedder(folder)
    differences.add(asker.encoder, EMBEDDER)
    steps = train(asker, questions(made.posed, SEED), made.vectors, tokenised(), options.minutes)
    notes = {"steps": str(steps), "minutes": str(options.minutes), "licence": "CC-BY-SA-4.0"}
    differences.write(asker.trained(), folder, options.out, notes, before=EMBEDDER)
    print(f"{steps} steps; wrote {options.out}")


if __name__ == "__main__":
    main()
