"""Where each language lies in the encoder's space, and how to turn that space: `python -m training.languages`.

Takes texts that say the same in many languages (`training.parallel`), so that what differs between two languages' mean vectors is
the language and not the subject, and questions with their passages, two fifths of them ours (`training.ours`); writes
`index/languages.safetensors`, which `index.embed` applies: each language's mean as a passage and as a question, and the projection
that `training.projection` fits on the vectors without them.
None of the evaluation's text is in it.
"""

import argparse
import random
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file

from index.embed import SentenceEncoder
from index.language import COMMON, OTHER, detect
from index.weights import bundled_model
from training import data, lexicon, ours, parallel, projection, stream, translate, wording
from training.negatives import keep
from training.projection import Asked, Same

SEED = 5
MANY = 14  # languages that a text has, to be one of those that are read in all of them
SHARED = 330  # of these texts
RARE, BESIDE = 120, 200  # a language that fewer of them have; the texts beside them that have most of the rare languages
LEAST = 50  # texts of a language, for it to enter the table
PER_FILE = 450  # questions
BUDGETS = (120, 250, 420)  # characters of their passages
CHOICE = 6  # languages that know most of a question's words


def same(texts: list[dict[str, str]], rng: random.Random) -> list[tuple[int, str, str]]:
    """(number of the text, language, text in that language): of some texts all languages, of others English and rarer ones."""
    picked = rng.sample([text for text in texts if len(text) >= MANY], SHARED)
    found = [(i, language, told) for i, text in enumerate(picked) for language, told in text.items()]
    rare = {language for language in COMMON + OTHER if sum(language in text for text in picked) < RARE}
    others = sorted((text for text in texts if text not in picked), key=lambda text: -len(rare & text.keys()))
    for i, text in enumerate(others[:BESIDE], len(picked)):
        found += [(i, language, text[language]) for language in ("en", *sorted(rare & text.keys()))]
    return found


def asked(source: data.Source, told: wording.Told, words: wording.Lexicon, rng: random.Random) -> list[tuple[str, str, str, str]]:
    """(question, passage, the question in another language, that language), for PER_FILE rows of a file."""
    made = []
    for row in rng.sample([row for row in source.rows if row.start >= 0], PER_FILE):
        shown = data.window(row, stream.characters(BUDGETS, source, rng), rng).window
        others = told.get(row.question, {})
        if others:
            language = rng.choice(sorted(others))
            made.append((row.question, shown, others[language], language))
        else:
            language, other = _switched(row.question, words.get(source.language, {}), source.language, rng)
            made.append((row.question, shown, other, language))
    return made


def written(found: dict[str, data.Source], rng: random.Random) -> list[tuple[str, str, str]]:
    """(question, passage, the passage's language) for the questions that we wrote."""
    return [
        (row.question, data.window(row, stream.characters(BUDGETS, source, rng), rng).window, source.language)
        for source in ours.sources(found).values()
        for row in source.rows
        if row.start >= 0
    ]


def _switched(question: str, words: dict[str, dict[str, str]], own: str, rng: random.Random) -> tuple[str, str]:
    """The question with every known word in one of the languages that know most of them."""
    entries = {part.lower(): words[part.lower()] for part in wording.words(question, words) if part.lower() in words}
    known = Counter(language for entry in entries.values() for language in entry)
    if not known:
        return own, question
    language = rng.choice(sorted(known, key=lambda other: -known[other])[:CHOICE])
    fit = {word: {language: entry[language]} for word, entry in entries.items() if language in entry}
    return language, wording.switch(question, fit, rng, shares=(1.0,))


