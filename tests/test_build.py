import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, TEXTS, TrigramEncoder
from langchain_core.documents import Document

from index import Index, IndexBusy, IndexProblem, LoadError, build, rebuild
from index.doctor import examine


def search(index: Index, question: str) -> list[str]:
    return [chunk.page_content for chunk, _ in index.store.nearest(index.encoder.query(question), 3)]


def encoder(index: Index) -> TrigramEncoder:
    assert isinstance(index.encoder, TrigramEncoder)
    return index.encoder


def test_indexing_twice_changes_nothing_and_says_so(index: Index, folder: Path) -> None:
    before = encoder(index).encoded
    report = build(index, [folder])
    assert str(report) == "4 unchanged" and encoder(index).encoded == before


def test_a_changed_file_replaces_its_chunks(index: Index, folder: Path) -> None:
    (folder / "moon.txt").write_text("Jupiter has ninety-five moons. Ganymede is the largest.")
    assert str(build(index, [folder])) == "1 changed, 3 unchanged"
    assert "Ganymede" in search(index, "Ganymede largest")[0]
    assert not any("Armstrong" in text for text in search(index, "Neil Armstrong walked"))
    assert index.lexical.search("Armstrong", "en", 3) == [] and index.lexical.search("Ganymede", "en", 3)
    assert index.store.documents().keys() == index.catalogue.ids()


def test_removed_moved_and_copied_files(index: Index, folder: Path) -> None:
    (folder / "moon.txt").unlink()
    (folder / "bread.md").rename(folder / "pain.md")
    (folder / "copy.txt").write_text((folder / "lune.fr.txt").read_text())
    report = build(index, [folder])
    assert (len(report.removed), len(report.moved), len(report.unchanged)) == (1, 1, 3)
    assert len(index.catalogue.ids()) == 3 and "pain.md" in {Path(e.path).name for e in index.catalogue.entries()}
    assert index.store.documents().keys() == index.catalogue.ids()


