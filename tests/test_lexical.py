from pathlib import Path

import pytest

from index import lexical as lexical_module
from index.lexical import Lexical, names, terms

ROWS = [
    ("a", "Les drones turcs sont imparables"),
    ("b", "Le commerce du pétrole"),
    ("c", "Hajiyev parle de drones et de drones"),
]


def test_terms_are_stemmed_by_language_and_bigrams_without_spaces() -> None:
    assert terms("Les drones volaient", "fr") == terms("les DRONE volait", "fr")
    assert terms("無人機2号", "ja") == ["2", "無人", "人機", "号"]
    assert terms("running", "xx") == ["running"]


def test_names_leaves_ordinary_words() -> None:
    assert names("What did Hikmet Hajiyev say about 1990 and E1234-X?") == "Hikmet Hajiyev 1990 E1234"


def test_search_ranks_and_leaves_out_what_shares_nothing(tmp_path: Path) -> None:
    lexical = Lexical(tmp_path)
    lexical.write("fr", ROWS)
    assert [i for i, _ in lexical.search("Hajiyev drone", "fr", 5)] == ["c", "a"]
    assert lexical.search("ordinateur", "fr", 5) == []
    assert lexical.search("drone", "en", 5) == []


def test_segments_rank_as_one_index_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"d{i}:0", f"le drone numéro {i} {'vole ' * (i % 3)}{'loin' if i % 4 == 0 else 'haut'}") for i in range(40)]
    Lexical(tmp_path / "whole").write("fr", rows)
    monkeypatch.setattr(lexical_module, "SEGMENT", 7)
    parts = Lexical(tmp_path / "parts")
    parts.write("fr", rows)
    assert len(list((tmp_path / "parts").glob("fr-*/*"))) == 6 and parts.ids("fr") == {identity for identity, _ in rows}
    for question in ("drone numéro 12", "vole loin", "loin"):
        whole, found = (dict(each.search(question, "fr", 40)) for each in (Lexical(tmp_path / "whole"), parts))
        assert whole.keys() == found.keys()
        assert max(whole, key=lambda i: whole[i]) == max(found, key=lambda i: found[i])
        assert all(abs(found[i] - score) < 0.1 * score for i, score in whole.items())  # the average length is each segment's own
    assert {i for i, _ in parts.search("loin", "fr", 40, {"d8", "d32"})} == {"d8:0", "d32:0"}


def test_an_index_from_before_there_were_segments_is_read(tmp_path: Path) -> None:
    Lexical(tmp_path).write("fr", ROWS)
    (segment,) = tmp_path.glob("fr-*/0000")
    for file in segment.iterdir():
        file.rename(segment.parent / file.name)
    segment.rmdir()
    assert Lexical(tmp_path).search("pétrole", "fr", 1)[0][0] == "b"


def test_saved_and_replaced(tmp_path: Path) -> None:
    Lexical(tmp_path).write("fr", ROWS)
    lexical = Lexical(tmp_path)
    assert lexical.search("pétrole", "fr", 1)[0][0] == "b"
    lexical.write("fr", [("z", "pétrole")])
    assert lexical.search("pétrole", "fr", 1)[0][0] == "z"
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1
    lexical.write("fr", [])
    assert lexical.languages() == [] and lexical.search("pétrole", "fr", 1) == []
