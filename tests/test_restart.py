"""A conversation outlives the server: asked, stopped, started again, reopened in a fresh browser, its citation clicked."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, SEED
from gradio_client import Client
from test_browser import CHROMIUM, FLAGS, SHOTS, Visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.skipif(not Path(CHROMIUM).exists() and not os.environ.get("CI"), reason="Chromium is not installed"),
]


@contextmanager
def server(home: Path) -> Iterator[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "rag", "chat", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout and process.stderr
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found, process.stderr.read()
        yield found[0]
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors, errors


def test_a_conversation_outlives_the_server(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    shutil.copy(SEED, tmp_path / SEED.name)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-m", "rag", "index", SEED.name],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
    )
    with server(tmp_path) as url:
        said = Client(url, verbose=False).predict("Who called for an immediate ceasefire?", "peace", api_name="/chat")
        assert "[1]" in said
    with server(tmp_path) as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        visit = Visit(browser.new_page(viewport={"width": 1280, "height": 800}), url)
        visit.open("/?thread=peace")
        visit.page.wait_for_selector(".cite-done a.cite-ref")
        visit.page.locator(".cite-done a.cite-ref").first.click()
        visit.page.wait_for_function("document.activeElement.id === 'cite-mark'")
        assert visit.page.text_content("#cite-mark") in SEED.read_text(encoding="utf-8")
        SHOTS.mkdir(exist_ok=True)
        visit.shot("1280-12-reopened")
        visit.ask("And when?")
        assert "mercredi soir" in visit.page.locator(".cite-done").last.inner_text()
        browser.close()
