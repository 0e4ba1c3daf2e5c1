"""The Gradio blocks: the chat, the source beside it, and the named endpoints.

Takes a `Rag`; gives `gr.Blocks`. Owns gradio together with `app`. The source panel is filled by `static/app.js`.
"""

import inspect
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.api_component import Api

from page import html
from page.routes import listing
from page.uploads import UploadError, Uploads
from rag import QuestionError, Rag
from rag.answer import K
from rag.threads import ThreadError, Threads, Turn
from rag.types import answer_from, hit_json, plain

EXAMPLES = {  # shown when the article that Cité ships with is indexed
    "50cf74208a55e5f0faa89ae9b6112bf268d21664cf97bfcdf10c5d9afc38ab60": (
        "Who supplied drones?", "Quelle est la taille du territoire disputé ?", "¿Quiénes pidieron un alto el fuego inmediato?",
        "谁提供了无人机？", "Welches Land hat eine Militärbasis in Armenien?", "من دعا إلى وقف إطلاق النار؟",
    )
}  # fmt: skip
WAITING = 64  # questions in the queue
AT_ONCE = 4  # questions answered at the same time: the models use every core already
SOURCE = (
    '<section id="cite-source" aria-label="Source" tabindex="0"><header><h2 id="cite-title">Source</h2>'
    '<p id="cite-place"></p><div id="cite-views" hidden></div></header><div id="cite-page"></div>'
    '<div id="cite-text" dir="auto"></div></section>'
)
CHOSEN = "(...given) => [...given.slice(0, -1), window.citeChosen ? window.citeChosen() : '']"  # the ticked documents

Messages = list[dict[str, str]]


class Page(gr.Blocks):  # type: ignore[misc]
    """Blocks whose endpoints take fewer arguments: those left out have their defaults, for callers without gradio_client too."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """See `gr.Blocks`."""
        inputs.extend(block.value for block in block_fn.inputs[len(inputs) :] if isinstance(block, Api))
        super().validate_inputs(block_fn, inputs)


def blocks(rag: Rag, uploads: Uploads, threads: Threads) -> gr.Blocks:
    """The page for one Rag, with its named endpoints."""
    with Page(title="Cité", analytics_enabled=False, fill_width=True) as page:
        entries = rag.index.catalogue.entries()
        gr.HTML(f'<header id="cite-header"><h1>Cité</h1>{html.WELCOME}</header>')
        with gr.Row(elem_id="cite-main"):
            with gr.Column(scale=2, min_width=240):
                gr.HTML(html.LIBRARY)
            with gr.Column(scale=5, min_width=320):
                examples = [q for entry in entries for q in EXAMPLES.get(entry.id, ())]
                chat = gr.Chatbot(
                    label="Chat", show_label=False, elem_id="cite-chat", latex_delimiters=[], layout="bubble",
                    examples=[{"text": example} for example in examples], feedback_options=None, buttons=["copy"], autoscroll=False,
                )  # fmt: skip
                box = gr.Textbox(
                    label="Your question", placeholder="Ask a question about the documents, in any language",
                    submit_btn="Ask", max_length=2000, autofocus=True, elem_id="cite-question",
                )  # fmt: skip
            with gr.Column(scale=4, min_width=320):
                gr.HTML(SOURCE)
        _converse(rag, threads, page, chat, box, gr.Textbox(visible=False))
        _endpoints(rag, threads)
        _adding(uploads)
    page.queue(max_size=WAITING, api_open=False)
    return page


def _converse(rag: Rag, threads: Threads, page: Page, chat: gr.Chatbot, box: gr.Textbox, chosen: gr.Textbox) -> None:
    asked, thread = gr.State(""), gr.State("")

    def reopen(request: gr.Request) -> tuple[Messages, str]:
        kept = request.query_params.get("thread", "")
        return [message for turn in threads.turns(kept) for message in _messages(turn, kept)], kept

    def begin(question: str, messages: Messages) -> tuple[str, str, Messages]:
        said = [*messages, {"role": "user", "content": html.question(question)}]
        return "", question, [*said, {"role": "assistant", "content": html.thinking()}]

    def choose(messages: Messages, chosen: gr.SelectData) -> tuple[str, str, Messages]:
        return begin(chosen.value["text"], messages)

    def reply(question: str, messages: Messages, thread: str, documents: str) -> Iterator[tuple[Messages, str]]:
        thread = thread or threads.new()
        for content in _contents(rag, threads, question, documents.split() or None, thread):
            yield [*messages[:-1], {"role": "assistant", "content": content}], thread

    page.load(reopen, None, [chat, thread], queue=False, api_visibility="private")
    for event, first, inputs in ((box.submit, begin, [box, chat]), (chat.example_select, choose, [chat])):
        event(first, inputs, [box, asked, chat], queue=False, api_visibility="private").then(
            reply,
            [asked, chat, thread, chosen],
            [chat, thread],
            api_visibility="private",
            concurrency_limit=AT_ONCE,
            js=CHOSEN,
        )


def _messages(turn: Turn, thread: str) -> Messages:
    """A kept turn as it was shown."""
    found = answer_from(turn.answer)
    shown = html.answer(found, thread=thread, turn=turn)
    return [{"role": "user", "content": html.question(found.question)}, {"role": "assistant", "content": shown}]


def _contents(rag: Rag, threads: Threads, question: str, documents: list[str] | None, thread: str) -> Iterator[str]:
    """The answer's HTML as it grows, or what is wrong with the question; the whole answer is kept in its thread."""
    try:
        for answer in rag.stream(question, documents=documents, previous=_previous(threads, thread)):
            yield html.answer(answer, whole=False)
        number = threads.add(thread, answer.json())
        yield html.answer(answer, thread=thread, turn=Turn(number, {}, "", ""))
    except QuestionError as error:
        yield html.problem(str(error))


