"""Small real models, a small real index, and a real server: nothing under test is patched.

`TrigramEncoder` embeds by hashed character trigrams, so texts that share words are near each other, as with a real model but
not across languages. `OverlapReader` finds the sentence that shares most words with the question. Both are deterministic and depend
on content alone, which is what the tests of ranking, offsets and plumbing need; quality is tested on the bundled model.
"""

import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import numpy as np
import pytest

from index import Index, build
from index.split import Range
from rag import Hit, Rag, Reading, Span

ROOT = Path(__file__).parents[1]
SEED = ROOT / "seeds" / "israel-armes-azerbaidjan.fr.txt"
WORD = re.compile(r"\w+")
HOSTILE = (
    "<script>window.hacked = 1</script> The secret picture <img src='http://127.0.0.1:9/leak.png'> belongs to Zanzibar Zebra.\n"
    "![picture](http://127.0.0.1:9/markdown.png) <form action='http://127.0.0.1:9/form'><button>go</button></form>\n"
)


class TrigramEncoder:
    """Unit vectors of hashed trigrams, 256 dimensions; a token is a word."""

    def __init__(self, name: str = "trigrams") -> None:
        self.name = name
        self.encoded = 0

    def documents(self, texts: list[str]) -> np.ndarray:
        self.encoded += len(texts)
        return np.stack([self.query(text) for text in texts]) if texts else np.empty((0, 256), "f4")

    def query(self, text: str) -> np.ndarray:
        vector = np.full(256, 1e-3, "f4")
        for word in WORD.findall(text.lower()):
            padded = f" {word} "
            for i in range(len(padded) - 2):
                vector[zlib.crc32(padded[i : i + 3].encode()) % 256] += 1
        return vector / np.linalg.norm(vector)

    def token_spans(self, texts: list[str]) -> list[list[Range]]:
        return [[match.span() for match in WORD.finditer(text)] for text in texts]


class OverlapReader:
    """Relevance is the share of the question's words in the passage; the span is the longest word not in the question."""

    name = "overlap"
    threshold = 0.5

    def confidence(self, readings: Sequence[Reading]) -> float:
        return readings[0].relevance

    def read(self, question: str, hits: Sequence[Hit]) -> list[Reading]:
        asked = {word for word in WORD.findall(question.lower()) if len(word) > 3}
        readings = []
        for hit in hits:
            words = list(WORD.finditer(hit.chunk.page_content))
            shared = {w[0].lower() for w in words} & asked
            new = [w for w in words if w[0].lower() not in asked] or words
            longest = max(new, key=lambda w: len(w[0]))
            span = Span(hit.start + longest.start(), hit.start + longest.end(), 1.0)
            readings.append(Reading(hit, len(shared) / max(1, len(asked)), (span,)))
        return readings


TEXTS = {
    "moon.txt": "The Moon orbits the Earth. Apollo 11 landed on the Moon in 1969. Neil Armstrong walked first.\n",
    "bread.md": "# Bread\n\nSourdough bread rises with wild yeast. Bake the loaf at 230 degrees for forty minutes.\n",
    "lune.fr.txt": "La Lune tourne autour de la Terre. Les marées viennent de la Lune et du Soleil.\n",
    "drones.fr.txt": "Les drones turcs sont imparables. Hajiyev a parlé de drones israéliens mercredi.\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of four short files, two in English and two in French."""
    made = tmp_path / "texts"
    made.mkdir()
    for name, text in TEXTS.items():
        (made / name).write_text(text, encoding="utf-8")
    return made


@pytest.fixture
def index(tmp_path: Path, folder: Path) -> Iterator[Index]:
    """Those files indexed with the small encoder."""
    with Index(tmp_path / "index", TrigramEncoder(), create=True) as made:
        build(made, [folder])
        yield made


@pytest.fixture
def rag(index: Index) -> Rag:
    """Answers from that index with the small reader."""
    return Rag(index, OverlapReader())


@pytest.fixture(scope="session")
def seed_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """The shipped article, indexed with the bundled model."""
    with Index(tmp_path_factory.mktemp("seed") / "index", create=True) as made:
        build(made, [SEED])
        yield made


@pytest.fixture(scope="session")
def seed_rag(seed_index: Index) -> Rag:
    """The product as it ships, on the shipped article."""
    made = Rag(seed_index)
    made.warm()
    return made


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of `cite chat` over the article and a hostile document, and its folder; stopped by its process id."""
    home = tmp_path_factory.mktemp("served")
    (home / "seeds").mkdir()
    shutil.copy(SEED, home / "seeds" / SEED.name)
    (home / "seeds" / "hostile.en.txt").write_text(HOSTILE)
    path = f"{ROOT / 'tests' / 'audit'}:{ROOT}"
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "CITE_AUDIT": str(home / "audit.log")}
    run = [sys.executable, "-m", "rag"]
    subprocess.run([*run, "index", "seeds"], cwd=home, env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        [*run, "chat", "--mcp", "--port", "0"], cwd=home, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        yield found[0], home
    finally:
        process.terminate()
        process.wait(timeout=20)
