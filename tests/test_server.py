"""The real server with the bundled model, asked as programs ask it: gradio_client and curl."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SEED
from gradio_client import Client

pytestmark = pytest.mark.model
TEXT = SEED.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def client(served: tuple[str, Path]) -> Client:
    return Client(served[0], verbose=False)


def test_endpoints_are_named(client: Client) -> None:
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/ask", "/search", "/documents", "/chat"}


def test_ask_gives_the_answers_json(client: Client) -> None:
    found = client.predict("Which country has a military base in Armenia?", api_name="/ask")
    assert found["answered"] and "Russie" in found["text"] and len(found["hits"]) == 8
    for citation in found["citations"]:
        assert TEXT[citation["start"] : citation["end"]] == citation["quote"]


def test_search_documents_and_chat(client: Client) -> None:
    hits = client.predict("drones kamikazes", 3, api_name="/search")
    assert len(hits) == 3 and "drones" in hits[0]["text"]
    assert {d["source"] for d in client.predict(api_name="/documents")} == {
        f"seeds/{SEED.name}",
        "seeds/hostile.en.txt",
    }
    assert "[1]" in client.predict("Who called for an immediate ceasefire?", api_name="/chat")


def test_curl_as_in_the_readme(served: tuple[str, Path]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = next(block for block in re.findall(r"```bash\n(.*?)```", readme, re.S) if "curl" in block)
    done = subprocess.run(
        ["bash", "-ec", script.replace("http://127.0.0.1:7860", served[0])], capture_output=True, text=True, check=True
    )
    answer = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("data: "))[6:])[0]
    assert answer["question"] == "who supplied drones?" and "citations" in answer


def test_python_as_in_the_readme(served: tuple[str, Path]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if "gradio_client" in block)
    code = script.replace("http://127.0.0.1:7860", served[0])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "drones" in done.stdout


def test_twenty_at_once_are_all_answered_and_none_mixed_up(served: tuple[str, Path]) -> None:
    questions = [f"Who called for a ceasefire, question number {i}?" for i in range(20)]

    def ask(question: str) -> dict[str, Any]:
        found: dict[str, Any] = Client(served[0], verbose=False).predict(question, 4, api_name="/ask")
        return found

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, questions))
    assert [answer["question"] for answer in answers] == questions


@pytest.mark.parametrize("question", ["", "  ", "x" * 10_000, "\x00\x07"])
def test_bad_questions_are_told_and_the_server_goes_on(client: Client, question: str) -> None:
    with pytest.raises(Exception, match="question"):
        client.predict(question, api_name="/ask")
    with pytest.raises(Exception, match="k is 0"):
        client.predict("Who?", 0, api_name="/search")
    assert client.predict("Who called for a ceasefire?", api_name="/ask")["question"]


def test_the_command_line_asks_the_server_that_holds_the_index(served: tuple[str, Path]) -> None:
    url, home = served
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-m", "rag"]
    asked = subprocess.run(
        [*run, "ask", "Who called for a ceasefire?"], cwd=home, env=environment, capture_output=True, text=True
    )
    assert asked.returncode == 0 and "[1]" in asked.stdout, asked.stderr
    refused = subprocess.run([*run, "index", "seeds"], cwd=home, env=environment, capture_output=True, text=True)
    assert refused.returncode == 2 and url in refused.stderr and "cite chat" in refused.stderr


def test_a_taken_port_names_another(served: tuple[str, Path], tmp_path: Path) -> None:
    port = served[0].rsplit(":", 1)[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    (tmp_path / "a.txt").write_text("Some words to index here.")
    run = [sys.executable, "-m", "rag"]
    subprocess.run([*run, "index", "a.txt"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    done = subprocess.run(
        [*run, "chat", "--port", port], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (
        done.returncode == 2 and f"cite chat --port {int(port) + 1}" in done.stderr and "Traceback" not in done.stderr
    )


def test_headers_keep_everything_on_this_machine(served: tuple[str, Path]) -> None:
    done = subprocess.run(["curl", "-sSi", served[0] + "/"], capture_output=True, text=True, check=True)
    policy = next(line for line in done.stdout.splitlines() if line.lower().startswith("content-security-policy:"))
    assert "default-src 'self'" in policy and "http" not in policy.split(":", 1)[1]
    for path in ("/documents/nope", "/gradio_api/monitoring", "/gradio_api/runs"):
        status = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", served[0] + path],
            capture_output=True,
            text=True,
            check=True,
        )
        assert status.stdout in {"403", "404"}, path


def test_the_server_calls_nobody(served: tuple[str, Path], client: Client) -> None:
    client.predict("Who called for a ceasefire?", api_name="/ask")
    assert set((served[1] / "audit.log").read_text().split("\n")) == {"watching", ""}
