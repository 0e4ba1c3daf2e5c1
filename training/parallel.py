"""Claims across languages, from texts that say the same in each: `--parallel FOLDER` of the training.

Takes a folder with unpacked wheels that carry translations (Django and Wagtail, BSD-3-Clause) and unpacked packages of Debian: the help of
LibreOffice (`libreoffice-help-*`, MPL-2.0), the stories of Wesnoth (`wesnoth-1.16-*`, GPL and CC BY-SA 4.0) and `debian-handbook` (GPL and
CC BY-SA 3.0). Gives an endless, seeded stream of `Claim`s: a text in one language about a window of texts in another, true, with a name, a
number or a negation changed, or with its evidence absent. `training.cloze` makes questions of the same texts.
"""

import html
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polib

from training.claims import Claim, corrupted
from training.data import NAME, Row, sentences

LANGUAGES = "ar bg cs da de el es fa fi fr he hi hu id it ja ko nl no pl pt ro ru sv th tr uk vi zh".split()
LOCALES = {"zh": ("zh_Hans", "zh_CN"), "no": ("nb", "nb_NO"), "tl": ("fil",), "pt": ("pt_BR", "pt_PT", "pt"), "id": ("id_ID", "id")}
HELP = {"en": "en-US", "pt": "pt-BR", "zh": "zh-CN"}  # folders of help and handbook, where they are not the language's code
SHORTEST, LONGEST = 20, 300  # characters of the English text
BLOCK, HELD_OUT = 20, 8  # texts
BESIDE = (2, 6)  # other texts of the window
TRUE, MARKED, ENGLISH = 0.5, 0.5, 0.5  # shares: true claims; with a name or number put to them; with English on one side
LEFT = 0.6  # of a text's words: with more of them in its translation it was not translated
CUT = 0.3  # of the false ones that could be made otherwise
OWN = ("number", "name", "negation")  # how a text without a name put to it is changed
VARIABLE = re.compile(r"%\(?\w*\)?[sd]|{[^}]*}|<[^>]*>")
HANDBOOK_PARAGRAPH = re.compile(r'<div class="para">(.*?)</div>', re.DOTALL)
PARAGRAPH = re.compile(r'<p id="([^"]+)" class="(?:paragraph|listitem|paragraphintable)"[^>]*>(.*?)</p>', re.DOTALL)


def texts(folder: Path, held_out: bool = False, languages: Sequence[str] = LANGUAGES) -> list[dict[str, str]]:
    """Each text of the messages and the help by language, English among them, in the order of their files: neighbours speak of like things.

    One block of BLOCK in HELD_OUT is left out for calibration, or is given alone.
    """
    english = {path: list(_paragraphs(path)) for path in sorted(folder.glob(f"**/help/{HELP['en']}/text/**/*.html"))}
    return _by_text(((language, (*_messages(folder, language), *_help(english, language))) for language in languages), held_out)


def stories(folder: Path, held_out: bool = False) -> list[dict[str, str]]:
    """The same of Wesnoth's stories and of the handbook."""
    english = {path: _handbook(path) for path in sorted(folder.glob("**/debian-handbook/html/en-US/*.html"))}
    told = ((language, (*catalogue(folder, "wesnoth*", language), *_chapters(english, language))) for language in LANGUAGES)
    return _by_text(told, held_out)


