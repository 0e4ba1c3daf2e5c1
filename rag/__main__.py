"""The command line: `cite index`, `ask`, `chat`, `eval`, `doctor`. It translates; it decides nothing."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models come from this machine; a hub is never asked

from index import Index, IndexBusy, IndexProblem, LoadError, Report, build, rebuild
from index.build import Progress
from index.doctor import examine
from index.embed import SentenceEncoder
from index.library import FOLDER, collection_folder
from index.load import SUFFIXES
from index.weights import ModelError
from rag.answer import LONGEST_QUESTION, K, QuestionError, Rag, checked
from rag.evaluate import evaluate, read_questions
from rag.generate import LlmError, LlmSettings, Writer, connect
from rag.threads import Threads
from rag.types import plain

BAD_INPUT, INTERRUPTED = 2, 130  # exit statuses
WATCH_MS = 500  # how soon the watching of a folder has begun for sure


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. What the user can mend is one line on standard error."""
    options = _parser().parse_args(arguments)
    try:
        options.index = collection_folder(options.index, options.collection)
        return int(options.run(options) or 0)
    except (IndexProblem, ModelError, LoadError, LlmError, QuestionError, ValueError, OSError) as error:
        print(f"cite: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("cite: stopped. What was indexed is kept; run the same command to go on", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cite", description="Ask your documents, in any language; every answer cites their exact words."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--index", type=Path, default=FOLDER, metavar="FOLDER", help="the index (default: %(default)s)")
    shared.add_argument(
        "--collection", default="", metavar="NAME", help="a separate set of documents beside that index"
    )
    shared.add_argument("--embedder", metavar="NAME", help="a sentence-transformers model (default: the index's own)")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[shared], help=text, description=text)
        added.set_defaults(run=run)
        return added

    added = command("index", _index, f"Bring the index in step with files and folders ({', '.join(sorted(SUFFIXES))}).")
    added.add_argument("paths", type=Path, nargs="*", metavar="PATH", help="files or folders (default: seeds)")
    added.add_argument("--rebuild", action="store_true", help="make the index anew from its own texts, then swap")
    added.add_argument("--watch", action="store_true", help="go on, and follow every change until stopped")
    added.add_argument("--list", action="store_true", help="name each file that was added, changed, moved or removed")
    added = command("doctor", _doctor, "Prove that the index is whole, or say what is not.")
    added.add_argument("--repair", action="store_true", help="make again what is wrong")
    added = command("ask", _ask, "Answer one question, or a file of them.")
    added.add_argument("question", nargs="?", help=f"at most {LONGEST_QUESTION} characters")
    added.add_argument("--file", type=Path, metavar="FILE", help="JSON lines with `question` and, if wanted, `id`")
    added.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    added.add_argument("-k", type=_positive, default=K, help="how many passages to read at most (default: %(default)s)")
    added = command("chat", _chat, "Serve the page and its API.")
    added.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    added.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    added.add_argument("--mcp", action="store_true", help="serve the same as MCP tools, at /mcp")
    added = command(
        "feedback", _feedback, "Print the answers that people found right, as a question file for cite eval."
    )
    added = command("eval", _eval, "Measure answers to questions whose answers are known (JSON lines).")
    added.add_argument("file", type=Path, help="lines with id, question, answerable, quotes, answers")
    added.add_argument("--json", action="store_true", help="print the figures as JSON")
    added.add_argument("-k", type=_positive, default=K, help="how many passages to read at most (default: %(default)s)")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 100")
    return int(text)


def _open(options: argparse.Namespace, create: bool = False, searched: bool = True) -> Index:
    encoder = SentenceEncoder(options.embedder) if options.embedder else None
    return Index(options.index, encoder, create, f"cite {options.run.__name__.strip('_')}", searched)


def _writer() -> Writer | None:
    """The LLM that CITE_LLM names, or None."""
    settings = LlmSettings.read()
    return Writer(connect(settings), settings) if settings else None


