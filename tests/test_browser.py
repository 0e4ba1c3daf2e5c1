"""The page as a person uses it, in real Chromium: ask, read, click, see the words lit. Screenshots go to artefacts/."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, SEED

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
SHOTS = ROOT / "artefacts"
TEXT = SEED.read_text(encoding="utf-8")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.skipif(not Path(CHROMIUM).exists() and not os.environ.get("CI"), reason="Chromium is not installed"),
]


class Visit:
    """A page, what it asked of the network, and what it wrote on its console."""

    def __init__(self, page, url: str) -> None:  # type: ignore[no-untyped-def]
        self.page, self.url, self.requests, self.errors = page, url, [], []  # type: ignore[var-annotated]
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)

    def open(self, path: str = "/") -> None:
        self.page.goto(self.url + path)
        self.page.wait_for_selector("#cite-question textarea")

    def ask(self, question: str) -> None:
        answers = self.page.locator(".cite-done").count()
        self.page.fill("#cite-question textarea", question)
        self.page.press("#cite-question textarea", "Enter")
        self.page.wait_for_function(
            "n => document.querySelectorAll('.cite-done').length > n", arg=answers, timeout=60_000
        )

    def shot(self, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        self.page.wait_for_timeout(700)  # the smooth scroll
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def abroad(self) -> list[str]:
        return [r for r in self.requests if not r.startswith((self.url, "data:", "blob:" + self.url))]


@pytest.fixture(
    params=[(1280, 800, ""), (1280, 800, "?__theme=dark"), (360, 740, ""), (1920, 1080, "?__theme=dark")], ids=str
)
def visit(request: pytest.FixtureRequest, served: tuple[str, Path]) -> Iterator[Visit]:
    from playwright.sync_api import sync_playwright

    width, height, _ = request.param
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        made = Visit(browser.new_page(viewport={"width": width, "height": height}), served[0])
        yield made
        browser.close()


@pytest.fixture
def theme(request: pytest.FixtureRequest) -> tuple[int, str]:
    width, _, query = request.node.callspec.params["visit"]
    return width, query


def test_ask_click_and_see_the_words_lit(visit: Visit, theme: tuple[int, str]) -> None:
    width, query = theme
    name = f"{width}{'-dark' if query else ''}"
    visit.open("/" + query)
    visit.page.wait_for_function("document.querySelector('#cite-text').textContent.length > 50")
    assert "document" in visit.page.inner_text("#cite-header")
    visit.shot(f"{name}-1-welcome")
    visit.ask("who supplied drones?")
    page = visit.page
    assert "drones" in page.inner_text(".cite-done")
    page.wait_for_selector("#cite-mark")
    visit.shot(f"{name}-2-answer")
    links = page.locator(".cite-done .cite-quote a.cite-ref")
    links.last.click()
    quote = page.locator(".cite-done .cite-quote").last
    page.wait_for_function("document.activeElement.id === 'cite-mark'")
    lit = page.text_content("#cite-mark")
    assert lit in TEXT and lit in quote.text_content()
    visit.shot(f"{name}-3-clicked")
    box = page.locator("#cite-mark").bounding_box()
    panel = page.locator("#cite-source").bounding_box()
    assert box and panel and panel["y"] - 1 <= box["y"] <= panel["y"] + panel["height"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visit.ask("How do I bake sourdough bread?")
    assert "do not answer" in page.locator(".cite-done").last.inner_text()
    visit.shot(f"{name}-4-refused")
    assert visit.abroad() == [] and visit.errors == []


@pytest.mark.parametrize("visit", [(1280, 800, "")], indirect=True, ids=str)
def test_a_link_opens_the_document_at_the_quote(visit: Visit) -> None:
    visit.open()
    visit.ask("Which country has a military base in Armenia?")
    href = visit.page.locator(".cite-done a.cite-ref").first.get_attribute("href")
    visit.open(href)
    visit.page.wait_for_selector("#cite-mark strong")
    assert visit.page.text_content("#cite-mark") in TEXT
    visit.open("/?doc=gone&start=1&end=2")
    visit.page.wait_for_function("document.querySelector('#cite-place').textContent.includes('no longer indexed')")


@pytest.mark.parametrize("visit", [(1280, 800, "")], indirect=True, ids=str)
def test_by_keyboard_alone(visit: Visit) -> None:
    visit.open()
    page = visit.page
    page.keyboard.type("Who called for an immediate ceasefire?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cite-done a.cite-ref", timeout=60_000)
    page.locator(".cite-done a.cite-ref").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.id === 'cite-mark'")


@pytest.mark.parametrize("visit", [(1280, 800, "")], indirect=True, ids=str)
def test_a_hostile_document_runs_nothing_and_calls_nobody(visit: Visit) -> None:
    visit.open()
    for question in (
        "Whose is the secret picture? Zanzibar Zebra",
        "<img src=http://127.0.0.1:9/q.png> ![x](http://127.0.0.1:9/q2.png)",
    ):
        visit.ask(question)
    visit.page.wait_for_timeout(500)
    assert visit.page.evaluate("window.hacked") is None
    assert visit.page.locator("#cite-chat form, #cite-chat img[src*='127.0.0.1:9'], #cite-text img").count() == 0
    assert visit.abroad() == []


@pytest.mark.parametrize("visit", [(1280, 800, "")], indirect=True, ids=str)
def test_the_policy_blocks_what_would_slip_through(visit: Visit) -> None:
    visit.open()
    loaded = visit.page.evaluate(
        "() => new Promise(done => { const i = new Image(); i.onload = () => done(true); i.onerror = () => done(false);"
        " i.src = 'http://127.0.0.2:9/x.png'; document.body.append(i); })"
    )
    assert loaded is False and any("Content Security Policy" in error for error in visit.errors)
