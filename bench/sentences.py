"""Where sentences end: F1 of our splitter on XQuAD-R's own breaks (`python -m bench.sentences --data FOLDER`).

Takes XQuAD-R, eleven languages; gives a Markdown row a splitter: ours, pysbd where it is installed, and a plain regular expression.
A boundary counts where both put it after the same character; the end of a paragraph, which nobody misses, is counted like any other.
"""

import argparse
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.squad import json_lines
from index.split import sentences

Splitter = Callable[[str, str], Iterable[int]]  # text and language → where sentences end
PLAIN = re.compile(r"[.!?؟।]+[»”\")\]]*(?=\s|$)|[。！？]+[」”』]*|$")


def ours(text: str, language: str) -> Iterable[int]:
    """What the index cuts at."""
    return (end for _, end in sentences(text, language))


def plain(text: str, _language: str) -> Iterable[int]:
    """A regular expression over marks."""
    return (match.end() for match in PLAIN.finditer(text))


def pysbd_ends(text: str, language: str) -> Iterable[int]:
    """pysbd, English's rules for languages that it does not know."""
    import pysbd

    known = language if language in pysbd.languages.LANGUAGE_CODES else "en"
    found = pysbd.Segmenter(language=known, clean=False, char_span=True).segment(text)
    return (span.end for span in found)


def f1(paths: Iterable[Path], splitter: Splitter) -> dict[str, float]:
    """F1 of the boundaries by language."""
    found = {}
    for path in paths:
        language, right, said, gold = path.name.split(".")[0], 0, 0, 0
        for row in json_lines(path):
            text = row["context"]
            true = {len(text[:end].rstrip()) for _, end in row["sentences"]}
            ours_ = {len(text[:end].rstrip()) for end in splitter(text, language)}
            right, said, gold = right + len(true & ours_), said + len(ours_), gold + len(true)
        found[language] = 2 * right / (said + gold)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sentences", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with eval/xquad_r")
    paths = sorted((parser.parse_args().data / "eval" / "xquad_r").glob("*.jsonl.gz"))
    splitters: dict[str, Splitter] = {"sentencex and our rules": ours, "regular expression": plain}
    try:
        import pysbd  # noqa: F401

        splitters["pysbd"] = pysbd_ends
    except ImportError:
        pass
    print("| splitter | " + " | ".join(path.name.split(".")[0] for path in paths) + " | average |")
    print("|---" * (len(paths) + 2) + "|")
    for name, splitter in splitters.items():
        found = f1(paths, splitter)
        print(
            f"| {name} | "
            + " | ".join(f"{v:.3f}" for v in found.values())
            + f" | {sum(found.values()) / len(found):.3f} |"
        )


if __name__ == "__main__":
    main()
