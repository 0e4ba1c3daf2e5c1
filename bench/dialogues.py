"""Follow-ups: of 20 two-turn dialogues in five languages, how many second questions get the gold quote.

`python -m bench.dialogues` prints it with the first question known and without, and what knowing an unrelated question before does
to questions that stand alone (the first ones).
"""

import json
import os
import tempfile
from pathlib import Path

from index import Index, build
from rag import Rag
from rag.types import Exchange

DIALOGUES = Path(__file__).parent / "dialogues.jsonl"


def main() -> None:
    """Ask, count, print."""
    rows = [json.loads(line) for line in DIALOGUES.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as place, Index(Path(place) / "index", create=True) as index:
        build(index, [Path("seeds")])
        rag = Rag(index)

        def hit(row: dict[str, list[str]], previous: str) -> bool:
            found = rag.invoke(str(row["then"]), history=[Exchange(previous, "")] if previous else [])
            print(f"  {row['then']}  →  {found.text.splitlines()[0]}" if previous else "", end="\n" if previous else "")
            return any(quote in citation.quote for citation in found.citations for quote in row["quotes"])

        known, unknown = [hit(row, str(row["first"])) for row in rows], [hit(row, "") for row in rows]
        alone = [rag.invoke(row["first"]) for row in rows]
        after = [rag.invoke(row["first"], history=[Exchange(rows[i - 7]["first"], "")]) for i, row in enumerate(rows)]
    same = sum(
        [c.quote for c in a.citations] == [c.quote for c in b.citations] for a, b in zip(alone, after, strict=True)
    )
    figures = {
        "dialogues": len(rows), "gold quote, first question known": sum(known), "not known": sum(unknown),
        "questions that stand alone, same citations after an unrelated one": same, "read alone": sum(a.asked == a.question for a in after),
        "cores": os.cpu_count(),
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