def _index(options: argparse.Namespace) -> int:
    if options.rebuild:
        if options.paths or options.watch:
            raise ValueError("--rebuild uses the texts that are indexed. Then bring in files: cite index PATH")
        encoder = SentenceEncoder(options.embedder) if options.embedder else SentenceEncoder()
        with _bar() as progress:
            report = rebuild(options.index, encoder, progress)
        return _reported(report, options)
    paths = options.paths or [Path("seeds")]
    with _open(options, create=True, searched=False) as index:
        with _bar() as progress:
            report = build(index, paths, progress)
        status = _reported(report, options)
        if options.watch:
            from watchfiles import watch

            print(f"watching {', '.join(map(str, paths))}  (Ctrl+C stops it)", flush=True)
            seen = False
            for changes in watch(*paths, raise_interrupt=True, yield_on_timeout=True, rust_timeout=WATCH_MS):
                if changes or not seen:  # the first time: what changed before the watching began
                    report, seen = build(index, paths), True
                    if changes or report.lines() or report.failed:
                        _reported(report, options)
    return status


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar with the rate and the time left, on a terminal."""
    from tqdm import tqdm  # only this command shows a bar

    with tqdm(unit="file", disable=None, leave=False) as bar:

        def progress(stage: str, done: int, of: int) -> None:
            bar.total = of
            bar.set_description(stage, refresh=False)
            bar.update(done - bar.n)
            bar.refresh()

        yield progress


def _reported(report: Report, options: argparse.Namespace) -> int:
    for failure in report.failed:
        print(f"cite: {failure}", file=sys.stderr)
    for line in report.lines() if options.list else report.similar:
        print(line)
    print(f"{options.index}: {report}", flush=True)
    return BAD_INPUT if report.failed else 0


def _doctor(options: argparse.Namespace) -> int:
    with _open(options) as index:
        found = examine(index, options.repair)
    print(*found.mended, *found.problems, f"{options.index}: {found}", sep="\n")
    if found.problems:
        print("cite: the index is not whole. Mend it: cite doctor --repair", file=sys.stderr)
    return BAD_INPUT if found.problems else 0


def _ask(options: argparse.Namespace) -> int:
    if (options.question is None) == (options.file is None):
        raise ValueError('Give one question, or --file with JSON lines: cite ask "who supplied drones?"')
    questions = read_questions(options.file) if options.file else []
    asked = [question.question for question in questions] or [checked(options.question)]
    for number, answer in enumerate(_answers(options, asked)):
        if options.json:
            line = {"id": questions[number].id, **answer} if questions else answer
            print(json.dumps(line, ensure_ascii=False), flush=True)
        else:
            print("\n\n".join(filter(None, [answer["question"] if questions else "", plain(answer)])), flush=True)
    return 0


def _answers(options: argparse.Namespace, questions: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The answers' JSON, from the index or from the server that holds it; a question that cannot be asked has an `error`."""
    try:
        index = _open(options)
    except IndexBusy as busy:
        if busy.url is None:
            raise
        from gradio_client import Client  # seconds to import, and needed only while a server runs

        client = Client(busy.url, verbose=False)
        yield from (
            client.predict(question, options.k, collection=options.collection, api_name="/ask")
            for question in questions
        )
        return
    with index:
        rag = Rag(index, k=options.k, writer=_writer())
        for question in questions:
            try:
                yield rag.invoke(question).json()
            except QuestionError as error:
                yield {"question": question, "answered": False, "text": "", "error": str(error)}


def _chat(options: argparse.Namespace) -> int:
    from ui import serve  # gradio: 4 s to import

    writer = _writer()
    with _open(options) as index:
        return serve(index, options.host, options.port, options.mcp, writer)


def _feedback(options: argparse.Namespace) -> int:
    threads = Threads(options.index)
    for line in threads.judged():
        print(json.dumps(line, ensure_ascii=False))
    threads.close()
    return 0


def _eval(options: argparse.Namespace) -> int:
    questions = read_questions(options.file)
    with _open(options) as index:
        rag = Rag(index, k=options.k, writer=_writer())
        rag.warm()
        figures = evaluate(rag, questions)
    if options.json:
        print(json.dumps(figures.json(), ensure_ascii=False))
    else:
        print(figures, *figures.misses, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
