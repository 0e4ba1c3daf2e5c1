"""Extractive answers scored as SQuAD scores them: exact match and token F1, on any SQuAD-format file.

Takes paragraphs with questions; gives F1, EM, the share of unanswerable questions that are refused, and the time of a question. The
English normalisation is that of the official script (Rajpurkar et al., EMNLP 2016); the French one drops French articles as
FQuAD does (d'Hoffschmidt et al., Findings of EMNLP 2020).
"""

import gzip
import json
import random
import re
import string
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.documents import Document

from index.embed import SentenceEncoder
from index.language import detect
from index.split import split
from rag import Hit, SpanReader

ARTICLES = {
    "en": re.compile(r"\b(a|an|the)\b"),
    "fr": re.compile(r"\b(le|la|les|un|une|des|du|de|au|aux)\b|\b[ldcjmnst]['’]"),
}
PUNCTUATION = set(string.punctuation) | set("’‘“”«»…–—")
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def json_lines(path: Path) -> Iterator[Any]:
    """The values of a gzipped JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


@dataclass(frozen=True, slots=True)
class Item:
    """A question about a paragraph; no answers means that the paragraph does not say."""

    question: str
    context: str
    answers: tuple[str, ...]


def read_squad(path: Path) -> list[Item]:
    """Every question of a SQuAD file, 1.1 or 2.0. Raises ValueError when it is not one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [
            Item(qa["question"], paragraph["context"], tuple(answer["text"] for answer in qa.get("answers", ())))
            for article in found["data"]
            for paragraph in article["paragraphs"]
            for qa in paragraph["qas"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not in SQuAD format ({error!r}). It needs data[].paragraphs[].qas[]") from error


def normalised(text: str, language: str = "en") -> list[str]:
    """Lower-cased tokens without punctuation and articles; the official script's for `en`."""
    lowered = ARTICLES[language].sub(" ", text.lower()) if language == "fr" else text.lower()
    marks = PUNCTUATION if language == "fr" else set(string.punctuation)
    bare = "".join(c for c in lowered if c not in marks)
    return (bare if language == "fr" else ARTICLES["en"].sub(" ", bare)).split()


def characters(text: str) -> list[str]:
    """As `normalised`, with each Chinese or Japanese character a token, since those scripts put no spaces (MLQA's script does so)."""
    return [token for word in normalised(text) for token in CJK.sub(lambda m: f" {m[0]} ", word).split()]


def score(said: str, answers: Iterable[str], tokens: Callable[[str], list[str]]) -> tuple[float, float]:
    """F1 and exact match against the best of the answers."""
    best = [(_f1(tokens(said), tokens(answer)), float(tokens(said) == tokens(answer))) for answer in answers]
    return max(f1 for f1, _ in best), max(em for _, em in best)


def _f1(said: Sequence[str], gold: Sequence[str]) -> float:
    shared = sum((Counter(said) & Counter(gold)).values())
    return 2 * shared / (len(said) + len(gold)) if shared else float(said == gold)


def xquad(folder: Path, language: str) -> dict[str, Item]:
    """Every XQuAD question of a language, by id."""
    found = {}
    for row in json_lines(folder / "xquad" / f"{language}.jsonl.gz"):
        found[row["id"]] = Item(row["question"], row["context"], tuple(answer["text"] for answer in row["answers"]))
    return found


class Paragraphs:
    """Reads a question's answer out of one whole paragraph, cut as the index cuts it."""

    def __init__(self, reader: SpanReader | None = None) -> None:
        self.reader = reader or SpanReader()
        self._encoder = SentenceEncoder()
        self._cut: dict[str, list[tuple[Document, np.ndarray]]] = {}

    def hits(self, question: str, context: str) -> list[Hit]:
        """The paragraph's chunks, with their cosines."""
        if context not in self._cut:
            document = Document(
                id="d", page_content=context, metadata={"language": detect(context), "title": "", "source": ""}
            )
            chunks = list(split(document, self._encoder.token_spans))
            vectors = self._encoder.documents([c.page_content for c in chunks])
            self._cut[context] = list(zip(chunks, vectors, strict=True))
        asked = self._encoder.query(question)
        return [Hit(chunk, 1.0, float(vector @ asked)) for chunk, vector in self._cut[context]]

    def answer(self, question: str, context: str) -> tuple[str, float]:
        """The surest words, and the best relevance of a chunk."""
        readings = [r for r in self.reader.read(question, self.hits(question, context)) if r.spans]
        if not readings:
            return "", 0.0
        best = max(readings, key=lambda reading: reading.relevance)
        return context[best.spans[0].start : best.spans[0].end], best.relevance


def measure(
    items: Sequence[Item], paragraphs: Paragraphs, tokens: Mapping[str, Callable[[str], list[str]]]
) -> dict[str, float]:
    """F1 and EM (0..100) of the answerable questions by each normalisation, NoAns (0..100) of the others, ms a question."""
    sums: Counter[str] = Counter()
    refused = unanswerable = wrongly = 0
    started = time.perf_counter()
    for item in items:
        said, relevance = paragraphs.answer(item.question, item.context)
        if not item.answers:
            unanswerable += 1
            refused += relevance < paragraphs.reader.threshold
            continue
        wrongly += relevance < paragraphs.reader.threshold
        for name, tokenise in tokens.items():
            f1, em = score(said, item.answers, tokenise)
            sums[f"f1{name}"] += f1  # type: ignore[assignment]
            sums[f"em{name}"] += em  # type: ignore[assignment]
    spent = time.perf_counter() - started
    answerable = len(items) - unanswerable
    found = {name: round(100 * value / max(1, answerable), 2) for name, value in sums.items()}
    found |= {"questions": len(items), "refused_answerable": round(100 * wrongly / max(1, answerable), 2)}
    if unanswerable:
        found["no_ans"] = round(100 * refused / unanswerable, 2)
    return found | {"ms_a_question": round(1000 * spent / max(1, len(items)), 1)}


def squad_file(path: Path, limit: int | None, seed: int) -> dict[str, float]:
    """The figures of a SQuAD file, or of `limit` of its questions drawn with `seed`."""
    items = read_squad(path)
    if limit and limit < len(items):
        items = random.Random(seed).sample(items, limit)
    paragraphs = Paragraphs()
    paragraphs.answer("warm", "The models load now.")
    tokens = {"": normalised, "_fr": lambda text: normalised(text, "fr")}
    return measure(items, paragraphs, tokens)
