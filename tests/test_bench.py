"""What the measurements count with: a figure is no better than that."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import OverlapReader, TrigramEncoder

from bench import news, reliability, table
from bench.refusals import SOME, refusals
from bench.retrieval import average_precision, ndcg
from bench.squad import Item, read_squad
from index import Index, build
from rag import Hit, Reading
from training import ours
from training.fitting import groups

SVG = "{http://www.w3.org/2000/svg}"


def test_rankings_are_scored_as_the_field_does() -> None:
    relevant = np.array([True, False, True, False])
    assert average_precision(relevant) == pytest.approx((1 + 2 / 3) / 2)
    assert ndcg(relevant) == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3)))
    assert average_precision(np.zeros(3, bool)) == ndcg(np.zeros(3, bool)) == 0


class Watching(OverlapReader):
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[set[str]] = []

    def read(self, question: str, hits: Sequence[Hit]) -> list[Reading]:
        self.given.append({hit.chunk.page_content for hit in hits})
        return super().read(question, hits)


def test_a_paragraph_that_was_taken_out_is_not_given_to_the_reader(tmp_path: Path) -> None:
    texts = [f"In {language} the {thing} was built by nobody else." for language in SOME for thing in ("bridge", "tower")]
    items = {
        language: {thing: Item(f"Who built the {thing}?", texts[2 * i + j], ("nobody",)) for j, thing in enumerate(("bridge", "tower"))}
        for i, language in enumerate(SOME)
    }
    folder = tmp_path / "texts"
    folder.mkdir()
    for i, text in enumerate(texts):
        (folder / f"{i % 2}.{SOME[i // 2]}.txt").write_text(text)
    (folder / "0.el.txt").write_text("In el the bridge was built by nobody else.")  # no language of the pool
    same = [{items[language][thing].context for language in SOME} for thing in ("bridge", "tower")]
    with Index(tmp_path / "index", TrigramEncoder(), create=True) as index:
        build(index, [folder])
        reader = Watching()
        list(refusals(index, items, SOME, 1, reader, []))  # type: ignore[arg-type]
    assert len(reader.given) == 2 * len(SOME) and not any("In el" in text for given in reader.given for text in given)
    assert all(without and any(not without & own for own in same) for without in reader.given[1::2])


def test_the_news_articles_hold_their_answers_and_no_training_saw_them() -> None:
    written = (ours.written(path).values() for path in (ours.WRITTEN, ours.LEFT_OUT))
    seen, left_out = ({row.context for source in sources for row in source.rows} for sources in written)
    assert len(left_out) == 78 and not left_out & seen
    asked = {name: read_squad(path) for name, path in news.FILES.items()}
    french, across, rare = ({item.context for item in items} for items in asked.values())
    assert french == across == rare and len(french) == 10 and not french & (seen | left_out)
    for items in asked.values():
        assert all(answer in item.context for item in items for answer in item.answers)
        assert 0.15 < sum(not item.answers for item in items) / len(items) < 0.3
    first = news.questions(asked["in French"])[0]
    assert first.answerable and first.quotes == asked["in French"][0].answers


def test_the_table_keeps_its_rows_and_what_is_written_below_it(tmp_path: Path) -> None:
    path = tmp_path / "quality.md"
    assert table.kept(path) == {} and table.below(path) == ""
    rows = {"seeds: cited": ("**0.94**", "0.75"), "the same, refused": ("0.86", "none")}
    path.write_text(table.page(rows, 60, "\nBy hand.\n"), encoding="utf-8")
    assert table.kept(path) == rows and table.below(path) == "\nBy hand.\n"


def test_the_reliability_plot_has_a_point_for_each_bin_where_its_answers_lie() -> None:
    answered = [(0.92, True)] * 3 + [(0.98, False)] + [(0.31, False)] * 2
    assert groups(answered, 10) == [(pytest.approx(0.31), 0.0, 2), (pytest.approx(0.935), 0.75, 4)]
    assert reliability.told(answered) == "said 0.31 right 0.00 of 2, said 0.94 right 0.75 of 4"
    drawn = ElementTree.fromstring(reliability.plot({"4 languages": answered, "none": []}))
    points = {point[0].text: (float(point.get("cx", 0)), float(point.get("cy", 0))) for point in drawn.iter(f"{SVG}circle")}
    (low, bottom), (high, above) = points["said 0.31, right 0.00 of 2"], points["said 0.94, right 0.75 of 4"]
    side = (high - low) / (0.935 - 0.31)
    assert bottom - above == pytest.approx(0.75 * side, abs=0.5)  # both axes have one scale
    assert [text.text for text in drawn.iter(f"{SVG}text")][-2:] == ["● 4 languages, 6 answers", "● none, 0 answers"]
