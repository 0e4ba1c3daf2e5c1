"""Where each language lies in the encoder's space: `python -m training.languages`, once, writes `index/languages.safetensors`.

Takes the interface messages of Django in 51 languages (BSD-3-Clause), which say the same in each, so that what differs
between two languages' mean vectors is the language and not the subject; gives the table that `index.embed` subtracts. None of
the evaluation's text is in it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polib
from safetensors.numpy import save_file

from index.embed import SentenceEncoder
from index.language import COMMON, OTHER

LEAST_LENGTH = 25  # characters of an English message: shorter ones are words without a sentence
LEAST_MESSAGES = 60  # translated, for a language to enter the table
LOCALES = {"zh": "zh_Hans", "no": "nb", "tl": "fil"}


def messages(django: Path, language: str) -> dict[str, str]:
    """English message → its translation."""
    found: dict[str, str] = {}
    for message, translation in translated(django, LOCALES.get(language, language)):
        if len(message) >= LEAST_LENGTH and "%" not in message and "{" not in message:
            found[message] = translation
    return found


def translated(folder: Path, locale: str) -> Iterator[tuple[str, str]]:
    """English messages of the wheels below a folder with their translations, file by file."""
    for path in sorted(folder.glob(f"**/locale/{locale}/LC_MESSAGES/django.po")):
        yield from ((entry.msgid, entry.msgstr) for entry in polib.pofile(str(path)).translated_entries() if entry.msgstr)


def main() -> None:
    """Encode every message as a passage and as a question, and write each language's mean."""
    parser = argparse.ArgumentParser(prog="python -m training.languages", description=__doc__)
    parser.add_argument(
        "--django", type=Path, required=True, help="an unpacked Django wheel, whose translations are read"
    )
    parser.add_argument("--out", type=Path, default=Path("index/languages.safetensors"))
    options = parser.parse_args()
    encoder = SentenceEncoder(centred=False)
    known = {
        lang: found for lang in COMMON + OTHER if len(found := messages(options.django, lang)) >= LEAST_MESSAGES
    }
    english = sorted({message for found in known.values() for message in found})
    row = {message: i for i, message in enumerate(english)}
    table: dict[str, np.ndarray] = {}
    for kind, encode in (("passage", encoder.documents), ("query", encoder.queries)):
        base = encode(english)
        table[f"{kind}.en"] = base.mean(axis=0)
        for language, found in known.items():
            difference = encode(list(found.values())) - base[[row[message] for message in found]]
            table[f"{kind}.{language}"] = base.mean(axis=0) + difference.mean(axis=0)
            print(kind, language, len(found), flush=True)
    save_file({name: value.astype("f2") for name, value in table.items()}, options.out)


if __name__ == "__main__":
    main()
