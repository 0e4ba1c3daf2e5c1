"""Word pairs across languages for code-switching: from dictionaries, else mined from the encoder itself.

Takes the frequent words of 22 languages (wordfreq, CC BY-SA 4.0), the embedder, and a folder of dictionaries (`dictionaries`) where there
is one; gives, for each source language, word → {language: translation}. A mined pair is kept when each is the other's nearest
neighbour after both languages' mean vectors are taken away.
"""

import json
from pathlib import Path

import numpy as np

from training.wording import Lexicon

SOURCES = ("en", "fr", "tr", "ar")  # training languages that put spaces between words
TARGETS = ("en", "fr", "de", "es", "it", "pt", "nl", "ro", "ru", "uk", "pl", "cs", "el", "tr", "ar", "fa", "hi", "vi", "zh",
           "ja", "ko", "sv")  # fmt: skip
UNSPACED = ("zh", "ja")  # and those that do not, whose words only dictionaries have
MINED = ("ro", "uk", "fa", "vi", "ko")  # targets without a dictionary
WORDS = 4000  # a language
LEAST_COSINE = 0.35  # of the centred vectors


def mine(embedder_folder: Path, cache: Path, folder: Path | None = None) -> Lexicon:
    """source language → word → target language → word; kept in `cache` (JSON) once made (some minutes).

    With a folder of dictionaries, mined pairs only fill in for the languages that have none.
    """
    if cache.exists():
        return json.loads(cache.read_text(encoding="utf-8"))
    lexicon = _mine(embedder_folder)
    if folder:
        from training.dictionaries import gather

        told = gather(folder, (*SOURCES, *UNSPACED), TARGETS)
        for source, words in lexicon.items():
            for word, others in words.items():
                for target in others.keys() & set(MINED):
                    told[source].setdefault(word, {}).setdefault(target, others[target])
        lexicon = told
    partial = cache.with_suffix(".partial")
    partial.write_text(json.dumps(lexicon, ensure_ascii=False), encoding="utf-8")
    partial.replace(cache)
    return lexicon


def _mine(embedder_folder: Path) -> Lexicon:
    from sentence_transformers import SentenceTransformer
    from wordfreq import top_n_list

    model = SentenceTransformer(str(embedder_folder), device="cpu")
    words = {lang: [w for w in top_n_list(lang, WORDS) if len(w) > 1 or lang in "zh ja"] for lang in TARGETS}
    vectors = {}
    for lang, listed in words.items():
        raw = model.encode_query(listed, batch_size=256)
        centred = raw - raw.mean(axis=0)
        vectors[lang] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    lexicon: Lexicon = {source: {} for source in SOURCES}
    for source in SOURCES:
        for target in TARGETS:
            if source != target:
                for a, b in _mutual(vectors[source], vectors[target]):
                    lexicon[source].setdefault(words[source][a], {})[target] = words[target][b]
    return lexicon


def _mutual(a: np.ndarray, b: np.ndarray) -> list[tuple[int, int]]:
    similar = a @ b.T
    forward, backward = similar.argmax(axis=1), similar.argmax(axis=0)
    return [(i, int(j)) for i, j in enumerate(forward) if backward[j] == i and similar[i, j] >= LEAST_COSINE]
