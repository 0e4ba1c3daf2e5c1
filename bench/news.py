"""Ten French news articles side by side, asked in French and in 36 other languages: `python -m bench.news`.

Takes `news.fr.json`, `news.across.json` and `news.rare.json`, SQuAD files of invented articles that we wrote and that no training
saw; gives what `rag.evaluate` counts of the product's answers. Every article is in the index, so the nine others are the near misses; a
quarter of the questions has no answer in any. `bench.quality --squad` reads the same files an article at a time.
"""

import tempfile
from pathlib import Path

from bench.squad import Item, read_squad
from index import Index, build
from rag import Rag
from rag.evaluate import Figures, Question, evaluate

FILES = {
    "in French": Path(__file__).parent / "news.fr.json",
    "in 16 other languages": Path(__file__).parent / "news.across.json",
    "in 24 languages with few training questions": Path(__file__).parent / "news.rare.json",
}


def questions(items: list[Item]) -> list[Question]:
    """The items as `rag.evaluate` takes them: a citation must hold the answer."""
    return [Question(str(i), item.question, bool(item.answers), item.answers, item.answers) for i, item in enumerate(items)]


def measure() -> dict[str, Figures]:
    """The figures of each of FILES."""
    asked = {name: read_squad(path) for name, path in FILES.items()}
    with tempfile.TemporaryDirectory() as place:
        texts = Path(place) / "texts"
        texts.mkdir()
        for number, context in enumerate(dict.fromkeys(item.context for items in asked.values() for item in items)):
            (texts / f"{number}.fr.txt").write_text(context, encoding="utf-8", newline="")
        with Index(Path(place) / "index", create=True) as index:
            build(index, [texts])
            rag = Rag(index)
            rag.warm()
            return {name: evaluate(rag, questions(items)) for name, items in asked.items()}


if __name__ == "__main__":
    for name, figures in measure().items():
        print(f"{name}: {figures}")
