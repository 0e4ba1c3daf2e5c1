"""Word pairs across languages, mined from the encoder itself, for code-switching.

Takes the frequent words of 22 languages (wordfreq, CC BY-SA 4.0) and the embedder; gives, for each source language, word →
{language: neighbour}. A pair is kept when each is the other's nearest neighbour after both languages' mean vectors are
taken away: no dictionary and no parallel text is used.
"""

import json
from pathlib import Path

import numpy as np

SOURCES = ("en", "fr", "tr", "ar")  # training languages that put spaces between words
TARGETS = ("en", "fr", "de", "es", "it", "pt", "nl", "ro", "ru", "uk", "pl", "cs", "el", "tr", "ar", "fa", "hi", "vi", "zh",
           "ja", "ko", "sv")  # fmt: skip
WORDS = 4000  # a language
LEAST_COSINE = 0.35  # of the centred vectors


def mine(embedder_folder: Path, cache: Path) -> dict[str, dict[str, dict[str, str]]]:
    """source language → word → target language → word; kept in `cache` (JSON) once mined (some minutes)."""
    if cache.exists():
        return json.loads(cache.read_text(encoding="utf-8"))
    from sentence_transformers import SentenceTransformer
    from wordfreq import top_n_list

    model = SentenceTransformer(str(embedder_folder), device="cpu")
    words = {lang: [w for w in top_n_list(lang, WORDS) if len(w) > 1 or lang in "zh ja"] for lang in TARGETS}
    vectors = {}
    for lang, listed in words.items():
        raw = model.encode_query(listed, batch_size=256)
        centred = raw - raw.mean(axis=0)
        vectors[lang] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    lexicon: dict[str, dict[str, dict[str, str]]] = {source: {} for source in SOURCES}
    for source in SOURCES:
        for target in TARGETS:
            if source != target:
                for a, b in _mutual(vectors[source], vectors[target]):
                    lexicon[source].setdefault(words[source][a], {})[target] = words[target][b]
    cache.write_text(json.dumps(lexicon, ensure_ascii=False), encoding="utf-8")
    return lexicon


def _mutual(a: np.ndarray, b: np.ndarray) -> list[tuple[int, int]]:
    similar = a @ b.T
    forward, backward = similar.argmax(axis=1), similar.argmax(axis=0)
    return [(i, int(j)) for i, j in enumerate(forward) if backward[j] == i and similar[i, j] >= LEAST_COSINE]
