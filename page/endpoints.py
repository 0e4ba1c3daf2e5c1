"""The named endpoints, for programs: what the page does, without the page.

Takes the collections; adds endpoints to the Gradio blocks in hand. docs/api.md is made from them (`page.api`).
"""

import inspect
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.api_component import Api

from index import IndexProblem
from page.desks import CollectionError, Desk, Desks
from page.routes import listing
from page.uploads import UploadError
from rag import QuestionError
from rag.answer import K
from rag.threads import ThreadError
from rag.types import Exchange, hit_json, plain

AT_ONCE = 4  # questions answered at the same time: the models use every core already


class Page(gr.Blocks):  # type: ignore[misc]
    """Blocks whose endpoints take fewer arguments: those left out have their defaults, for callers without gradio_client too."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """See `gr.Blocks`."""
        inputs.extend(block.value for block in block_fn.inputs[len(inputs) :] if isinstance(block, Api))
        super().validate_inputs(block_fn, inputs)


def add_endpoints(desks: Desks) -> None:
    """Every endpoint, by the name of its function."""
    for function in functions(desks):
        about = inspect.getdoc(function)
        gr.api(function, api_name=function.__name__, api_description=about, concurrency_limit=AT_ONCE)
    _add_adding(desks)


def functions(desks: Desks) -> list[Callable[..., Any]]:
    """What programs may ask; the last argument is the collection, the one that the server was started with where it is empty."""

    def ask(
        question: str, k: int = K, documents: list[str] | None = None, previous: str = "", collection: str = ""
    ) -> dict[str, Any]:
        """The answer to a question, with its citations, as JSON; from these documents (ids) alone, if given.

        `k` passages are found, and of them read, and told as `hits`, those that are not far behind the nearest. `previous` is the
        question before, which a follow-up such as "and when?" needs.
        """
        rag = _desk(desks, collection).rag
        history = [Exchange(previous, "")] if previous.strip() else []
        return _told(lambda: rag.invoke(question, k=_count(k), documents=documents or None, history=history).json())

    def search(
        question: str, k: int = K, documents: list[str] | None = None, collection: str = ""
    ) -> list[dict[str, Any]]:
        """The passages that may answer, best first; from these documents (ids) alone, if given."""
        rag = _desk(desks, collection).rag
        return _told(lambda: [hit_json(hit) for hit in rag.search(question, _count(k), documents or None)])

    def chat(question: str, thread: str = "", collection: str = "") -> str:
        """The answer's text, with [n] after what it cites, then where each quotation stands.

        With a `thread` (any name) the conversation is kept, and follow-ups are understood.
        """
        desk = _desk(desks, collection)

        def said() -> str:
            answer = desk.rag.invoke(question, history=desk.threads.history(thread)).json()
            if thread:
                desk.threads.add(thread, answer)
            return plain(answer)

        return _told(said)

    def documents(collection: str = "") -> list[dict[str, Any]]:
        """What is indexed."""
        return listing(_desk(desks, collection).rag.index)

    def remove(document: str, collection: str = "") -> dict[str, bool]:
        """Remove a document (by its id) from the index."""
        return {"removed": _desk(desks, collection).rag.index.remove(document)}

    def collections() -> list[str]:
        """The names of the collections; the one that the server was started with is the empty name."""
        return desks.names()

    def threads(collection: str = "") -> list[dict[str, Any]]:
        """The conversations that are kept, newest first."""
        return _desk(desks, collection).threads.listed()

    def thread(thread: str, collection: str = "") -> list[dict[str, Any]]:
        """A conversation's turns: number, answer, verdict, comment."""
        return [asdict(turn) for turn in _desk(desks, collection).threads.turns(thread)]

    def feedback(thread: str, turn: int, verdict: str, comment: str = "", collection: str = "") -> dict[str, bool]:
        """Keep what you think of an answer: "right", "right passage, wrong answer" or "wrong"."""
        kept = _desk(desks, collection).threads
        _told(lambda: kept.judge(thread, turn, verdict, comment))
        return {"kept": True}

    def health() -> dict[str, Any]:
        """That the server answers, with how many documents, and which model reads."""
        rag = desks[""].rag
        return {"ok": True, "documents": len(rag.index.catalogue.ids()), "model": rag.model_name}

    return [ask, search, chat, documents, remove, collections, threads, thread, feedback, health]


def _add_adding(desks: Desks) -> None:
    """The endpoint /add, which takes a file and so needs components, shown nowhere."""

    def add(file: str, collection: str) -> dict[str, str]:
        try:
            uploads = desks.make(collection).uploads
            name, path = uploads.partial(Path(file).name)
            shutil.copyfile(file, path)
            *_, job = uploads.wait(uploads.add(name, path))
        except (UploadError, IndexProblem, ValueError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        if job.state != "done":
            raise gr.Error(job.message, print_exception=False)
        return job.json()

    file, told = gr.File(visible=False, label="file"), gr.JSON(visible=False)
    collection = gr.Textbox("", visible=False, label="collection")
    about = "Index a file; waits until it is done. A collection that is not there yet is made."
    gr.Button(visible=False).click(add, [file, collection], told, api_name="add", api_description=about)


def _desk(desks: Desks, collection: str) -> Desk:
    return _told(lambda: desks[collection])


def _count(k: int) -> int:
    if not 1 <= k <= 100:
        raise QuestionError(f"k is {k}; it must be from 1 to 100")
    return int(k)


def _told(call: Any) -> Any:
    """What the call gives; what the caller can mend becomes a message without a trace."""
    try:
        return call()
    except (QuestionError, ThreadError, CollectionError, IndexProblem) as error:
        raise gr.Error(str(error), print_exception=False) from error
