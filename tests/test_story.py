"""The whole story in Chromium, light and dark, on a phone and a desk, across a restart of the server."""

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
from test_browser import CHROMIUM, FLAGS, Visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.skipif(not Path(CHROMIUM).exists() and not os.environ.get("CI"), reason="Chromium is not installed"),
]


@contextmanager
def server(home: Path, **settings: str) -> Iterator[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **settings}
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


VISITS = [(width, height, query) for width, height in ((360, 740), (1280, 800)) for query in ("", "?__theme=dark")]


def test_the_whole_story(tmp_path: Path) -> None:
    """Bring a file, ask in another language, click, follow the link, ask on; after a restart it is all still there."""
    from playwright.sync_api import sync_playwright

    shutil.copy(SEED, tmp_path / SEED.name)
    index, environment = [sys.executable, "-m", "rag", "index", SEED.name], {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(index, cwd=tmp_path, env=environment, check=True, capture_output=True)
    kept: dict[str, tuple[str, str]] = {}
    with sync_playwright() as play:

        def visiting(url: str) -> Iterator[tuple[str, str, Visit]]:
            """A fresh browser for each width and theme, held to what holds everywhere when it is done with."""
            for width, height, query in VISITS:
                browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                made = Visit(browser.new_page(viewport={"width": width, "height": height}), url)
                yield f"{width}{'-dark' if query else ''}", query, made
                assert made.wide() == [] and made.serious() == [] and made.abroad() == [] and made.errors == []
                browser.close()

        with server(tmp_path) as url:
            for name, query, visit in visiting(url):
                kept[name] = _begin(visit, name, query, tmp_path)
            for name, query, visit in visiting(url):  # the permanent link in a browser that knows nothing
                visit.open(kept[name][1] + query.replace("?", "&"))
                visit.page.wait_for_selector("#cite-mark strong")
                assert "Mirela Fontane" in (visit.page.text_content("#cite-mark") or "")
        with server(tmp_path) as url:
            for name, query, visit in visiting(url):
                _reopen(visit, name, kept[name][0] + query.replace("?", "&"))


def _begin(visit: Visit, name: str, query: str, folder: Path) -> tuple[str, str]:
    """Upload, progress, a question in another language, hover, click, a follow-up; gives the thread's address and the link's."""
    page, file = visit.page, folder / f"lighthouse {name}.txt"
    file.write_text(
        f"The lighthouse of Zalawar {name}. It was built by the engineer Mirela Fontane in 1907. "
        "It stands on a rock in the bay, and a keeper lived there until 1980. " * 3, encoding="utf-8",
    )  # fmt: skip
    visit.open("/" + query)
    if not page.locator("#cite-library").get_attribute("open"):
        page.evaluate("document.getElementById('cite-library').open = true")
    page.set_input_files("#cite-files", file)
    page.wait_for_selector("#cite-jobs li")
    page.wait_for_selector(f"text=lighthouse {name}.txt is indexed")
    visit.shot(f"{name}-12-brought")
    visit.ask("Qui a construit le phare de Zalawar ?")
    answer = page.locator(".cite-done").last
    assert "Mirela Fontane" in answer.inner_text()
    reference = answer.locator(".cite-short a.cite-ref").first
    reference.hover()
    assert "Mirela Fontane" in (reference.get_attribute("title") or "")
    reference.click()
    page.wait_for_function("document.activeElement.id === 'cite-mark'")
    assert "Mirela Fontane" in (page.text_content("#cite-mark") or "")
    link = reference.get_attribute("href") or ""
    visit.ask("Et en quelle année ?")
    assert "1907" in page.locator(".cite-done").last.inner_text()
    visit.shot(f"{name}-13-followed")
    page.wait_for_function("location.search.includes('thread=')")
    return "/" + page.url.split("/", 3)[3], link


def _reopen(visit: Visit, name: str, address: str) -> None:
    """The conversation as it was, and the same citation; it goes on."""
    visit.open(address)
    page = visit.page
    page.wait_for_selector(".cite-done >> nth=1")
    page.locator(".cite-done").first.locator(".cite-short a.cite-ref").first.click()
    page.wait_for_function("document.activeElement.id === 'cite-mark'")
    assert "Mirela Fontane" in (page.text_content("#cite-mark") or "")
    visit.shot(f"{name}-14-reopened")
    visit.ask("Qui a construit le phare de Zalawar ?")
    assert "Mirela Fontane" in page.locator(".cite-done").last.locator(".cite-short").inner_text()
