"""Questions and passages in other languages, by rules: `python -m training.translate --data FOLDER --out FILE`.

Takes the English and French training files and Apertium (Debian's apertium-eng-spa, -eng-cat, -fra-cat, -fr-es, -cat-ita, -es-pt); gives
a gzipped JSON file: training file → text → {language: translation}. Word order and names are real; the wording is rough.
"""

import argparse
import gzip
import json
import subprocess
from pathlib import Path

from training.data import sources
from training.wording import Told

CHAINS = {  # source → target → Apertium's modes, one after the other
    "en": {"es": ["eng-spa"], "fr": ["eng-cat", "cat-fra"], "it": ["eng-cat", "cat-ita"], "pt": ["eng-spa", "es-pt"]},
    "fr": {"en": ["fra-cat", "cat-eng"], "es": ["fr-es"], "it": ["fra-cat", "cat-ita"], "pt": ["fr-es", "es-pt"]},
}
CONTEXTS = {"piaf.fr": ("es", "en"), "squadshifts-newwiki.en": ("es", "fr")}  # whose passages are translated too
FILES = ("piaf.fr", "squadshifts-newwiki.en", "squadshifts-reddit.en", "squadshifts-amazon.en")


def translate(texts: list[str], modes: list[str]) -> list[str]:
    """The texts through each mode in turn, in halves where lines are lost; raises RuntimeError where one text is, or a mode is missing."""
    told = "\n\n".join(" ".join(text.split()) for text in texts)
    for mode in modes:
        told = subprocess.run(["apertium", "-u", mode], input=told, capture_output=True, text=True, check=True).stdout
    lines = [line.strip() for line in told.strip().split("\n\n")]
    if len(lines) == len(texts):
        return lines
    if half := len(texts) // 2:  # some texts end Apertium when others go before
        return translate(texts[:half], modes) + translate(texts[half:], modes)
    raise RuntimeError(f"apertium {' | '.join(modes)} gave {len(lines)} lines for {len(texts)}. Install its language pairs")


def read(path: Path) -> dict[str, Told]:
    """What `main` wrote: training file → text → language → translation."""
    found: dict[str, Told] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def main() -> None:
    """Translate the files' questions, and some files' passages."""
    parser = argparse.ArgumentParser(prog="python -m training.translate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/*.jsonl.gz")
    parser.add_argument("--out", type=Path, default=Path("checkpoints/translated.json.gz"))
    parser.add_argument("--held-out", action="store_true", help="what training leaves out, for training.support")
    options = parser.parse_args()
    made: dict[str, Told] = {}
    found = sources(options.data, held_out=options.held_out)
    for name in FILES:
        made[name] = {}
        for target, modes in CHAINS[found[name].language].items():
            texts = list(dict.fromkeys(row.question for row in found[name].rows))
            if target in CONTEXTS.get(name, ()):
                texts += dict.fromkeys(row.context for row in found[name].rows)
            for text, other in zip(texts, translate(texts, modes), strict=True):
                made[name].setdefault(text, {})[target] = other
            print(f"{name}: {len(texts)} texts in {target}", flush=True)
    partial = options.out.with_suffix(".partial")
    with gzip.open(partial, "wt", encoding="utf-8") as lines:
        json.dump(made, lines, ensure_ascii=False)
    partial.replace(options.out)


if __name__ == "__main__":
    main()
