"""How safe and how fast indexing is: `python -m bench.indexing`, each figure on a line of JSON.

Round trip over the documents that installed packages ship; kill -9 at random moments; an unchanged folder; embedding beside plain
sentence-transformers; memory on a large file. `--only NAME` takes one of them.
"""

import argparse
import json
import os
import random
import signal
import statistics
import sys
import sysconfig
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from index import Index, build, rebuild
from index.build import Report
from index.doctor import examine
from index.embed import SentenceEncoder
from index.load import PARSED, TEXT, LoadError, Source, load, read
from index.sandbox import Sandbox
from index.split import Range, split

EACH = 40  # files of a type


class QuickEncoder:
    """Vectors that cost nothing: what is measured is everything else. A token is four characters."""

    name = "quick"

    def documents(self, texts: list[str]) -> np.ndarray:
        """See `index.embed.Encoder`."""
        return np.stack([self.query(text) for text in texts]) if texts else np.empty((0, 384), "f4")

    def query(self, text: str) -> np.ndarray:
        """See `index.embed.Encoder`."""
        vector = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(384, dtype="f4")
        return vector / np.linalg.norm(vector)

    def token_spans(self, texts: list[str]) -> list[list[Range]]:
        """See `index.embed.Encoder`."""
        return [[(i, min(i + 4, len(text))) for i in range(0, len(text), 4)] for text in texts]


def round_trip(folders: list[Path]) -> dict[str, Any]:
    """Real files of each type: every chunk is a slice of its text."""
    by_type: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in TEXT | PARSED and path.is_file() and path.stat().st_size < 5_000_000:
                by_type.setdefault(path.suffix.lower(), []).append(path)
    files, chunks, wrong, refused = Counter[str](), 0, 0, Counter[str]()
    with Sandbox() as sandbox:
        for suffix, paths in by_type.items():
            for path in random.Random(1).sample(paths, min(EACH, len(paths))):
                try:
                    document = load(Source(path), read(Source(path)), sandbox)
                except LoadError as error:
                    refused[" ".join(str(error).removeprefix(str(path)).split()[:5])] += 1
                    continue
                files[suffix] += 1
                for chunk in split(document, QuickEncoder().token_spans):
                    chunks += 1
                    place = slice(chunk.metadata["start"], chunk.metadata["end"])
                    wrong += document.page_content[place] != chunk.page_content
    return {"files": sum(files.values()), "by type": files, "chunks": chunks, "not a slice": wrong, "refused": refused}


def forked(work: Callable[[], None]) -> int:
    """Start `work` in a child; returns its process id."""
    if (child := os.fork()) == 0:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child


def kills(count: int) -> dict[str, Any]:
    """Index, change, delete, rebuild; kill -9 at a random moment; reopen and compare with the files."""
    rng = random.Random(2)
    outcome = Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        texts, folder = Path(place) / "texts", Path(place) / "index"
        texts.mkdir()
        for i in range(30):
            _write(texts / f"{i}.txt", rng)
        for _ in range(count):
            rebuilding = (folder / "catalogue.sqlite3").exists() and rng.random() < 0.25
            for _ in range(rng.randrange(1, 6)):
                target = texts / f"{rng.randrange(40)}.txt"
                if rng.random() < 0.3:
                    target.unlink(missing_ok=True)
                else:
                    _write(target, rng)

            def change(rebuilding: bool = rebuilding) -> None:
                if rebuilding:
                    rebuild(folder, QuickEncoder())
                with Index(folder, QuickEncoder(), create=True) as index:
                    build(index, [texts])

            child = forked(change)
            time.sleep(rng.random() * 1.2)
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            outcome["killed" if os.WIFSIGNALED(status) else "had ended"] += 1
            _, status = os.waitpid(forked(lambda: _reopen(folder, texts)), 0)
            outcome["whole" if status == 0 else "NOT WHOLE"] += 1
    return dict(outcome)


def _write(path: Path, rng: random.Random) -> None:
    lines = (f"File {path.stem} line {n} says {rng.randrange(10**6)} to all." for n in range(rng.randrange(5, 400)))
    path.write_text("\n".join(lines), encoding="utf-8")


