"""Names in other scripts, for code-switching: "Hajiyev" becomes "Хаджиев" or "हजियेव्", roughly as it is spoken.

Takes the training sources and ICU's `uconv` (Debian's icu-devtools); adds to a lexicon the words of names that it does not know.
"""

import shutil
import subprocess

from training.data import NAME, Source
from training.wording import Lexicon

ASCII = "::Latin-ASCII; ::Lower;"
CYRILLIC = f"{ASCII} sch > ш; sh > ш; ch > ч; c > к; kh > х; zh > ж; h > х; w > в; j > дж; q > к; x > кс;"
MARKS = "::[[:Mn:]] Remove;"
RULES = {  # language → ICU's transform; the rules before it are for letters that it leaves alone
    "ru": f"{CYRILLIC} ::Latin-Russian/BGN; ::Title;",
    "uk": f"{CYRILLIC} i > і; y > и; ::Latin-Cyrillic; ::Title;",
    "el": f"{ASCII} sch > σ; sh > σ; ch > τσ; w > ου; h > χ; j > τζ; ::Latin-Greek/UNGEGN; ::Title;",
    "ar": f"{ASCII} v > ف; p > ب; ::Latin-Arabic; {MARKS}",
    "fa": f"{ASCII} ::Latin-Arabic; {MARKS}",
    "hi": f"{ASCII} ::Latin-Devanagari;",
    "ja": f"{ASCII} ::Latin-Katakana;",
    "ko": f"{ASCII} ::Latin-Hangul;",
}


def add(lexicon: Lexicon, found: dict[str, Source]) -> None:
    """Put the names of the sources' rows into the lexicon; raises RuntimeError where `uconv` is not installed."""
    if not shutil.which("uconv"):
        raise RuntimeError("uconv is missing: apt-get install icu-devtools")
    words: dict[str, set[str]] = {}
    for source in found.values():
        if source.language in ("en", "fr", "tr"):
            names = (match[0] for row in source.rows for match in NAME.finditer(row.question))
            words.setdefault(source.language, set()).update(word for name in names for word in name.split() if word.isalpha())
    for language, named in words.items():
        unknown = sorted(word for word in named if len(word) > 2 and word.lower() not in lexicon[language])
        for target, rules in RULES.items():
            command = ["uconv", "-f", "utf-8", "-t", "utf-8", "-x", rules]
            told = subprocess.run(command, input="\n".join(unknown), capture_output=True, text=True, check=True).stdout
            for word, spelt in zip(unknown, told.splitlines(), strict=True):
                if not any("a" <= letter <= "z" for letter in spelt.lower()):
                    lexicon[language].setdefault(word.lower(), {})[target] = spelt