def _by_text(told: Iterable[tuple[str, Sequence[tuple[str, str]]]], held_out: bool) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for language, pairs in told:
        for text, translation in pairs:
            if SHORTEST <= len(text) <= LONGEST and not _left_as_it_was(text, translation):
                found.setdefault(text, {"en": _plain(text)}).setdefault(language, _plain(translation))
    return [text for i, text in enumerate(found.values()) if (i // BLOCK % HELD_OUT == 0) == held_out]


def _left_as_it_was(text: str, translation: str) -> bool:
    words = set(text.split())
    return len(words & set(translation.split())) > LEFT * len(words)


def _messages(folder: Path, language: str) -> Iterator[tuple[str, str]]:
    for locale in LOCALES.get(language, (language,)):
        for path in sorted(folder.glob(f"**/locale/{locale}/LC_MESSAGES/django.po")):
            yield from ((entry.msgid, entry.msgstr) for entry in polib.pofile(str(path)).translated_entries() if entry.msgstr)


def catalogue(folder: Path, name: str, language: str) -> Iterator[tuple[str, str]]:
    """Messages and translations of the compiled catalogues of that name; what stands before a "^" is for translators."""
    for locale in LOCALES.get(language, (language,)):
        for path in sorted(folder.glob(f"**/locale/{locale}/LC_MESSAGES/{name}.mo")):
            entries = polib.mofile(str(path)).translated_entries()
            yield from ((entry.msgid.rpartition("^")[2], entry.msgstr) for entry in entries if entry.msgstr)


def _handbook(path: Path) -> list[str]:
    return [_plain(_text(inner)) for inner in HANDBOOK_PARAGRAPH.findall(path.read_text(encoding="utf-8"))]


def _chapters(english: dict[Path, list[str]], language: str) -> Iterator[tuple[str, str]]:
    """Paragraphs of the handbook, and the sentences of those that have as many in both languages."""
    for path, paragraphs in english.items():
        for other in path.parents[1].glob(f"{HELP.get(language, f'{language}-*')}/{path.name}"):
            translations = _handbook(other)
            for text, translation in zip(paragraphs, translations, strict=True) if len(paragraphs) == len(translations) else ():
                ours, theirs = ([part[a:b].strip() for a, b in sentences(part)] for part in (text, translation))
                whole = len(text) <= LONGEST or len(ours) != len(theirs)
                yield from [(text, translation)] if whole else zip(ours, theirs, strict=True)


def _help(english: dict[Path, list[tuple[str, str]]], language: str) -> Iterator[tuple[str, str]]:
    """Paragraphs of the help's English pages and of the language's: they share their files' names and their own numbers."""
    for path, paragraphs in english.items():
        root, _, place = str(path).rpartition(f"/help/{HELP['en']}/")
        other = Path(root, "help", HELP.get(language, language), place)
        if other.exists():
            known = dict(_paragraphs(other))
            yield from ((text, known[number]) for number, text in paragraphs if known.get(number))


def _paragraphs(path: Path) -> Iterator[tuple[str, str]]:
    for number, inner in PARAGRAPH.findall(path.read_text(encoding="utf-8")):
        yield number, _text(inner)


def _text(inner: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", inner))


def stream(found: list[dict[str, str]], rows: list[Row], seed: int) -> Iterator[Claim]:
    """Claims without end; names put to the texts come from `rows`."""
    rng = random.Random(seed)
    changed: Claim | None
    names = sorted({match[0] for row in rng.sample(rows, min(2000, len(rows))) for match in NAME.finditer(row.context)})
    known = {language: [i for i, text in enumerate(found) if language in text and len(text) > 1] for language in LANGUAGES}
    while True:
        told = rng.choice(LANGUAGES)
        if not known[told]:
            continue
        at = rng.choice(known[told])
        asked = rng.choice(sorted(found[at].keys() - {told}))
        if rng.random() < ENGLISH and told != "en":
            asked = "en"
        if rng.random() < 0.5:
            asked, told = told, asked
        beside = [text for text in found[max(0, at - 30) : at + 30] if told in text and text is not found[at]]
        near = [text[told] for text in rng.sample(beside, min(len(beside), rng.randint(*BESIDE)))]
        if rng.random() < MARKED:
            claim, changed = _marked(found[at][asked], found[at][told], near, names, rng)
        else:
            claim = _placed(found[at][asked], found[at][told], near, rng)
            changed = corrupted(claim, [Row("", ", ".join(rng.sample(names, 20)), "", -1, -1)], asked, rng, OWN)
        if rng.random() < TRUE:
            yield claim
        elif changed and rng.random() > CUT:
            yield changed
        elif near:
            yield replace(_placed(claim.text, "", near, rng), true=False, kind="cut", start=-1, end=-1)


def _placed(text: str, evidence: str, near: list[str], rng: random.Random) -> Claim:
    """A true claim whose evidence stands somewhere among the near ones."""
    before = near[: rng.randint(0, len(near))]
    start = sum(len(other) + 1 for other in before)
    window = " ".join([*before, *([evidence] if evidence else []), *near[len(before) :]])
    return Claim(text, window, True, "said", start, start + len(evidence))


def _marked(text: str, evidence: str, near: list[str], names: list[str], rng: random.Random) -> tuple[Claim, Claim]:
    """A name or number put to the text and to its evidence; and another one put to it, which a near text may have."""
    kind = rng.choice(("name", "name", "number"))
    mark, *others = rng.sample(names, 8) if kind == "name" else [str(number) for number in _numbers(rng)]
    shape = rng.choice(("{}: {}", "{1} ({0})."))
    near = [shape.format(other, n.rstrip(".。")) if rng.random() < 0.6 else n for other, n in zip(others, near, strict=False)]
    claim = _placed(f"{mark}: {text}", shape.format(mark, evidence.rstrip(".。")), near, rng)
    other = rng.choice(others)
    false = replace(claim, text=f"{other}: {text}", true=False, kind=kind, start=-1, end=-1, changed=((0, len(other)),))
    return claim, false


def _numbers(rng: random.Random) -> list[int]:
    low, high = rng.choice(((2, 100), (100, 3000), (1800, 2030)))
    return rng.sample(range(low, high), 8)


def _plain(text: str) -> str:
    return " ".join(VARIABLE.sub("…", text).split())
