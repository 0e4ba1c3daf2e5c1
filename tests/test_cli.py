import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, SEED

from rag.retrieve import FAR

pytestmark = pytest.mark.model


def cite(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a folder of its own."""
    command = [sys.executable, "-m", "rag", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped article indexed from the command line."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "seeds").mkdir()
    (folder / "seeds" / SEED.name).write_bytes(SEED.read_bytes())
    done = cite(folder, "index", "seeds")
    assert done.returncode == 0 and "1 added" in done.stdout, done.stderr
    return folder


def test_index_again_says_unchanged(home: Path) -> None:
    assert cite(home, "index").stdout == ".chroma: 1 unchanged\n"


def test_ask_prints_a_cited_answer(home: Path) -> None:
    done = cite(home, "ask", "Which country has a military base in Armenia?")
    assert (
        done.returncode == 0
        and "Russie" in done.stdout
        and f"(seeds/{SEED.name}, " in done.stdout
        and "[1]" in done.stdout
    )


def test_ask_as_json(home: Path) -> None:
    found = json.loads(cite(home, "ask", "Qui a appelé à un cessez-le-feu immédiat ?", "--json", "-k", "3").stdout)
    text = SEED.read_text(encoding="utf-8")
    assert found["answered"] and found["language"] == "fr" and 1 <= len(found["hits"]) <= 3
    nearest = max(hit["dense_score"] for hit in found["hits"])
    assert all(nearest - hit["dense_score"] <= FAR or hit["lexical_rank"] == 1 for hit in found["hits"])
    assert all(text[c["start"] : c["end"]] == c["quote"] for c in found["citations"])


def test_ask_a_file_keeps_ids_and_goes_on_after_a_bad_line(home: Path) -> None:
    lines = [
        {"id": "x7", "question": "Who called for a ceasefire?"},
        {"id": "bad", "question": " "},
        {"question": "Qui ?"},
    ]
    (home / "q.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = cite(home, "ask", "--file", "q.jsonl", "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["id"] for item in found] == ["x7", "bad", "3"] and "empty" in found[1]["error"]


def test_eval_counts(home: Path) -> None:
    questions = [
        {"id": 1, "question": "Which country has a military base in Armenia?", "answerable": True,
         "quotes": ["une base militaire en Arménie"],
         "answers": ["Russie"]},
        {"id": 2, "question": "How do I bake sourdough bread?", "answerable": False, "quotes": [], "answers": []},
    ]  # fmt: skip
    (home / "eval.jsonl").write_text("\n".join(map(json.dumps, questions)))
    figures = json.loads(cite(home, "eval", "eval.jsonl", "--json").stdout)
    assert figures["questions"] == 2 and figures["cited"] == figures["acceptable"] == figures["refused"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ask", "x", "--index", "nowhere"], "There is no index in nowhere. Build it: cite index seeds --index nowhere"),
        (["ask", "x", "--index", "no@b.c"], "There is no index in no@b.c. Build it: cite index seeds --index no@b.c"),
        (["ask", "x", "--collection", "notes"], "Build it: cite index seeds --collection notes"),
        (["ask", ""], "The question is empty"),
        (["ask", "x" * 10_000], "10000 characters; at most 2000"),
        (["ask"], "Give one question"),
        (["ask", "x", "--embedder", "other"], "Rebuild it: cite index --rebuild --embedder other"),
        (["index", "nowhere.txt"], "nowhere.txt does not exist"),
        (["index", "binary.txt"], "binary.txt holds binary data"),
        (["eval", "broken.jsonl"], "broken.jsonl, line 1"),
        (["chat", "--port", "1"], "Choose another: cite chat --port 2"),
    ],
)
def test_bad_input_is_one_line_with_the_next_command(home: Path, arguments: list[str], message: str) -> None:
    (home / "binary.txt").write_bytes(b"a\x00b")
    (home / "broken.jsonl").write_text("not json")
    if arguments[0] == "chat" and os.geteuid() == 0:
        arguments, message = ["chat", "--host", "192.0.2.1"], "Choose another: cite chat --port 7861"
    done = cite(home, *arguments)
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr


def test_importing_loads_no_torch_and_no_gradio() -> None:
    code = "import sys, rag, index, rag.__main__; print([m for m in ('torch', 'gradio', 'sentence_transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_watch_follows_a_folder(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "moon.txt").write_text("The Moon orbits the Earth.")
    command = [sys.executable, "-m", "rag", "index", "texts", "--watch"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 a shell's background job ignores it
    )  # fmt: skip
    try:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        assert "1 added" in next(lines) and "watching texts" in next(lines)
        changes: tuple[tuple[Callable[[], object], str], ...] = (
            (lambda: (texts / "bread.txt").write_text("Bake the loaf for forty minutes."), "1 added"),
            (lambda: (texts / "bread.txt").write_text("Bake the loaf for fifty minutes."), "1 changed"),
            ((texts / "moon.txt").unlink, "1 removed"),
        )
        for change, told in changes:
            change()
            assert told in next(line for line in lines if line.strip())
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    finally:
        process.kill()
        process.wait()
