import codecs
from pathlib import Path

import pytest
from langchain_core.documents import Document

from index.load import TITLE_LENGTH, LoadError, Source, find, load, read, title


def loaded(path: Path) -> Document:
    return load(Source(path), read(Source(path)))


def test_text_is_verbatim(tmp_path: Path) -> None:
    text = "Première ligne\r\n\r\n  deuxième\tligne ﬁn  \n"
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    document = loaded(path)
    assert document.page_content == text
    assert document.metadata == {
        "source": path.as_posix(), "title": "Première ligne", "language": "fr", "kind": ".txt", "places": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bom", "encoding"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
     (codecs.BOM_UTF32_LE, "utf-32-le")],
)  # fmt: skip
def test_bom_is_understood_and_dropped(tmp_path: Path, bom: bytes, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(bom + "Žluťoučký kůň".encode(encoding))
    assert loaded(path).page_content == "Žluťoučký kůň"


def test_legacy_encoding_is_detected(tmp_path: Path) -> None:
    text = "Les élèves français étudient à l’école dès la rentrée, et les forêts brûlent l’été. " * 5
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode("cp1252"))
    assert loaded(path).page_content == text


def test_identity_is_of_the_bytes(tmp_path: Path) -> None:
    for name in ("a.txt", "b.md"):
        (tmp_path / name).write_text("same words")
    assert loaded(tmp_path / "a.txt").id == loaded(tmp_path / "b.md").id
    (tmp_path / "b.md").write_text("other words")
    assert loaded(tmp_path / "a.txt").id != loaded(tmp_path / "b.md").id


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\x00\x00\x00", b"text\x00more", b"\xff\xfe\xfa\x00\x01\x02\x80", b"  \n\t "]
)
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.txt"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"odd\.txt"):
        loaded(path)


def test_find_sorts_and_passes_over_hidden_and_unknown_files(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", ".hidden.txt", ".git/c.txt", "d.png", "sub/e.TXT"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in find([tmp_path])] == ["a.md", "b.txt", "sub/e.TXT"]


def test_find_names_what_is_missing_or_of_another_type(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"nowhere\.txt does not exist"):
        find([tmp_path / "nowhere.txt"])
    (tmp_path / "d.png").touch()
    with pytest.raises(LoadError, match=r"d\.png is not one of"):
        find([tmp_path / "d.png"])


def test_title_is_the_first_words_whole() -> None:
    assert title("\n## A heading ##\nmore") == "A heading"
    long = title("word " * 40)
    assert long.endswith("word…") and len(long) <= TITLE_LENGTH + 1