def _previous(threads: Threads, thread: str) -> str:
    """The question before, as it was asked."""
    turns = threads.turns(thread) if thread else []
    return str(turns[-1].answer["question"]) if turns else ""


def _adding(uploads: Uploads) -> None:
    """The endpoint /add: a file goes in, and the call returns when it is indexed."""

    def add(file: str) -> dict[str, str]:
        try:
            name, path = uploads.partial(Path(file).name)
            shutil.copyfile(file, path)
            *_, job = uploads.wait(uploads.add(name, path))
        except UploadError as error:
            raise gr.Error(str(error), print_exception=False) from error
        if job.state != "done":
            raise gr.Error(job.message, print_exception=False)
        return job.json()

    file, told = gr.File(visible=False), gr.JSON(visible=False)
    gr.Button(visible=False).click(
        add, file, told, api_name="add", api_description="Index a file; waits until it is done."
    )


def _endpoints(rag: Rag, threads: Threads) -> None:
    def ask(question: str, k: int = K, documents: list[str] | None = None, previous: str = "") -> dict[str, Any]:
        """The answer to a question, with its citations, as JSON; from these documents (ids) alone, if given.

        `previous` is the question before, which a follow-up such as "and when?" needs.
        """
        return _refusing(
            lambda: rag.invoke(question, k=_count(k), documents=documents or None, previous=previous).json()
        )

    def search(question: str, k: int = K, documents: list[str] | None = None) -> list[dict[str, Any]]:
        """The passages that may answer, best first; from these documents (ids) alone, if given."""
        return _refusing(lambda: [hit_json(hit) for hit in rag.search(question, _count(k), documents or None)])

    def documents() -> list[dict[str, Any]]:
        """What is indexed."""
        return listing(rag.index)

    def remove(document: str) -> dict[str, bool]:
        """Remove a document (by its id) from the index."""
        return {"removed": rag.index.remove(document)}

    def health() -> dict[str, Any]:
        """That the server answers, and with how many documents."""
        return {"ok": True, "documents": len(rag.index.catalogue.ids()), "model": rag.reader.name}

    def chat(question: str, thread: str = "") -> str:
        """The answer's text, with [n] after what it cites, then where each quotation stands.

        With a `thread` (any name) the conversation is kept, and follow-ups are understood.
        """

        def said() -> str:
            answer = rag.invoke(question, previous=_previous(threads, thread)).json()
            if thread:
                threads.add(thread, answer)
            return plain(answer)

        return _refusing(said)

    def threads_() -> list[dict[str, Any]]:
        """The conversations that are kept, newest first."""
        return threads.listed()

    def thread(thread: str) -> list[dict[str, Any]]:
        """A conversation's turns: number, answer, verdict, comment."""
        return [asdict(turn) for turn in threads.turns(thread)]

    def feedback(thread: str, turn: int, verdict: str, comment: str = "") -> dict[str, bool]:
        """Keep what you think of an answer: "right", "right passage, wrong answer" or "wrong"."""
        _refusing(lambda: threads.judge(thread, turn, verdict, comment))
        return {"kept": True}

    for function in (ask, search, documents, chat, remove, health, threads_, thread, feedback):
        gr.api(
            function,
            api_name=function.__name__.rstrip("_"),
            api_description=inspect.getdoc(function),
            concurrency_limit=AT_ONCE,
        )


def _count(k: int) -> int:
    if not 1 <= k <= 100:
        raise QuestionError(f"k is {k}; it must be from 1 to 100")
    return int(k)


def _refusing(call: Any) -> Any:
    try:
        return call()
    except (QuestionError, ThreadError) as error:
        raise gr.Error(str(error), print_exception=False) from error