def test_documents_from_elsewhere_stay(index: Index, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.txt").write_text("Penguins live in the south.")
    assert str(build(index, [other])) == "1 added"
    assert len(index.catalogue.entries()) == 5


def test_a_bad_file_costs_one_line_and_nothing_else(index: Index, folder: Path) -> None:
    (folder / "bad.txt").write_bytes(b"\x00\x01\x02")
    (folder / "moon.txt").write_bytes(b"\x00broken now")
    report = build(index, [folder])
    assert len(report.failed) == 2 and all("binary" in line for line in report.failed)
    assert "Armstrong" in " ".join(search(index, "Neil Armstrong walked"))
    with pytest.raises(LoadError, match="does not exist"):
        build(index, [folder / "never.txt"])


def test_reopened_it_remembers_its_model_and_refuses_another(index: Index) -> None:
    folder = index.folder
    index.close()
    with pytest.raises(
        IndexProblem, match=r"built with embedding model 'trigrams'; this run asks for 'b'.*--rebuild --embedder b"
    ):
        Index(folder, TrigramEncoder("b"))
    with Index(folder) as again:
        assert again.encoder.name == "trigrams"


def test_no_index_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(IndexProblem, match="cite index seeds"):
        Index(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_one_owner_at_a_time(index: Index) -> None:
    index.serve_at("http://127.0.0.1:1")
    with pytest.raises(IndexBusy, match=rf"'cite' \(process {os.getpid()}\) at http") as caught:
        Index(index.folder, TrigramEncoder())
    assert caught.value.url == "http://127.0.0.1:1"


def test_rebuild_with_another_model_swaps_when_whole(index: Index, folder: Path) -> None:
    place = index.folder
    index.close()
    shutil.rmtree(folder)  # the texts are in the index
    assert str(rebuild(place, TrigramEncoder("b"))) == "4 added"
    with Index(place) as again:
        assert again.encoder.name == "b" and len(again.catalogue.ids()) == 4
    assert sorted(p.name for p in place.parent.iterdir() if p.is_dir()) == ["index"]


def test_rebuilt_beside_a_server_it_takes_over_when_next_opened(index: Index, folder: Path) -> None:
    with pytest.raises(IndexBusy, match="takes its place when the old one is next opened"):
        rebuild(index.folder, TrigramEncoder("b"))
    assert "Armstrong" in " ".join(search(index, "Neil Armstrong walked"))  # the old one answers meanwhile
    index.close()
    with Index(index.folder) as again:
        assert again.encoder.name == "b" and len(again.catalogue.ids()) == 4


def test_a_successor_that_is_behind_is_not_adopted(index: Index, folder: Path) -> None:
    with pytest.raises(IndexBusy):
        rebuild(index.folder, TrigramEncoder("b"))
    (folder / "new.txt").write_text("Penguins live in the south.")
    build(index, [folder])
    index.close()
    with Index(index.folder) as again:
        assert again.encoder.name == "trigrams"
    assert str(rebuild(index.folder, TrigramEncoder("b"))) == "1 added"  # only what was missing
    with Index(index.folder) as again:
        assert again.encoder.name == "b" and len(again.catalogue.ids()) == 5


def test_killed_in_the_middle_of_the_swap_the_next_start_ends_it(index: Index) -> None:
    with pytest.raises(IndexBusy):
        rebuild(index.folder, TrigramEncoder("b"))
    index.close()
    index.folder.rename(index.folder.with_name("index.old"))
    with Index(index.folder) as again:
        assert again.encoder.name == "b" and len(again.catalogue.ids()) == 4


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from conftest import TrigramEncoder
from index import Index, build
with Index(Path(sys.argv[1]), TrigramEncoder(), create=True) as index:
    print("open", flush=True)
    build(index, [Path(sys.argv[2])])
print("done", flush=True)
"""


def test_killed_at_any_moment_it_reopens_whole(tmp_path: Path) -> None:
    texts = tmp_path / "many"
    texts.mkdir()
    for i in range(40):
        (texts / f"{i}.txt").write_text("\n".join(f"Document {i} line {j} says number {i * j}." for j in range(60)))
    place, done = tmp_path / "index", False
    for attempt in range(12):
        command = [sys.executable, "-c", KILLED, str(place), str(texts), str(ROOT / "tests")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdout and process.stdout.readline() == "open\n"
        time.sleep(0.02 + 0.09 * attempt)
        process.send_signal(signal.SIGKILL)
        done = "done" in process.communicate()[0]
        with Index(place, TrigramEncoder()) as index:
            held = index.store.documents()
            assert held.keys() == index.catalogue.ids()
            counts = {entry.id: entry.chunks for entry in index.catalogue.entries()}
            assert sum(counts.values()) == index.store.count()
            worded = {
                chunk.rsplit(":", 1)[0]
                for language in index.lexical.languages()
                for chunk in index.lexical.ids(language)
            }
            assert worded == index.catalogue.ids()
        if done:
            break
    with Index(place, TrigramEncoder()) as index:
        build(index, [texts])
        assert len(index.catalogue.ids()) == 40


def test_texts_come_back_whole(index: Index) -> None:
    texts = {Path(e.path).name: index.catalogue.get(e.id) for e in index.catalogue.entries()}
    assert {name: document.page_content for name, document in texts.items() if document} == TEXTS


def test_a_near_duplicate_is_reported(index: Index, folder: Path) -> None:
    words = " ".join(f"word{i % 37} number{i}" for i in range(300))
    (folder / "one.txt").write_text(words)
    (folder / "two.txt").write_text(words.replace("number7 ", "number8 "))
    (report,) = build(index, [folder]).similar
    assert "two.txt is" in report and report.endswith("one.txt")


def test_chunks_of_a_mixed_file_know_their_own_language(index: Index, folder: Path) -> None:
    parts = {
        "en": "The committee met in the evening and decided to build a new bridge over the river before winter. ",
        "fr": "Le comité s’est réuni dans la soirée et a décidé de construire un nouveau pont sur la rivière avant l’hiver. ",
        "ru": "Комитет собрался вечером и решил построить новый мост через реку до наступления зимы. ",
    }
    (folder / "mixed.txt").write_text("\n\n".join(text * 12 for text in parts.values()))
    build(index, [folder])
    mixed = next(e.id for e in index.catalogue.entries() if e.source.endswith("mixed.txt"))
    assert index.store.languages(mixed) == {"en", "fr", "ru"}
    held = {lang: {chunk.rsplit(":", 1)[0] for chunk in index.lexical.ids(lang)} for lang in ("en", "fr", "ru")}
    assert all(mixed in documents for documents in held.values())
    (folder / "mixed.txt").unlink()
    build(index, [folder])
    assert "ru" not in index.lexical.languages() and not any(
        chunk.startswith(mixed) for chunk in index.lexical.ids("en")
    )


def test_a_large_file_goes_in_by_parts_and_whole(index: Index, folder: Path) -> None:
    text = "\n".join(f"Line {i} of the large file speaks of subject {i * 7}." for i in range(30_000))
    (folder / "large.txt").write_text(text)
    stages: list[str] = []
    build(index, [folder], lambda stage, done, of: stages.append(stage))
    shares = [stage for stage in stages if re.search(r"large\.txt, \d+%", stage)]
    assert len(shares) > 3 and all(re.search(r", \d+:\d\d left$", stage) for stage in shares[1:])
    entry = next(e for e in index.catalogue.entries() if e.source.endswith("large.txt"))
    assert entry.chunks > 3 * 512 and examine(index).problems == []


def test_stopped_in_the_middle_it_keeps_what_is_whole(index: Index, folder: Path) -> None:
    text = "\n".join(f"Line {i} of the large file speaks of subject {i * 7}." for i in range(20_000))
    (folder / "z.txt").write_text(text)
    (folder / "a.txt").write_text("Small penguins walk south.")

    def stop(stage: str, done: int, of: int) -> None:
        if stage.endswith(" left"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(index, [folder], stop)
    assert not examine(index).problems and "z.txt" not in {Path(e.source).name for e in index.catalogue.entries()}
    assert str(build(index, [folder])) == "1 added, 5 unchanged"


def test_the_doctor_finds_and_mends(index: Index) -> None:
    assert str(examine(index)) == "4 documents, 4 chunks: whole"
    moon, bread, *_ = (e.id for e in sorted(index.catalogue.entries(), key=lambda e: "moon" not in e.source))
    index.store.remove(moon)
    stray = Document(id="x:0-1", page_content="x", metadata={"document": "x", "start": 0, "end": 1, "language": "de"})
    index.store.put([stray], np.ones((1, 256), "f4") / 16)
    chunk, vector = next(
        found for page in index.store.pages() for found in page if found[0].metadata["document"] == bread
    )
    chunk.page_content = "Something else entirely."
    index.store.put([chunk], vector[None])
    problems = "\n".join(examine(index).problems)
    for words in ("0 of 1 chunks", "x has chunks and no text", "is not what its document says", "word index of 'de'"):
        assert words in problems
    found = examine(index, mend=True)
    assert found.problems == [] and any("again" in line for line in found.mended)
    assert "Armstrong" in search(index, "Neil Armstrong walked")[0] and bread in index.catalogue.ids()
