"""The real server with the bundled model, asked as programs ask it: gradio_client and curl."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SEED
from files import word
from gradio_client import Client, handle_file

from page.api import markdown
from rag.retrieve import FAR

pytestmark = pytest.mark.model
TEXT = SEED.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def client(served: tuple[str, Path]) -> Client:
    return Client(served[0], verbose=False)


def test_endpoints_are_named(client: Client) -> None:
    named = {
        "/ask",
        "/search",
        "/documents",
        "/chat",
        "/add",
        "/remove",
        "/health",
        "/threads",
        "/thread",
        "/feedback",
        "/collections",
    }
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == named


def test_the_api_page_is_the_code_s() -> None:
    assert (ROOT / "docs" / "api.md").read_text(encoding="utf-8") == markdown(), (
        "make it anew: python -m page.api > docs/api.md"
    )


def test_ask_gives_the_answers_json(client: Client) -> None:
    question = "Which country has a military base in Armenia?"
    found, searched = client.predict(question, api_name="/ask"), client.predict(question, api_name="/search")
    assert found["answered"] and "Russie" in found["text"] and len(searched) == 8
    nearest, by_words = max(hit["dense_score"] for hit in searched), max(searched, key=lambda hit: hit["lexical_score"] or 0)
    read = [hit["text"] for hit in searched if nearest - hit["dense_score"] <= FAR or hit is by_words]
    assert sorted(hit["text"] for hit in found["hits"]) == sorted(read)
    for citation in found["citations"]:
        assert TEXT[citation["start"] : citation["end"]] == citation["quote"]


def test_search_documents_and_chat(client: Client) -> None:
    hits = client.predict("drones kamikazes", 3, api_name="/search")
    assert len(hits) == 3 and "drones" in hits[0]["text"]
    named = {d["source"] for d in client.predict(api_name="/documents")}
    assert named >= {f"seeds/{SEED.name}", "seeds/hostile.en.txt"}
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
    assert "turcs [1]" in done.stdout


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


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, check=True).stdout


def test_add_ask_that_document_alone_and_remove(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "tower.docx"
    path.write_bytes(word())
    added = client.predict(handle_file(path), api_name="/add")
    assert added["message"] == "tower.docx is indexed" and added["document"]
    again = client.predict(handle_file(path), api_name="/add")
    assert again["message"] == "tower.docx is indexed already" and again["document"] == added["document"]
    found = client.predict("At how many degrees should the loaf be baked?", 8, [added["document"]], api_name="/ask")
    assert {hit["document"] for hit in found["hits"]} == {added["document"]} and "230" in found["text"]
    assert found["citations"][0]["place"] == "Bread"
    assert client.predict(added["document"], api_name="/remove") == {"removed": True}
    assert client.predict(added["document"], api_name="/remove") == {"removed": False}
    with pytest.raises(Exception, match="not one of"):
        (tmp_path / "x.exe").write_bytes(b"MZ")
        client.predict(handle_file(tmp_path / "x.exe"), api_name="/add")
    assert client.predict(api_name="/health")["ok"]


def test_the_same_file_from_ten_tabs_is_indexed_once(served: tuple[str, Path], client: Client, tmp_path: Path) -> None:
    (tmp_path / "tabs.txt").write_text("Ten tabs bring the very same penguin story at once.")

    def send(number: int) -> str:
        name = "tabs.txt" if number % 2 else f"tabs{number}.txt"
        return curl("-H", "X-Cite: 1", "--data-binary", f"@{tmp_path / 'tabs.txt'}", f"{served[0]}/uploads?name={name}")

    with ThreadPoolExecutor(10) as pool:
        jobs = [json.loads(reply)["id"] for reply in pool.map(send, range(10))]
    for _ in range(600):
        states = {job["id"]: job["state"] for job in json.loads(curl(served[0] + "/uploads"))}
        if all(states[job] == "done" for job in jobs):
            break
        time.sleep(0.1)
    else:
        raise AssertionError(states)
    mine = [d for d in client.predict(api_name="/documents") if "penguin" in d["title"]]
    assert len(mine) == 1
    client.predict(mine[0]["id"], api_name="/remove")


def test_an_upload_is_limited_named_safely_and_only_from_our_own_page(served: tuple[str, Path], tmp_path: Path) -> None:
    url, home = served
    (tmp_path / "x").write_text("The escaped file.")
    send = ["-H", "X-Cite: 1", "--data-binary", f"@{tmp_path / 'x'}"]
    job = json.loads(curl(*send, f"{url}/uploads?name=..%2F..%2Fescape.txt"))
    assert job["name"] == "escape.txt" and not (home / "escape.txt").exists()
    assert "is not one of" in curl(*send, f"{url}/uploads?name=x.exe")
    assert "X-Cite" in curl("--data-binary", "x", f"{url}/uploads?name=x.txt")
    assert "X-Cite" in curl("-X", "DELETE", f"{url}/documents/{'0' * 64}")
    (tmp_path / "big").write_bytes(b"x" * (257 * 2**20))
    assert "larger than 256 MB" in curl(
        "-H", "X-Cite: 1", "-T", str(tmp_path / "big"), "-X", "POST", f"{url}/uploads?name=big.txt"
    )
    assert not list((home / ".chroma.files").glob(".*.partial"))


def test_a_conversation_is_kept_understood_judged_and_exported(served: tuple[str, Path], client: Client) -> None:
    url, home = served
    client.predict("Who called for an immediate ceasefire?", "talk", api_name="/chat")
    assert "mercredi soir" in client.predict("And when?", "talk", api_name="/chat")
    assert {"talk"} <= {row["id"] for row in client.predict(api_name="/threads")}
    first, second = client.predict("talk", api_name="/thread")
    assert second["answer"]["question"] == "And when?" and "ceasefire" in second["answer"]["asked"]
    assert client.predict("talk", 1, "right", "good", api_name="/feedback") == {"kept": True}
    for bad in (("talk", 9, "right"), ("talk", 1, "splendid")):
        with pytest.raises(Exception, match=r"deleted|not one of"):
            client.predict(*bad, api_name="/feedback")
    assert "## And when?" in curl(f"{url}/threads/talk.md") and len(json.loads(curl(f"{url}/threads/talk.json"))) == 2
    assert json.loads(curl("-X", "PUT", "-H", "X-Cite: 1", f"{url}/threads/talk?title=Peace")) == {"ok": True}
    assert "Peace" in curl(f"{url}/threads")
    run = [sys.executable, "-m", "rag", "feedback"]
    printed = subprocess.run(
        run, cwd=home, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    line = next(row for row in map(json.loads, printed.stdout.splitlines()) if row["id"] == "talk-1")
    assert line["quotes"] and line["answerable"] and line["comment"] == "good"
    assert first["answer"]["citations"][0]["quote"] == line["quotes"][0]
    curl("-X", "DELETE", "-H", "X-Cite: 1", f"{url}/threads/talk")
    assert client.predict("talk", api_name="/thread") == []


def test_two_collections_never_leak_into_each_other(served: tuple[str, Path], client: Client, tmp_path: Path) -> None:
    for name, animal in (("birds", "penguin"), ("cats", "leopard")):
        (tmp_path / f"{name}.txt").write_text(
            f"The secret animal of the king is the {animal}. The king lives in a castle."
        )
        client.predict(handle_file(tmp_path / f"{name}.txt"), name, api_name="/add")
    assert {"", "birds", "cats"} <= set(client.predict(api_name="/collections"))

    def ask(number: int) -> bool:
        name, animal = (("birds", "penguin"), ("cats", "leopard"))[number % 2]
        found = Client(served[0], verbose=False).predict(
            "Which is the secret animal of the king?", collection=name, api_name="/ask"
        )
        return all(animal in hit["text"] for hit in found["hits"]) and len(found["hits"]) == 1

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(20)))
    assert not any("secret animal" in d["title"] for d in client.predict(api_name="/documents"))
    client.predict("Which is the secret animal of the king?", "talk", "birds", api_name="/chat")
    assert [row["id"] for row in client.predict("birds", api_name="/threads")] == ["talk"]
    assert "talk" not in {row["id"] for row in client.predict("cats", api_name="/threads")}
    for bad in ("nowhere", "../x"):
        with pytest.raises(Exception, match="no collection"):
            client.predict("Who?", collection=bad, api_name="/ask")
    with pytest.raises(Exception, match="cannot name a collection"):
        client.predict(handle_file(tmp_path / "birds.txt"), "../x", api_name="/add")
    run = [sys.executable, "-m", "rag", "ask", "Which is the secret animal of the king?", "--collection", "birds"]
    asked = subprocess.run(
        run, cwd=served[1], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert "penguin" in asked.stdout, asked.stderr


def test_a_real_mcp_client_asks(served: tuple[str, Path]) -> None:
    from mcp import Client as McpClient

    async def talk() -> tuple[set[str], Any, Any]:
        async with McpClient(served[0] + "/mcp") as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            question = {"question": "Which country has a military base in Armenia?"}
            return names, await client.call_tool("ask", question), await client.call_tool("ask", {"question": " "})

    names, answered, refused = asyncio.run(talk())
    assert {"ask", "search", "chat", "documents"} <= names and "remove" not in names
    assert "Russie" in answered.content[0].text and not answered.is_error
    assert refused.is_error and "empty" in refused.content[0].text
