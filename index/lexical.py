"""BM25, one index a language: names, numbers and rare words that vectors blur.

Takes chunk texts by language; gives chunk ids with scores for a question. Words are lower-cased and stemmed by Snowball
where it knows the language; scripts without spaces become character bigrams. Built once, in segments so that the memory it takes
does not grow with the collection, saved beside the vectors, memory-mapped when searched. Owns bm25s and PyStemmer.
"""

import json
import re
import shutil
import uuid
from array import array
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from math import log
from pathlib import Path
from threading import Lock
from typing import Any

import bm25s
import numpy as np
import Stemmer

SNOWBALL = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian",
    "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "nl": "dutch", "no": "norwegian",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
COMMON = 0.5  # of a language's chunks: a word that more of them hold ("the", "de") tells none apart and is not looked up
IDS = "ids.json"
SEGMENT = 50_000  # chunks indexed at once: some 180 MB
WORD = re.compile(r"\w+")
NO_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
NAME = re.compile(r"(?<=[\s(«“\"'’])[^\W\d_]*[A-ZÀ-ÖØ-ÞΑ-ΩА-Я]\w+|\b\w*\d\w*\b")


def terms(text: str, language: str) -> list[str]:
    """The terms that BM25 counts, in order."""
    found: list[str] = []
    stem = _stemmer(language)
    for word in WORD.findall(text.lower()):
        rest = NO_SPACES.sub(" ", word).split()
        found.extend(stem.stemWords(rest) if stem else rest)
        for run in NO_SPACES.findall(word):
            found.extend(run[i : i + 2] for i in range(max(1, len(run) - 1)))
    return found


def names(question: str) -> str:
    """The words of a question that are the same in many languages: capitalised ones after the first, and numbers."""
    return " ".join(NAME.findall(question))


@cache
def _stemmer(language: str) -> Any:
    return Stemmer.Stemmer(SNOWBALL[language]) if language in SNOWBALL else None


@dataclass(frozen=True, slots=True)
class Segment:
    """A BM25 index of some chunks, and their ids."""

    model: Any
    ids: list[str]

    def held_by(self, term: str) -> int:
        """How many chunks hold a term."""
        if (number := self.model.vocab_dict.get(term)) is None:
            return 0
        pointers = self.model.scores["indptr"]
        return int(pointers[number + 1] - pointers[number])

    def scores(self, weights: dict[str, float]) -> np.ndarray:
        """BM25 of each chunk for weighted terms, one at least, of which each has to be held by some chunk."""
        return sum(weight * self.model.get_scores([term]) for term, weight in weights.items())


def _rarity(chunks: int, holding: int) -> float:
    """The inverse document frequency as bm25s counts it (Lucene's)."""
    return log(1 + (chunks - holding + 0.5) / (holding + 0.5))


class Lexical:
    """The BM25 indexes below one folder; `current.json` names the folder in force for each language."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._loaded: dict[str, list[Segment]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def _pointer(self) -> Path:
        return self._folder / "current.json"

    def _current(self) -> dict[str, str]:
        return json.loads(self._pointer.read_text()) if self._pointer.exists() else {}

    def languages(self) -> list[str]:
        """The languages that have an index."""
        return sorted(self._current())

    def ids(self, language: str) -> set[str]:
        """The chunks that a language's index holds."""
        return {identity for segment in self._load(language) for identity in segment.ids}

    def write(self, language: str, rows: Iterable[tuple[str, str]]) -> None:
        """Replace a language's index by one of these (id, text) rows; none removes it. Killed at any point, the old one stays.

        Rows are taken as they come, SEGMENT at a time.
        """
        current = self._current()
        old = current.pop(language, None)
        name, rest = f"{language}-{uuid.uuid4().hex[:8]}", iter(rows)
        for number, part in enumerate(iter(lambda: list(islice(rest, SEGMENT)), [])):
            if _save(self._folder / name / f"{number:04}", language, part):
                current[language] = name
        partial = self._pointer.with_suffix(".partial")
        partial.write_text(json.dumps(current))
        partial.replace(self._pointer)
        with self._lock:
            self._loaded.pop(language, None)
        if old:
            shutil.rmtree(self._folder / old, ignore_errors=True)

    def _load(self, language: str) -> list[Segment]:
        with self._lock:
            if language not in self._loaded:
                if (name := self._current().get(language)) is None:
                    return []
                folder = self._folder / name
                places = [folder] if (folder / IDS).exists() else sorted(folder.iterdir())  # one segment was once the whole
                self._loaded[language] = [
                    Segment(bm25s.BM25.load(place, mmap=True), json.loads((place / IDS).read_text())) for place in places
                ]
            return self._loaded[language]

    def search(
        self, question: str, language: str, k: int, documents: Collection[str] | None = None
    ) -> list[tuple[str, float]]:
        """(chunk id, BM25 score) of a language's best chunks for these words, scores above 0 only, best first.

        Of these documents alone, if given.
        """
        segments = self._load(language)
        chunks = sum(len(segment.ids) for segment in segments)
        asked = dict.fromkeys(terms(question, language))
        held = [{term: n for term in asked if (n := segment.held_by(term))} for segment in segments]
        whole = sum(map(Counter, held), Counter[str]())
        found: list[tuple[str, float]] = []
        for segment, own in zip(segments, held, strict=True):
            rare = {term: n for term, n in own.items() if whole[term] <= max(COMMON * chunks, 2)}
            weights = {term: _rarity(chunks, whole[term]) / _rarity(len(segment.ids), n) for term, n in rare.items()}
            if not weights:
                continue
            scores = segment.scores(weights)
            if documents is not None:
                scores = scores * np.fromiter((i.rsplit(":", 1)[0] in documents for i in segment.ids), bool, len(scores))
            found += [(segment.ids[i], float(scores[i])) for i in scores.argsort()[::-1][:k] if scores[i] > 0]
        return sorted(found, key=lambda pair: -pair[1])[:k]


def _save(folder: Path, language: str, rows: list[tuple[str, str]]) -> bool:
    """Save the segment of these rows; False, and nothing is saved, where none has a word."""
    vocabulary: dict[str, int] = {}
    counted = [array("i", (vocabulary.setdefault(t, len(vocabulary)) for t in terms(text, language))) for _, text in rows]
    if not vocabulary:
        return False
    model = bm25s.BM25()
    model.index((counted, vocabulary), show_progress=False)
    model.save(folder)
    (folder / IDS).write_text(json.dumps([identity for identity, _ in rows]))
    return True
