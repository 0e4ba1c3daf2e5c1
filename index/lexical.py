"""BM25, one index a language: names, numbers and rare words that vectors blur.

Takes chunk texts by language; gives chunk ids with scores for a question. Words are lower-cased and stemmed by Snowball
where it knows the language; scripts without spaces become character bigrams. Built once, saved beside the vectors,
memory-mapped when searched. Owns bm25s and PyStemmer.
"""

import json
import re
import shutil
import uuid
from array import array
from collections.abc import Collection, Iterable
from functools import cache
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
COMMON = (
    0.5  # of a language's chunks: a word that more of them hold ("the", "de") tells none apart and is not looked up
)
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


def _held_by(model: Any, term: int) -> int:
    """How many chunks hold a term."""
    pointers = model.scores["indptr"]
    return int(pointers[term + 1] - pointers[term])


class Lexical:
    """The BM25 indexes below one folder; `current.json` names the folder in force for each language."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._loaded: dict[str, tuple[Any, list[str]]] = {}
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
        loaded = self._load(language)
        return set(loaded[1]) if loaded else set()

    def write(self, language: str, rows: Iterable[tuple[str, str]]) -> None:
        """Replace a language's index by one of these (id, text) rows; none removes it. Killed at any point, the old one stays.

        Rows are taken as they come and kept as numbers of their terms: some 300 bytes a chunk.
        """
        current = self._current()
        old = current.pop(language, None)
        ids: list[str] = []
        vocabulary: dict[str, int] = {}
        counted: list[array[int]] = []
        for identity, text in rows:
            ids.append(identity)
            counted.append(array("i", (vocabulary.setdefault(t, len(vocabulary)) for t in terms(text, language))))
        if vocabulary:
            name = f"{language}-{uuid.uuid4().hex[:8]}"
            model = bm25s.BM25()
            model.index((counted, vocabulary), show_progress=False)
            model.save(self._folder / name)
            (self._folder / name / "ids.json").write_text(json.dumps(ids))
            current[language] = name
        partial = self._pointer.with_suffix(".partial")
        partial.write_text(json.dumps(current))
        partial.replace(self._pointer)
        with self._lock:
            self._loaded.pop(language, None)
        if old:
            shutil.rmtree(self._folder / old, ignore_errors=True)

    def _load(self, language: str) -> tuple[Any, list[str]] | None:
        with self._lock:
            if language not in self._loaded:
                if (name := self._current().get(language)) is None:
                    return None
                model = bm25s.BM25.load(self._folder / name, mmap=True)
                self._loaded[language] = model, json.loads((self._folder / name / "ids.json").read_text())
            return self._loaded[language]

    def search(
        self, question: str, language: str, k: int, documents: Collection[str] | None = None
    ) -> list[tuple[str, float]]:
        """(chunk id, BM25 score) of a language's best chunks for these words, scores above 0 only, best first.

        Of these documents alone, if given.
        """
        loaded = self._load(language)
        if loaded is None:
            return []
        model, ids = loaded
        common = max(COMMON * len(ids), 2)
        known = [
            term
            for term in dict.fromkeys(terms(question, language))
            if (number := model.vocab_dict.get(term)) is not None and _held_by(model, number) <= common
        ]
        if not known:
            return []
        scores = model.get_scores(known)
        if documents is not None:
            scores = scores * np.fromiter((name.rsplit(":", 1)[0] in documents for name in ids), bool, len(ids))
        order = scores.argsort()[::-1][:k]
        return [(ids[i], float(scores[i])) for i in order if scores[i] > 0]
