"""How fast it is: `python -m bench.speed` prints medians over runs, with the machine's core count.

Takes nothing but the shipped article; gives the time from question to answer with warm models, the time until the page
answers after `cite chat`, and what a person waits for in Chromium.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from index import Index, build
from rag import Rag
from rag.answer import K

QUESTIONS = (
    "Who supplied drones?", "Qui a appelé à un cessez-le-feu immédiat ?", "Wie groß ist das umstrittene Gebiet?",
    "¿Qué países negaron toda injerencia?", "谁提供了无人机？", "How do I bake bread?", "Кто продаёт оружие?",
    "What did Turkey call Armenia?",
)  # fmt: skip
ROUNDS = 6


def times(call: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each of `rounds` calls."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - started))
    return found


def answering(folder: Path) -> str:
    """Question to answer, warm."""
    with Index(folder) as index:
        rag = Rag(index)
        rag.warm()
        found = [t for question in QUESTIONS for t in times(lambda question=question: rag.invoke(question), ROUNDS)]  # type: ignore[misc]
    return f"question to answer, k = {K}: median {median(found):.0f} ms, p95 {quantiles(found, n=20)[18]:.0f} ms, {len(found)} questions"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of `cite chat` over a built index."""
    command = [sys.executable, "-u", "-m", "rag", "chat", "--port", "0", "--index", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address
        yield address[0]
        process.terminate()


def page_ready(folder: Path) -> str:
    """From `cite chat` to the page's first byte, on a built index."""
    found = []
    for _ in range(3):
        started = time.perf_counter()
        with served(folder) as address:
            urllib.request.urlopen(address).read()
            found.append(time.perf_counter() - started)
    return f"page after cite chat: median {median(found):.1f} s of {len(found)} starts"


def painting(folder: Path) -> str:
    """In Chromium, each time in a fresh profile: navigation to first paint, Enter to the first words of the answer."""
    from playwright.sync_api import sync_playwright

    paints, words = [], []
    with served(folder) as address, sync_playwright() as play:
        chromium = shutil.which("chromium") or "/usr/bin/chromium"
        for question in QUESTIONS:
            browser = play.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.goto(address)
            page.wait_for_selector("#cite-question textarea")
            page.wait_for_timeout(1500)
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            page.fill("#cite-question textarea", question)
            page.evaluate(
                "window.begun = performance.now(); new MutationObserver(() => { if (!window.said && "
                "document.querySelector('.cite-answer')) window.said = performance.now(); })"
                ".observe(document.body, {childList: true, subtree: true})"
            )
            page.press("#cite-question textarea", "Enter")
            page.wait_for_function("window.said")
            words.append(page.evaluate("window.said - window.begun"))
            browser.close()
    paint = f"first paint: median {median(paints):.0f} ms, worst {max(paints):.0f} ms"
    return f"{paint}; Enter to first words: median {median(words):.0f} ms, worst {max(words):.0f} ms; {len(words)} fresh browsers"


def main() -> None:
    """Print every figure."""
    print(f"{os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "index"
        with Index(folder, create=True) as index:
            build(index, [Path("seeds")])
        print(answering(folder))
        print(page_ready(folder))
        print(painting(folder))


if __name__ == "__main__":
    main()
