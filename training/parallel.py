"""Claims across languages, from texts that say the same in each: `--parallel FOLDER` of the training.

Takes a folder with unpacked wheels that carry translations (Django and Wagtail, BSD-3-Clause) and unpacked packages of the help of
LibreOffice (`libreoffice-help-*` of Debian, MPL-2.0); gives an endless, seeded stream of `Claim`s: a text in one language about a
window of texts in another, true, with a name, a number or a negation changed, or with its evidence absent.
"""

import html
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polib

from training.claims import Claim, corrupted
from training.data import NAME, Row

LANGUAGES = "ar bg cs da de el es fa fi fr he hi hu id it ja ko nl no pl pt ro ru sv th tr uk vi zh".split()
LOCALES = {"zh": ("zh_Hans", "zh_CN"), "no": ("nb",), "tl": ("fil",), "pt": ("pt_BR", "pt_PT", "pt"), "id": ("id_ID", "id")}
HELP = {"en": "en-US", "pt": "pt-BR", "zh": "zh-CN"}  # folders of the help, where they are not the language's code
SHORTEST, LONGEST = 20, 300  # characters of the English text
BLOCK, HELD_OUT = 20, 8  # texts
BESIDE = (2, 6)  # other texts of the window
TRUE, MARKED, ENGLISH = 0.5, 0.5, 0.5  # shares: true claims; with a name or number put to them; with English on one side
CUT = 0.3  # of the false ones that could be made otherwise
OWN = ("number", "name", "negation")  # how a text without a name put to it is changed
VARIABLE = re.compile(r"%\(?\w*\)?[sd]|{[^}]*}|<[^>]*>")
PARAGRAPH = re.compile(r'<p id="([^"]+)" class="(?:paragraph|listitem|paragraphintable)"[^>]*>(.*?)</p>', re.DOTALL)


def texts(folder: Path, held_out: bool = False, languages: Sequence[str] = LANGUAGES) -> list[dict[str, str]]:
    """Each text by language, English among them, in the order of their files: neighbours speak of like things.

    One block of BLOCK in HELD_OUT is left out for calibration, or is given alone.
    """
    found: dict[str, dict[str, str]] = {}
    english = {path: list(_paragraphs(path)) for path in sorted(folder.glob(f"**/help/{HELP['en']}/text/**/*.html"))}
    for language in languages:
        for text, translation in [*_messages(folder, language), *_help(english, language)]:
            if SHORTEST <= len(text) <= LONGEST and translation != text:
                found.setdefault(text, {"en": _plain(text)}).setdefault(language, _plain(translation))
    return [text for i, text in enumerate(found.values()) if (i // BLOCK % HELD_OUT == 0) == held_out]


def _messages(folder: Path, language: str) -> Iterator[tuple[str, str]]:
    for locale in LOCALES.get(language, (language,)):
        for path in sorted(folder.glob(f"**/locale/{locale}/LC_MESSAGES/django.po")):
            yield from ((entry.msgid, entry.msgstr) for entry in polib.pofile(str(path)).translated_entries() if entry.msgstr)


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
        yield number, html.unescape(re.sub(r"<[^>]+>", "", inner))


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
