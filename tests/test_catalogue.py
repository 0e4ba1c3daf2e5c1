import sqlite3
from pathlib import Path

import pytest
from langchain_core.documents import Document

import index.catalogue
from index.catalogue import Catalogue

TEXT = "Où ça ? « Là-bas… » 東京 🙂 end"


def document(text: str) -> Document:
    return Document(id="d", page_content=text, metadata={"source": "a.txt", "title": "A", "language": "fr", "places": [(0, "x")]})


def test_a_text_written_in_pieces_comes_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for piece in (1, 3, 1000):
        monkeypatch.setattr(index.catalogue, "PIECE", piece)
        catalogue = Catalogue(tmp_path / f"{piece}.sqlite3")
        for text in (TEXT, "", TEXT * 2):
            entry = catalogue.put(document(text), "/a.txt", 1)
            found = catalogue.get("d")
            assert found and found.page_content == text and found.metadata["places"] == [(0, "x")]
            assert catalogue.entries() == [entry] and entry.characters == len(text)
        assert catalogue.holding("東京 🙂") == ("d", TEXT.index("東京")) and catalogue.holding("Tokyo") is None
        catalogue.close()


def test_a_catalogue_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    place = tmp_path / "old.sqlite3"
    with sqlite3.connect(place) as old:
        old.execute(
            "CREATE TABLE documents (id TEXT PRIMARY KEY, path TEXT NOT NULL, source TEXT NOT NULL, title TEXT NOT NULL, "
            "language TEXT NOT NULL, text TEXT NOT NULL, chunks INTEGER NOT NULL, added TEXT NOT NULL)"
        )
        old.execute("INSERT INTO documents VALUES ('d', '/a.txt', 'a.txt', 'A', 'fr', ?, 1, '2026')", (TEXT,))
    old.close()
    for _ in range(2):  # the second time nothing is left to add
        catalogue = Catalogue(place)
        found = catalogue.get("d")
        assert found and found.page_content == TEXT and catalogue.entries()[0].characters == len(TEXT)
        assert catalogue.holding("Là-bas") == ("d", TEXT.index("Là-bas")) and catalogue.sketches() == {"d": b""}
        catalogue.close()
