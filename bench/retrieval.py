"""Retrieval across languages on XQuAD-R, as LAReQA pools it: every question against every sentence of 11 languages at once.

Takes the folder of XQuAD-R; gives mean average precision over the pool (a question's eleven answer sentences are all relevant),
recall, nDCG, and what reading adds to the first hundred. Source: Roy et al., LAReQA, EMNLP 2020.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from langchain_core.documents import Document

from bench.squad import json_lines
from index.embed import SentenceEncoder
from rag import Hit, SpanReader

DEPTH = 100  # sentences that are read again


@dataclass(frozen=True, slots=True)
class Pool:
    """Sentences and questions of all languages; `answers[q]` are the rows of the sentences that answer question `q`."""

    sentences: list[tuple[str, str]]  # language, text
    questions: list[tuple[str, str]]
    answers: list[set[int]]


def load(folder: Path) -> Pool:
    """The pool of every language in the folder."""
    sentences: list[tuple[str, str]] = []
    asked: list[tuple[str, str, str]] = []
    places: dict[str, set[int]] = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        language = path.name.split(".")[0]
        for row in json_lines(path):
            first = len(sentences)
            sentences += [(language, row["context"][a:b]) for a, b in row["sentences"]]
            for question in row["questions"]:
                asked.append((language, question["question"], question["id"]))
                inside = [i for i, (a, b) in enumerate(row["sentences"]) if a <= question["start"] < b]
                places.setdefault(question["id"], set()).update(first + i for i in inside)
    return Pool(sentences, [(lang, text) for lang, text, _ in asked], [places[identity] for *_, identity in asked])


def encode(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of the sentences and of the questions."""
    encoder = SentenceEncoder()
    sentences = encoder.documents([text for _, text in pool.sentences])
    return sentences, encoder.queries([text for _, text in pool.questions])


def figures(pool: Pool, sentences: np.ndarray, questions: np.ndarray) -> dict[str, float]:
    """Pooled mAP, recall@100 and nDCG@10, and nDCG@10 within and across languages (one answer sentence each)."""
    maps, recalls, ndcgs, same, cross = [], [], [], [], []
    languages = np.array([language for language, _ in pool.sentences])
    for start in range(0, len(questions), 512):
        scores = questions[start : start + 512] @ sentences.T
        for row, ranked in enumerate(np.argsort(-scores, axis=1), start):
            relevant = np.isin(ranked, list(pool.answers[row]))
            maps.append(average_precision(relevant))
            recalls.append(relevant[:100].sum() / relevant.sum())
            ndcgs.append(ndcg(relevant))
            own = languages[ranked] == pool.questions[row][0]
            same.append(ndcg(relevant[own]))
            cross.append(ndcg(relevant[~own]))
    named = {"mAP": maps, "recall@100": recalls, "nDCG@10": ndcgs, "nDCG@10 same": same, "nDCG@10 cross": cross}
    return {name: round(float(np.mean(values)), 4) for name, values in named.items()}


def average_precision(relevant: np.ndarray) -> float:
    """Of one ranking; `relevant` is a boolean for each place."""
    places = np.flatnonzero(relevant) + 1
    return float((np.arange(1, len(places) + 1) / places).mean()) if len(places) else 0.0


def ndcg(relevant: np.ndarray, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first `k` places, binary gains."""
    gains = 1 / np.log2(np.arange(2, k + 2))
    ideal = gains[: min(k, int(relevant.sum()))].sum()
    return float((relevant[:k] * gains[: len(relevant[:k])]).sum() / ideal) if ideal else 0.0


def reranked(
    pool: Pool, sentences: np.ndarray, questions: np.ndarray, reader: SpanReader, sample: int, seed: int
) -> dict[str, float]:
    """Pooled mAP of `sample` questions before and after the first `DEPTH` sentences are put in order of relevance.

    After: by the reader's relevance, which weighs the cosine in.
    """
    before, after = [], []
    for row in random.Random(seed).sample(range(len(questions)), sample):
        cosines = sentences @ questions[row]
        ranked = np.argsort(-cosines)
        top = ranked[:DEPTH]
        hits = [
            Hit(Document(page_content=pool.sentences[i][1], metadata={"start": 0, "end": 0}), 0.0, float(cosines[i]))
            for i in top
        ]
        order = np.argsort([-reading.relevance for reading in reader.read(pool.questions[row][1], hits)])
        relevant = list(pool.answers[row])
        before.append(average_precision(np.isin(ranked, relevant)))
        after.append(average_precision(np.isin(np.concatenate([top[order], ranked[DEPTH:]]), relevant)))
    return {
        "questions": sample,
        "mAP before": round(float(np.mean(before)), 4),
        "mAP after": round(float(np.mean(after)), 4),
    }
