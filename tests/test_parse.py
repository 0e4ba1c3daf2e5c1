import time
from pathlib import Path

import pytest
from conftest import TrigramEncoder
from files import EVERY, PARTS, pdf, zipped
from hostile import FILES, HARMLESS
from langchain_core.documents import Document

from index import Index, build
from index import parse as parsers
from index.load import LoadError, Source, load, place_at, read
from index.pages import boxes, open_pdf, page_text, picture
from index.sandbox import START, Sandbox, SandboxError
from index.split import split


def loaded(folder: Path, name: str, raw: bytes) -> Document:
    (folder / name).write_bytes(raw)
    return load(Source(folder / name), read(Source(folder / name)))


@pytest.mark.parametrize("name", EVERY)
def test_every_format_gives_its_text_with_places_and_exact_offsets(tmp_path: Path, name: str) -> None:
    document = loaded(tmp_path, name, EVERY[name])
    text = document.page_content
    for _, words in PARTS:
        assert words.split(". ")[0] in text, text
    for chunk in split(document, TrigramEncoder().token_spans):
        assert text[chunk.metadata["start"] : chunk.metadata["end"]] == chunk.page_content
    places = document.metadata["places"]
    assert [at for at, _ in places] == sorted(at for at, _ in places)
    if name not in ("i.eml", "k.txt"):
        told = {place_at(places, text.index(words.split(". ")[0])) for _, words in PARTS}
        assert len(told) == 3 and "" not in told, places


def test_places_are_pages_rows_records_and_headings(tmp_path: Path) -> None:
    expected = {"a.pdf": "page 2", "b.docx": "Bread", "d.epub": "Bread", "e.html": "Bread", "f.csv": "row 3", "g.json": "record 2",
                "j.md": "Bread"}  # fmt: skip
    for name, place in expected.items():
        document = loaded(tmp_path, name, EVERY[name])
        assert place_at(document.metadata["places"], document.page_content.index("Sourdough")) == place


def test_a_page_without_its_menus(tmp_path: Path) -> None:
    document = loaded(tmp_path, "e.html", EVERY["e.html"])
    assert "Our shop" not in document.page_content and document.metadata["title"] == "Facts"


def test_a_merged_title_and_a_table_of_word(tmp_path: Path) -> None:
    document = loaded(tmp_path, "b.docx", EVERY["b.docx"])
    assert document.metadata["title"] == "Three subjects" and "Jupiter | 95" in document.page_content


def test_pdf_lines_are_joined_and_divided_words_made_whole() -> None:
    line = "The committee of the assembly met on the first of May to discuss the co-"
    raw = pdf(
        [["A heading", line, "operation of the two countries and the future of the treaty, which was", "signed."]]
    )
    with open_pdf(raw) as document:
        text, indexes = page_text(document, 0)
    assert text.split("\n")[0] == "A heading" and "discuss the cooperation of the two" in text and "was signed." in text
    assert len(text) == len(indexes)
    at = text.index("operation")
    first, *rest = boxes(raw, 0, at, at + len("operation"))
    assert not rest and 0.09 < first[0] < 0.12 and 0.11 < first[1] < first[3] < 0.15  # the third line, at the left
    assert picture(raw, 0).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_costs_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    started = time.monotonic()
    with Index(tmp_path / "index", TrigramEncoder(), create=True) as index:
        report = build(index, [tmp_path / name])
        assert not index.catalogue.ids() and index.store.count() == 0
    (message,) = report.failed
    if name in ("text.pdf", "zip.pdf"):
        assert "is no PDF, or is damaged. Save it anew" in message
    assert name in message and "Traceback" not in message and len(message) < 500, message
    assert "root:" not in message
    assert time.monotonic() - started < 60  # the limits are seconds; a loaded machine may be slow


@pytest.mark.parametrize("name", HARMLESS)
def test_an_odd_file_is_read_and_harms_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(HARMLESS[name])
    with Index(tmp_path / "index", TrigramEncoder(), create=True) as index:
        report = build(index, [tmp_path / "in"])
        assert report.added and not report.failed, report.failed
    assert not list(tmp_path.parent.glob("escape.txt")) and not Path("/etc/absolute.md").exists()


def test_a_parser_that_loops_or_dies_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = "import sys; sys.stdin.buffer.readline(); "
    for script, words in (
        (bad + "import time; time.sleep(60)", "takes too long"),
        (bad + "import os; os.abort()", "crash"),
    ):
        monkeypatch.setattr("index.sandbox.START", script)
        monkeypatch.setattr("index.sandbox.PATIENCE", 0.5)
        with Sandbox() as sandbox:
            with pytest.raises(SandboxError, match=words):
                sandbox.parse(EVERY["f.csv"], ".csv")
            monkeypatch.undo()
            assert "Sourdough" in sandbox.parse(EVERY["f.csv"], ".csv").text


def test_the_child_may_not_swell_nor_write(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as sandbox:
        sandbox.parse(EVERY["f.csv"], ".csv")
        assert sandbox._child
        limits = Path(f"/proc/{sandbox._child.pid}/limits").read_text()
    assert f"{parsers.MEMORY}" in limits.split("Max address space")[1].splitlines()[0]
    assert limits.split("Max file size")[1].split()[0] == "0"


def test_files_in_a_zip_are_documents_and_go_with_it(tmp_path: Path) -> None:
    path = tmp_path / "in" / "all.zip"
    path.parent.mkdir()
    path.write_bytes(zipped({"a/moon.txt": PARTS[0][1].encode(), "bread.pdf": EVERY["a.pdf"], "skip.exe": b"MZ"}))
    with Index(tmp_path / "index", TrigramEncoder(), create=True) as index:
        assert sorted(build(index, [path.parent]).added) == [
            f"{path.as_posix()}!/{n}" for n in ("a/moon.txt", "bread.pdf")
        ]
        assert str(build(index, [path.parent])) == "2 unchanged"
        path.write_bytes(zipped({"a/moon.txt": PARTS[0][1].encode()}))
        assert str(build(index, [path.parent])) == "1 removed, 1 unchanged"
        path.write_bytes(b"PK broken")
        assert (
            str(build(index, [path.parent])) == "1 failed" and len(index.catalogue.ids()) == 1
        )  # kept till it can be read
        path.unlink()
        assert str(build(index, [path.parent])) == "1 removed"


def test_a_large_file_is_named_with_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.load.LARGEST_MB", 1)
    (tmp_path / "big.txt").write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(LoadError, match=r"big\.txt is larger than 1 MB.*CITE_MAX_MB"):
        read(Source(tmp_path / "big.txt"))


def test_what_a_library_prints_is_no_part_of_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = "import sys; sys.path[:0] = []; print('noise', flush=True)"
    monkeypatch.setattr("index.sandbox.START", START.replace("main()", f"import index.parse as p; p.PARSERS['.csv'] = "
                        f"lambda raw, watch, old=p.PARSERS['.csv']: (exec({noisy!r}), old(raw, watch))[1]; main()"))  # fmt: skip
    with Sandbox() as sandbox:
        assert "Sourdough" in sandbox.parse(EVERY["f.csv"], ".csv").text
