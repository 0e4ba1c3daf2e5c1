"""The Gradio blocks: the chat, the source beside it, and the named endpoints.

Takes a `Rag`; gives `gr.Blocks`. Owns gradio together with `app`. The source panel is filled by `static/app.js`.
"""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from page import html
from rag import QuestionError, Rag
from rag.answer import K
from rag.types import hit_json, plain

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
    '<p id="cite-place"></p></header><div id="cite-text" dir="auto"></div></section>'
)

Messages = list[dict[str, str]]


def blocks(rag: Rag) -> gr.Blocks:
    """The page for one Rag, with the endpoints /ask, /search, /documents and /chat."""
    with gr.Blocks(title="Cité", analytics_enabled=False, fill_width=True) as page:
        entries = rag.index.catalogue.entries()
        gr.HTML(f'<header id="cite-header"><h1>Cité</h1>{html.welcome(entries)}</header>')
        with gr.Row(elem_id="cite-main"):
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
        asked = gr.State("")
        _converse(rag, chat, box, asked)
        _endpoints(rag)
    page.queue(max_size=WAITING, api_open=False)
    return page


def _converse(rag: Rag, chat: gr.Chatbot, box: gr.Textbox, asked: gr.State) -> None:
    def begin(question: str, messages: Messages) -> tuple[str, str, Messages]:
        said = [*messages, {"role": "user", "content": html.question(question)}]
        return "", question, [*said, {"role": "assistant", "content": html.thinking()}]

    def choose(messages: Messages, chosen: gr.SelectData) -> tuple[str, str, Messages]:
        return begin(chosen.value["text"], messages)

    def reply(question: str, messages: Messages) -> Iterator[Messages]:
        for content in _contents(rag, question):
            yield [*messages[:-1], {"role": "assistant", "content": content}]

    for event, first, inputs in ((box.submit, begin, [box, chat]), (chat.example_select, choose, [chat])):
        event(first, inputs, [box, asked, chat], queue=False, api_visibility="private").then(
            reply, [asked, chat], chat, api_visibility="private", concurrency_limit=AT_ONCE
        )


def _contents(rag: Rag, question: str) -> Iterator[str]:
    """The answer's HTML as it grows, or what is wrong with the question."""
    try:
        for answer in rag.stream(question):
            yield html.answer(answer, whole=False)
        yield html.answer(answer)
    except QuestionError as error:
        yield html.problem(str(error))


def _endpoints(rag: Rag) -> None:
    def ask(question: str, k: int = K) -> dict[str, Any]:
        """The answer to a question, with its citations, as JSON."""
        return _refusing(lambda: rag.invoke(question, k=_count(k)).json())

    def search(question: str, k: int = K) -> list[dict[str, Any]]:
        """The passages that may answer, best first."""
        return _refusing(lambda: [hit_json(hit) for hit in rag.search(question, _count(k))])

    def documents() -> list[dict[str, Any]]:
        """What is indexed."""
        fields = ("id", "title", "source", "language", "characters", "chunks", "added")
        return [{name: getattr(entry, name) for name in fields} for entry in rag.index.catalogue.entries()]

    def chat(question: str) -> str:
        """The answer's text, with [n] after what it cites, then where each quotation stands."""
        return _refusing(lambda: plain(rag.invoke(question).json()))

    for function in (ask, search, documents, chat):
        gr.api(function, api_name=function.__name__, api_description=function.__doc__, concurrency_limit=AT_ONCE)


def _count(k: int) -> int:
    if not 1 <= k <= 100:
        raise QuestionError(f"k is {k}; it must be from 1 to 100")
    return int(k)


def _refusing(call: Any) -> Any:
    try:
        return call()
    except QuestionError as error:
        raise gr.Error(str(error), print_exception=False) from error