def means(told: Same) -> dict[str, np.ndarray]:
    """`passage.LANGUAGE` and `query.LANGUAGE` → mean (dimension,): English's, and how far each language is from it on the same texts."""
    table = {}
    for kind, vectors in (("passage", told.passages), ("query", told.queries)):
        english = {i: vector for i, language, vector in zip(told.texts, told.languages, vectors, strict=True) if language == "en"}
        base = np.mean(list(english.values()), axis=0)
        table[f"{kind}.en"] = base
        for language in sorted(set(told.languages) - {"en"}):
            own = told.languages == language
            away = vectors[own] - np.stack([english[i] for i in told.texts[own]])
            if len(away) >= LEAST:
                table[f"{kind}.{language}"] = base + away.mean(axis=0)
    return table


class Texts(NamedTuple):
    """What is encoded: questions, the same in other languages, their passages; the languages of the three; texts that say the same."""

    questions: list[str]
    others: list[str]
    passages: list[str]
    languages: list[str]
    spoken: list[str]
    told: list[str]
    same: list[tuple[int, str, str]]


def gather(options: argparse.Namespace) -> Texts:
    """The texts that the options name."""
    rng = random.Random(SEED)
    words = lexicon.mine(bundled_model(), options.work / "lexicon.json", options.parallel)
    translated = translate.read(options.translated)
    found = data.sources(options.data)
    rows = [
        (question, other, passage, source.language, language, source.language)
        for name, source in found.items()
        for question, passage, other, language in asked(source, translated.get(name, {}), words, rng)
    ]
    for question, passage, told_in in written(found, random.Random(SEED)):
        rows.append((question, question, passage, heard := detect(question), heard, told_in))
    questions, others, passages, languages, spoken, told = ([row[i] for row in rows] for i in range(6))
    texts = parallel.texts(options.parallel, languages=COMMON + OTHER)
    return Texts(questions, others, passages, languages, spoken, told, same(texts, rng))


def encode(texts: Texts, encoder: SentenceEncoder) -> tuple[Same, Asked]:
    """Their vectors, as the encoder alone gives them."""
    languages = (np.array(spoken) for spoken in (texts.languages, texts.spoken, texts.told))
    pairs = Asked(encoder.queries(texts.questions), encoder.queries(texts.others), encoder.documents(texts.passages), *languages)
    print(f"encoded {len(pairs.questions)} questions and their passages", flush=True)
    numbers, spoken, told = map(list, zip(*texts.same, strict=True))
    print(f"encoding {len(told)} texts that say the same", flush=True)
    return Same(encoder.documents(told), encoder.queries(told), np.array(numbers), np.array(spoken)), pairs


def table(told: Same, pairs: Asked) -> dict[str, np.ndarray]:
    """The languages' means, and the projection of what is left without them."""
    found = means(told)
    return found | {"projection": projection.fit(projection.without(found, told, pairs))}


def main() -> None:
    """Encode the texts, take the means, fit the projection, and write both."""
    parser = argparse.ArgumentParser(prog="python -m training.languages", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--parallel", type=Path, required=True, help="folder of translations and dictionaries")
    parser.add_argument("--translated", type=Path, required=True, help="the questions in other languages (training.translate)")
    parser.add_argument("--work", type=Path, default=Path("checkpoints"), help="the lexicon and the vectors, once made")
    parser.add_argument("--out", type=Path, default=Path("index/languages.safetensors"))
    options = parser.parse_args()
    cache = options.work / "vectors.npz"
    if not cache.exists():
        told, pairs = encode(gather(options), SentenceEncoder(centred=False))
        fields = {f"same.{k}": v for k, v in told._asdict().items()} | {f"asked.{k}": v for k, v in pairs._asdict().items()}
        keep(cache, fields)
    with np.load(cache) as kept:
        told, pairs = Same(*(kept[f"same.{field}"] for field in Same._fields)), Asked(*(kept[f"asked.{field}"] for field in Asked._fields))
    made = table(told, pairs)
    save_file({name: value.astype("f2") for name, value in made.items()}, options.out)
    print(f"wrote {options.out}: {len(made) // 2} languages")


if __name__ == "__main__":
    main()
