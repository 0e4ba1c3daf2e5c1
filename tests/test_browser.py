"""The page as a person uses it, in real Chromium: ask, read, click, see the words lit. Screenshots go to artefacts/."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT, SEED
from files import pdf

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

    def serious(self) -> list[str]:
        """What axe-core finds that keeps people out."""
        found = Axe().run(self.page).response["violations"]
        return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")]

    def wide(self) -> list[str]:
        """Parts of the page that reach beyond its right edge."""
        script = "ids => ids.filter(id => document.getElementById(id).getBoundingClientRect().right > innerWidth + 1)"
        return self.page.evaluate(script, ["cite-library", "cite-threads", "cite-chat", "cite-question", "cite-source"])

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
    visit.page.wait_for_function("document.querySelector('#cite-count').textContent.startsWith('Documents (')")
    visit.shot(f"{name}-1-welcome")
    page = visit.page
    assert page.evaluate("scrollY") == 0  # also where the box stands below the fold
    visit.ask("who supplied drones?")
    assert "turcs [1]" in page.inner_text(".cite-done")
    page.wait_for_selector("#cite-mark")
    visit.shot(f"{name}-2-answer")
    said, chat = page.locator(".cite-done .cite-short").bounding_box(), page.locator("#cite-chat").bounding_box()
    assert said and chat and 0 <= said["y"] < chat["y"] + chat["height"] - said["height"]
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
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") and visit.wide() == []
    assert visit.serious() == []
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
    visit.open(re.sub("doc=[0-9a-f]+", "doc=gone", href))  # as after a change of the document
    visit.page.wait_for_function("document.querySelector('#cite-place').textContent.includes('found again')")
    assert visit.page.text_content("#cite-mark") in TEXT
    visit.open("/?doc=gone&start=1&end=2&words=never+written")
    visit.page.wait_for_function("document.querySelector('#cite-place').textContent.includes('no longer in')")


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


@pytest.mark.parametrize("visit", [(1280, 800, ""), (360, 740, "?__theme=dark")], indirect=True, ids=str)
def test_bring_files_ask_some_of_them_see_the_page_and_remove(
    visit: Visit, theme: tuple[int, str], tmp_path: Path
) -> None:
    name, page = f"{theme[0]}{'-dark' if theme[1] else ''}", visit.page
    pages = [["The bridge of Zalawar", "The bridge of Zalawar was built by the engineer Mirela Fontane in 1907."]]
    (tmp_path / f"bridge {name}.pdf").write_bytes(pdf([*pages, [f"A page about {name} and other things."]]))
    (tmp_path / f"broken {name}.pdf").write_bytes(b"no pdf")
    (tmp_path / f"empty {name}.txt").write_bytes(b"")
    visit.open("/" + theme[1])
    page.wait_for_function("document.querySelector('#cite-count').textContent.startsWith('Documents (')")
    page.set_input_files("#cite-files", sorted(tmp_path.iterdir()))
    for line in (f"bridge {name}.pdf is indexed", "is no PDF", "is empty"):  # each comes in its own time
        page.wait_for_selector(f"#cite-jobs >> text={line}")
    item = page.locator("#cite-documents li", has_text="The bridge of Zalawar")
    item.wait_for()
    visit.shot(f"{name}-5-brought")
    visit.ask("Qui a construit le pont de Zalawar ?")
    answer = page.locator(".cite-done").last
    assert "Mirela Fontane" in answer.inner_text() and "page 1" in answer.inner_text()
    answer.locator("a.cite-ref").first.click()
    page.wait_for_function("document.activeElement.id === 'cite-mark'")
    page.wait_for_selector(".cite-sheet img")
    page.wait_for_function("document.querySelector('.cite-sheet img').naturalWidth > 300")
    box, sheet = page.locator(".cite-box").first.bounding_box(), page.locator(".cite-sheet").bounding_box()
    assert box and sheet and 0.05 < (box["y"] - sheet["y"]) / sheet["height"] < 0.2
    visit.shot(f"{name}-6-page")
    assert visit.wide() == []
    item.locator("input").uncheck()
    visit.ask("Qui a construit le pont de Zalawar ?")
    assert "Mirela Fontane" not in page.locator(".cite-done").last.inner_text()
    item.get_by_label("Remove The bridge of Zalawar").click()
    visit.shot(f"{name}-7-removing")
    page.get_by_role("button", name="Remove", exact=True).click()
    item.wait_for(state="detached")
    assert visit.abroad() == [] and all("400" in error for error in visit.errors), visit.errors


@pytest.mark.parametrize("visit", [(1280, 800, "?__theme=dark"), (360, 740, "")], indirect=True, ids=str)
def test_a_conversation_goes_on_and_is_reopened(visit: Visit, theme: tuple[int, str]) -> None:
    name, page = f"{theme[0]}{'-dark' if theme[1] else ''}", visit.page
    visit.open("/" + theme[1])
    visit.ask("Who called for an immediate ceasefire?")
    visit.ask("And when?")
    last = page.locator(".cite-done").last
    assert "Read as" in last.inner_text() and "mercredi soir" in last.inner_text()
    last.locator(".cite-judge").first.click()
    page.fill("dialog textarea", "well said")
    visit.shot(f"{name}-8-judging")
    page.click("dialog button:has-text('Send')")
    page.wait_for_function("location.search.includes('thread=')")
    visit.open("/" + page.url.split("/", 3)[3])
    page.wait_for_selector(".cite-done >> nth=1")
    assert page.locator(".cite-done .cite-chosen").inner_text() == "Right"
    page.locator(".cite-done a.cite-ref").first.click()
    page.wait_for_function("document.activeElement.id === 'cite-mark'")
    assert page.text_content("#cite-mark") in TEXT
    page.locator("#cite-threads summary").click()
    page.locator("#cite-conversations li", has_text="Who called").first.get_by_role("button").click()
    page.fill("dialog input", f"Peace {name}")
    visit.shot(f"{name}-9-conversation")
    page.click("dialog button:has-text('Rename')")
    row = page.locator("#cite-conversations li", has_text=f"Peace {name}")
    row.wait_for()
    row.get_by_role("button").click()
    page.click("dialog button:has-text('Delete')")
    row.wait_for(state="detached")
    assert visit.abroad() == [] and visit.errors == []


@pytest.mark.parametrize("visit", [(1280, 800, "")], indirect=True, ids=str)
def test_a_new_collection_is_empty_and_apart(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    visit.open()
    page.wait_for_function("document.querySelectorAll('#cite-collections option').length > 1")
    page.select_option("#cite-collections", "+")
    page.fill("dialog input", "zoo")
    page.click("dialog button:has-text('Make')")
    page.wait_for_function("location.search === '?collection=zoo'")
    page.wait_for_function("document.querySelector('#cite-count')?.textContent.includes('none yet')")
    visit.shot("1280-10-empty")
    (tmp_path / "zoo.md").write_text("# The zoo\n\nThe oldest tortoise of the zoo is called Methuselah.")
    page.set_input_files("#cite-files", tmp_path / "zoo.md")
    page.wait_for_selector("text=zoo.md is indexed")
    (tmp_path / "keeper.txt").write_text(
        "The zoo of Vilnius has a keeper. In the year 1954 the keeper Agnieszka Montrose bought the first giraffe of the zoo. "
        "The mayor thanked Agnieszka Montrose, who is a doctor from Ghent, for her work."
    )
    page.set_input_files("#cite-files", tmp_path / "keeper.txt")
    page.wait_for_selector("#cite-suggestions button", timeout=60_000)
    visit.shot("1280-11-suggested")
    page.locator("#cite-suggestions button").first.click()
    page.wait_for_selector(".cite-done a.cite-ref", timeout=60_000)
    visit.ask("How is the oldest tortoise of the zoo called?")
    assert "Methuselah" in page.locator(".cite-done").last.inner_text()
    href = page.locator(".cite-done").last.locator("a.cite-ref").first.get_attribute("href")
    assert "collection=zoo" in href
    page.locator(".cite-done").last.locator("a.cite-ref").first.click()
    page.wait_for_function("document.querySelector('#cite-mark')?.textContent.includes('Methuselah')")
    visit.open(href)
    page.wait_for_function("document.querySelector('#cite-mark')?.textContent.includes('Methuselah')")
    assert visit.serious() == [] and visit.abroad() == [] and visit.errors == []


@pytest.mark.parametrize("visit", [(1280, 800, "")], indirect=True, ids=str)
def test_the_interface_speaks_french_to_a_french_browser(visit: Visit) -> None:
    page = visit.page.context.browser.new_context(locale="fr-FR").new_page()
    page.goto(visit.url)
    page.wait_for_selector("text=Interrogez vos documents")
    page.fill("#cite-question textarea", "Who called for an immediate ceasefire?")
    page.press("#cite-question textarea", "Enter")
    page.wait_for_selector(".cite-done", timeout=60_000)
    page.wait_for_selector("text=Pourquoi")
    assert page.locator(".cite-judge").first.inner_text() == "Juste"
    assert page.locator(".cite-question").first.inner_text() == "Who called for an immediate ceasefire?"
    quote = page.locator(".cite-quote strong").first.inner_text()
    assert quote in TEXT
    page.screenshot(path=SHOTS / "1280-11-french.png")
