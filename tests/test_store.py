from pathlib import Path

import numpy as np
from conftest import TrigramEncoder
from langchain_core.documents import Document

from index.store import Store


def chunk(identity: str, text: str, document: str = "d", language: str = "en") -> Document:
    meta = {"document": document, "language": language, "start": 0, "end": len(text)}
    return Document(id=identity, page_content=text, metadata=meta)


def test_nearest_gives_cosines_best_first(tmp_path: Path) -> None:
    store, encoder = Store(tmp_path), TrigramEncoder()
    chunks = [chunk("a", "red apples"), chunk("b", "blue whales"), chunk("c", "red apple pie")]
    vectors = encoder.documents([c.page_content for c in chunks])
    store.put(chunks, vectors)
    found = store.nearest(encoder.query("red apples"), 2)
    assert [c.id for c, _ in found] == ["a", "c"]
    assert found[0][1] == np.float32(1.0).item() or abs(found[0][1] - 1) < 1e-5
    assert abs(found[1][1] - float(vectors[0] @ vectors[2])) < 1e-4
    store.close()


def test_put_replaces_and_remove_takes_a_whole_document(tmp_path: Path) -> None:
    store, encoder = Store(tmp_path), TrigramEncoder()
    for text in ("old", "new"):
        store.put([chunk("a", text), chunk("b", "x", "e", "fr")], encoder.documents([text, "x"]))
    assert store.count() == 2 and store.get(["a", "nope"])["a"][0].page_content == "new"
    assert list(store.texts("fr")) == [("b", "x")]
    store.remove("d")
    assert store.documents() == {"e": {"fr"}}
    store.close()
    again = Store(tmp_path)
    assert again.count() == 1
    again.close()


def test_empty_store_answers(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.nearest(TrigramEncoder().query("x"), 3) == [] and store.get([]) == {}
    store.close()
