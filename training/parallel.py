"""Claims across languages, from interface messages that say the same in each: `--messages FOLDER` of the training.

Takes unpacked wheels that carry translations (Django and Wagtail, both BSD-3-Clause); gives an endless, seeded stream of `Claim`s: a
message in one language about a window of messages in another, with a name and a number put to both, and the same with the name or
number exchanged, or with the message absent.
"""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import polib

from training.claims import Claim
from training.data import NAME, NUMBER, Row

LANGUAGES = "ar bg cs da de el es fa fi fr he hi hu id it ja ko nl no pl pt ro ru sv th tr uk vi zh".split()
LOCALES = {"zh": ("zh_Hans", "zh_CN"), "no": ("nb",), "pt": ("pt_BR", "pt_PT", "pt"), "id": ("id_ID", "id")}
SHORTEST, LONGEST = 20, 250  # characters of the English message
BLOCK, HELD_OUT = 20, 8  # messages
BESIDE = (2, 6)  # other messages of the window
TRUE, MARKED, ENGLISH = 0.5, 0.7, 0.5  # shares: true claims; with a name or number put to them; with English on one side
VARIABLE = re.compile(r"%\(?\w*\)?[sd]|{[^}]*}|<[^>]*>")


def messages(folder: Path, held_out: bool = False) -> list[dict[str, str]]:
    """Each message by language, English among them, in the order of their files: neighbours speak of like things.

    One block of BLOCK in HELD_OUT is left out for calibration, or is given alone.
    """
    found: dict[str, dict[str, str]] = {}
    for language in LANGUAGES:
        for locale in LOCALES.get(language, (language,)):
            for path in sorted(folder.glob(f"**/locale/{locale}/LC_MESSAGES/django.po")):
                for entry in polib.pofile(str(path)).translated_entries():
                    if entry.msgstr and SHORTEST <= len(entry.msgid) <= LONGEST:
                        found.setdefault(entry.msgid, {"en": _plain(entry.msgid)}).setdefault(language, _plain(entry.msgstr))
    return [message for i, message in enumerate(found.values()) if (i // BLOCK % HELD_OUT == 0) == held_out]


def stream(found: list[dict[str, str]], rows: list[Row], seed: int) -> Iterator[Claim]:
    """Claims without end; names come from `rows`."""
    rng = random.Random(seed)
    names = [match[0] for row in rng.sample(rows, min(2000, len(rows))) for match in NAME.finditer(row.context)]
    while True:
        at = rng.randrange(len(found))
        languages = sorted(found[at])
        if len(languages) < 2:
            continue
        asked, told = rng.sample(languages, 2)
        if rng.random() < ENGLISH and "en" not in (asked, told):
            asked, told = ("en", told) if rng.random() < 0.5 else (asked, "en")
        near = [m[told] for m in found[max(0, at - 30) : at + 30] if told in m and m is not found[at]]
        near = rng.sample(near, min(len(near), rng.randint(*BESIDE)))
        yield _claim(found[at][asked], found[at][told], near, names, rng)


def _claim(text: str, evidence: str, near: list[str], names: list[str], rng: random.Random) -> Claim:
    mark = other = ""
    if rng.random() < MARKED:
        mark, other = (rng.choice(names), rng.choice(names)) if rng.random() < 0.6 else (str(_number(rng)), str(_number(rng)))
    true = rng.random() < TRUE or (mark and mark.lower() == other.lower())
    cut = not true and (not mark or rng.random() < 0.4)
    first = mark + (": " if mark else "")
    evidence = first + evidence if rng.random() < 0.5 or not mark else f"{evidence.rstrip('.。')} ({mark})."
    near = [f"{rng.choice(names)}: {m}" if mark and not NUMBER.fullmatch(mark) and rng.random() < 0.5 else m for m in near]
    before = near[: rng.randint(0, len(near))]
    start = sum(len(m) + 1 for m in before)
    window = " ".join([*before, *([] if cut else [evidence]), *near[len(before) :]]) or evidence[::-1]
    if true:
        return Claim(first + text, window, True, "said", start, start + len(evidence))
    if cut:
        return Claim(first + text, window, False, "cut")
    return Claim(f"{other}: {text}", window, False, "number" if NUMBER.fullmatch(mark) else "name", changed=((0, len(other)),))


def _number(rng: random.Random) -> int:
    return rng.choice((rng.randrange(2, 100), rng.randrange(100, 3000), rng.randrange(1800, 2030)))


def _plain(message: str) -> str:
    return " ".join(VARIABLE.sub("…", message).split())
