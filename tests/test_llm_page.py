"""An LLM on the page: its words stream in, each sentence is checked, what is not borne out is marked, and all of it is kept."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT, SEED
from test_browser import CHROMIUM, FLAGS, Visit
from test_llm import Failing
from test_story import server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.skipif(not Path(CHROMIUM).exists() and not os.environ.get("CI"), reason="Chromium is not installed"),
]
TRUE = "Russia has a military base in Armenia."
FALSE = "China sold forty submarines to Iceland in 1987."


class Saying(Failing):
    """Says a true and an invented sentence, a few characters at a time; fails when it is asked of bread."""

    def do_POST(self) -> None:  # noqa: N802 so http.server calls it
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "sourdough" in asked:
            self._reply(500, "application/json", b"{}")
            return
        self._open()
        said = f"{TRUE} [1] {FALSE} [1]"
        for at in range(0, len(said), 9):
            self._event(said[at : at + 9])
        self.wfile.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


@pytest.fixture(scope="module")
def saying() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), Saying)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/v1"
    running.shutdown()
    running.server_close()


def test_an_llms_sentences_are_checked_on_the_page(tmp_path: Path, saying: str) -> None:
    from playwright.sync_api import sync_playwright

    shutil.copy(SEED, tmp_path / SEED.name)
    index = [sys.executable, "-m", "rag", "index", SEED.name]
    subprocess.run(index, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    with server(tmp_path, CITE_LLM="openai:scripted", CITE_LLM_URL=saying) as url, sync_playwright() as play:
        for width, height, query in ((1280, 800, ""), (360, 740, "?__theme=dark")):
            browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            visit = Visit(browser.new_page(viewport={"width": width, "height": height}), url)
            page, name = visit.page, f"{width}{'-dark' if query else ''}"
            visit.open("/" + query)
            visit.ask("Which country has a military base in Armenia?")
            _shown(page.locator(".cite-done").last)
            visit.shot(f"{name}-15-llm")
            page.locator(".cite-done .cite-stated a.cite-ref").first.click()
            page.wait_for_function("document.activeElement.id === 'cite-mark'")
            assert page.text_content("#cite-mark") in SEED.read_text(encoding="utf-8")
            visit.open("/" + page.url.split("/", 3)[3])
            page.wait_for_selector(".cite-done")
            _shown(page.locator(".cite-done").last)
            visit.ask("How do I bake sourdough bread?")
            assert "did not answer" in page.locator(".cite-done").last.inner_text()
            visit.shot(f"{name}-16-llm-failed")
            assert visit.wide() == [] and visit.serious() == [] and visit.abroad() == [] and visit.errors == []
            browser.close()


def _shown(answer) -> None:  # type: ignore[no-untyped-def]
    stated = answer.locator(".cite-statement")
    assert [text.strip() for text in stated.all_inner_texts()] == [TRUE, FALSE]
    assert "cite-unsupported" not in stated.first.get_attribute("class")
    assert "cite-unsupported" in stated.last.get_attribute("class")
    assert "not borne out" in answer.inner_text() and answer.locator(".cite-quote").count() >= 1
