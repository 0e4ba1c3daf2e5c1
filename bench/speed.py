"""How fast it is: `python -m bench.speed` prints medians over runs, with the machine's core count.

Takes nothing but the shipped article; gives the time from question to answer with warm models, the time until the page
answers after `cite chat`.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
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


def page_ready(folder: Path) -> str:
    """From `cite chat` to the page's first byte, on a built index."""
    found = []
    for _ in range(3):
        started = time.perf_counter()
        command = [sys.executable, "-u", "-m", "rag", "chat", "--port", "0", "--index", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address
            urllib.request.urlopen(address[0]).read()
            found.append(time.perf_counter() - started)
            process.terminate()
    return f"page after cite chat: median {median(found):.1f} s of {len(found)} starts"


def main() -> None:
    """Print every figure."""
    print(f"{os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "index"
        with Index(folder, create=True) as index:
            build(index, [Path("seeds")])
        print(answering(folder))
        print(page_ready(folder))


if __name__ == "__main__":
    main()