def _reopen(folder: Path, texts: Path) -> None:
    """Every document whole, none twice; and one more run brings the index in step with the files."""
    if not (folder / "catalogue.sqlite3").exists() and not folder.with_name(folder.name + ".new").exists():
        return  # killed before there was anything
    with Index(folder, QuickEncoder(), create=True) as index:
        assert examine(index).problems == [], examine(index).problems
        paths = [entry.path for entry in index.catalogue.entries()]
        assert len(paths) == len(set(paths)), "a file is indexed twice"
        before = {entry.path: entry.id for entry in index.catalogue.entries()}
        report: Report = build(index, [texts])
        kept = {entry.path: entry.id for entry in index.catalogue.entries()}
        assert set(kept) == {str(path.resolve()) for path in texts.iterdir()}, report
        assert all(
            kept.get(path) == identity or path in kept or not Path(path).exists() for path, identity in before.items()
        )


def unchanged(count: int = 1000) -> dict[str, Any]:
    """Index a folder, then the same folder again."""
    with tempfile.TemporaryDirectory() as place:
        texts, rng = Path(place) / "texts", random.Random(3)
        texts.mkdir()
        for i in range(count):
            (texts / f"{i}.txt").write_text(f"File {i} tells of {rng.random()}. It has two sentences.")
        with Index(Path(place) / "index", QuickEncoder(), create=True) as index:
            started = time.perf_counter()
            build(index, [texts])
            first, started = time.perf_counter() - started, time.perf_counter()
            report = build(index, [texts])
            return {
                "files": count,
                "first s": round(first, 2),
                "again s": round(time.perf_counter() - started, 2),
                "report": str(report),
            }


def throughput(texts: list[str], runs: int = 3) -> dict[str, Any]:
    """Passages a second beside plain `SentenceTransformer.encode`, turn and turn about."""
    encoder, plain = SentenceEncoder(), SentenceEncoder(exact=True).model
    encoder.documents(texts[:8])
    ours, theirs = [], []
    for _ in range(runs):
        started = time.perf_counter()
        made = encoder.documents(texts)
        ours.append(len(made) / (time.perf_counter() - started))
        started = time.perf_counter()
        plain.encode(["passage: " + text for text in texts], show_progress_bar=False)
        theirs.append(len(texts) / (time.perf_counter() - started))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    return {"passages": len(texts), "ours/s": round(statistics.median(ours), 1), "plain/s": round(statistics.median(theirs), 1),
            "ratio": round(ratio, 2)}  # fmt: skip


def memory(megabytes: int) -> dict[str, Any]:
    """The peak memory of indexing one large text file, in a process of its own; the embedder's own weights are not in it."""
    with tempfile.TemporaryDirectory() as place:
        path, rng = Path(place) / "large.txt", random.Random(4)
        words = [
            f"{a}{b}{c}"
            for a in ("ka", "lo", "mi", "re")
            for b in ("n", "st", "v", "x")
            for c in ("ent", "a", "ing", "o")
        ]
        with path.open("w") as file:
            while file.tell() < megabytes * 2**20:
                file.write(" ".join(rng.choices(words, k=14)).capitalize() + f" {rng.randrange(10**5)}.\n")

        def work() -> None:
            with Index(Path(place) / "index", QuickEncoder(), create=True, searched=False) as index:
                build(index, [path])

        started, child = time.perf_counter(), forked(work)
        _, status, used = os.wait4(child, 0)
        return {
            "file MB": megabytes,
            "peak MB": used.ru_maxrss // 1024,
            "ok": status == 0,
            "s": round(time.perf_counter() - started),
        }


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.indexing", description=__doc__)
    parser.add_argument("--only", choices=("round-trip", "kills", "unchanged", "throughput", "memory"))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--memory-mb", type=int, default=200)
    parser.add_argument(
        "--files", type=Path, nargs="*", help="folders of real files (default: what packages installed)"
    )
    options = parser.parse_args()
    folders = options.files or [Path(sysconfig.get_paths()["purelib"]), Path("/usr/share")]

    def passages() -> list[str]:
        lines = (p.read_text(errors="ignore") for p in sorted(folders[0].rglob("*.md"))[:200])
        return [text[i : i + 480] for text in lines for i in range(0, min(len(text), 4800), 480)][:400]

    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "round-trip": lambda: round_trip(folders), "kills": lambda: kills(options.kills), "unchanged": unchanged,
        "throughput": lambda: throughput(passages()), "memory": lambda: memory(options.memory_mb),
    }  # fmt: skip
    for name in [options.only] if options.only else parts:
        print(json.dumps({name: parts[name](), "cores": os.cpu_count()}), flush=True)


if __name__ == "__main__":
    main()
