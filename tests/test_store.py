from pathlib import Path

import numpy as np
import pytest
from conftest import TrigramEncoder
from langchain_core.documents import Document

import index.store
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


@pytest.mark.parametrize("searched", [True, False])
def test_many_chunks_are_in_several_collections_and_found_as_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searched: bool
) -> None:
    monkeypatch.setattr(index.store, "SHARD", 4)
    monkeypatch.setattr(index.store, "BATCH", 3)
    monkeypatch.setattr(index.store, "PAGE", 2)
    filled, encoder = Store(tmp_path, searched), TrigramEncoder()
    words = "apple berry cherry damson elder fig grape hazel ilex jujube kiwi lemon".split()
    chunks = [chunk(f"{i}", f"the {word} tree", f"d{i % 2}", ("en", "fr")[i % 2]) for i, word in enumerate(words)]
    filled.put(chunks, encoder.documents([c.page_content for c in chunks]))
    filled.close()

    store = Store(tmp_path)
    assert len(store._shards) == 2 and store.count() == 12
    for i, word in enumerate(words):
        found = store.nearest(encoder.query(f"the {word} tree"), 3)
        assert found[0][0].id == str(i) and [c for _, c in found] == sorted((c for _, c in found), reverse=True) and len(found) == 3
    assert {c.id for c, _ in store.nearest(encoder.query("the apple tree"), 12, ["d1"])} == {"1", "3", "5", "7", "9", "11"}
    assert store.get(["0", "11", "12"]).keys() == {"0", "11"}
    assert sorted(i for i, _ in store.texts("en")) == sorted("0 2 4 6 8 10".split())
    assert sorted(str(c.id) for page in store.pages(2) for c, _ in page) == sorted(map(str, range(12)))
    assert store.documents() == {"d0": {"en"}, "d1": {"fr"}} and store.languages("d1") == {"fr"}
    store.remove("d0")
    assert store.count() == 6 and store.documents() == {"d1": {"fr"}}
    store.close()


def test_what_is_not_searched_is_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index.store, "SHARD", 2)
    monkeypatch.setattr(index.store, "BATCH", 2)
    for searched in (True, False):
        store, encoder = Store(tmp_path / str(searched), searched), TrigramEncoder()
        client = store._client
        store.put([chunk(i, i) for i in "abcd"], encoder.documents(list("abcd")))
        assert (store._client is client) == searched
        client = store._client
        assert len(list(store.texts("en"))) == 4 and (store._client is client) == searched
        store.close()
