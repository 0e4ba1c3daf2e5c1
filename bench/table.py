"""The table of docs/quality.md: rows of what is measured, kept from one run to the next.

Takes and gives rows; `bench.quality` fills them.
"""

import os
from pathlib import Path

SEED = 20260101  # of the draws
Row = tuple[str, str, str]  # what is measured, our figure, the published ones


def kept(path: Path) -> dict[str, tuple[str, str]]:
    """The rows of a table written before."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return {what: (measured, published) for what, measured, published in cells if what != "what"}


def below(path: Path) -> str:
    """What was written by hand below the table."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    last = max((number for number, line in enumerate(lines, 1) if line.startswith("| ")), default=len(lines))
    return "".join(lines[last:])


def page(rows: dict[str, tuple[str, str]], sample: int, rest: str) -> str:
    """The whole page: the table, and the `rest` below it."""
    body = "\n".join(f"| {what} | {measured} | {published} |" for what, (measured, published) in rows.items())
    return (
        f"# How good it is\n\nMade by `python -m bench.quality --data DATA --sample {sample}` on {os.cpu_count()} cores; "
        "no weight or threshold saw XQuAD or XQuAD-R (the sentence splitter was chosen on the sentence breaks of XQuAD-R; "
        "for which languages to write training questions, below).\n\n"
        f"| what | measured | published neighbours |\n|---|---|---|\n{body}\n{rest}"
    )
