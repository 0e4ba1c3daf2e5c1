"""How fast it is: `python -m bench.speed` prints medians over runs, with the machine's core count.

Takes nothing but the shipped article; gives the time from question to answer with warm models, the time until the page
answers after `cite chat`, and what a person waits for in Chromium. `--reading` measures the reader's two engines alone.
"""

import argparse
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
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from index import Index, build
from index.embed import bundled_tokenizer
from rag import Rag, SpanReader
from rag.answer import K
from rag.match import Matcher
from rag.read import QuantisedEngine, TorchEngine

QUESTIONS = (
    "Who supplied drones?", "Qui a appelé à un cessez-le-feu immédiat ?", "Wie groß ist das umstrittene Gebiet?",
    "¿Qué países negaron toda injerencia?", "谁提供了无人机？", "How do I bake bread?", "Кто продаёт оружие?",
    "What did Turkey call Armenia?",
)  # fmt: skip
ROUNDS = 6
ARTICLE = Path("seeds/israel-armes-azerbaidjan.fr.txt")
PASSAGES, TOKENS = 8, 128


def times(call: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each of `rounds` calls."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - started))
    return found


def answering(folder: Path) -> str:
    """Question to answer, warm: passages that were read before, and the same as if they were read for the first time."""
    with Index(folder) as index:
        matcher = Matcher()
        reader = SpanReader(encoder=index.encoder, matcher=matcher)
        rag = Rag(index, reader)
        rag.warm()

        def anew(question: str) -> None:
            reader.said.forget()
            matcher.told.forget()
            rag.invoke(question)

        asked = QUESTIONS * ROUNDS  # in turn: a question's vector is kept for a moment
        first, again = ([t for question in asked for t in times(partial(ask, question), 1)] for ask in (anew, rag.invoke))
    told = f"question to answer, k = {K}: median {median(again):.0f} ms, p95 {quantiles(again, n=20)[18]:.0f} ms, {len(again)} questions"
    return f"{told}; of passages never read before: median {median(first):.0f} ms, p95 {quantiles(first, n=20)[18]:.0f} ms"


def reading() -> str:
    """The engine that ships and torch's float32, in turn, on the same passages."""
    text = ARTICLE.read_text(encoding="utf-8")
    offsets = bundled_tokenizer().encode(text, add_special_tokens=False).offsets
    starts = range(0, PASSAGES * TOKENS // 2, TOKENS // 2)
    passages = [text[offsets[at][0] : offsets[at + TOKENS - 1][1]] for at in starts]
    engines = QuantisedEngine(), TorchEngine()
    batch = SpanReader.collate(SpanReader(engines[0]).encode(QUESTIONS[0], passages))
    for engine in engines:
        engine.run(*batch)
    turns = [[times(lambda engine=engine: engine.run(*batch), 1)[0] for engine in engines] for _ in range(5 * ROUNDS)]  # type: ignore[misc]
    ours, theirs = (median(column) for column in zip(*turns, strict=True))
    ratio = median(b / a for a, b in turns)
    told = f"reading {PASSAGES} passages of {TOKENS} tokens: 8-bit integers {ours:.0f} ms, float32 {theirs:.0f} ms, {ratio:.1f} times"
    return f"{told}, medians of {len(turns)}"


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
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    parser.add_argument("--reading", action="store_true", help="only the reader's engines")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores")
    print(reading())
    if options.reading:
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "index"
        with Index(folder, create=True) as index:
            build(index, [Path("seeds")])
        print(answering(folder))
        print(page_ready(folder))
        print(painting(folder))


if __name__ == "__main__":
    main()
