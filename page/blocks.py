"""The Gradio blocks: the documents, the chat, and the source beside it.

Takes the collections; gives `gr.Blocks` with the named endpoints. Owns gradio together with `app` and `endpoints`. The source panel
is filled by `static/app.js`, the documents and conversations by `static/library.js`.
"""

import json
from collections.abc import Iterator

import gradio as gr

from page import html
from page.desks import CollectionError, Desk, Desks
from page.endpoints import AT_ONCE, Page, add_endpoints
from rag import QuestionError
from rag.threads import Turn
from rag.types import answer_from

EXAMPLES = {  # shown when the article that Cité ships with is indexed
    "50cf74208a55e5f0faa89ae9b6112bf268d21664cf97bfcdf10c5d9afc38ab60": (
        "Who supplied drones?", "Quelle est la taille du territoire disputé ?", "¿Quiénes pidieron un alto el fuego inmediato?",
        "谁提供了无人机？", "Welches Land hat eine Militärbasis in Armenien?", "من دعا إلى وقف إطلاق النار؟",
    )
}  # fmt: skip
WAITING = 64  # questions in the queue
SOURCE = (
    '<section id="cite-source" aria-label="Source" tabindex="0"><header><h2 id="cite-title">Source</h2>'
    '<p id="cite-place"></p><div id="cite-views" hidden></div></header><div id="cite-page"></div>'
    '<div id="cite-text" dir="auto"></div></section>'
)
CHOSEN = "(...given) => [...given.slice(0, -1), window.citeChosen()]"  # JSON: the ticked documents and the collection

Messages = list[dict[str, str]]


def blocks(desks: Desks) -> gr.Blocks:
    """The page, with its named endpoints."""
    with Page(title="Cité", analytics_enabled=False, fill_width=True) as page:
        entries = desks[""].rag.index.catalogue.entries()
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
                gr.HTML('<div id="cite-suggestions" role="group" aria-label="Suggested questions"></div>')
                box = gr.Textbox(
                    label="Your question", placeholder="Ask a question about the documents, in any language",
                    submit_btn="Ask", max_length=2000, elem_id="cite-question",
                )  # fmt: skip
            with gr.Column(scale=4, min_width=320):
                gr.HTML(SOURCE)
        _converse(desks, page, chat, box, gr.Textbox(visible=False))
        add_endpoints(desks)
    page.queue(max_size=WAITING, api_open=False)
    return page


def _converse(desks: Desks, page: Page, chat: gr.Chatbot, box: gr.Textbox, chosen: gr.Textbox) -> None:
    asked, thread = gr.State(""), gr.State("")

    def reopen(request: gr.Request) -> tuple[Messages, str]:
        kept, name = (request.query_params.get(key, "") for key in ("thread", "collection"))
        try:
            turns = desks[name].threads.turns(kept)
        except CollectionError:
            turns = []
        return [message for turn in turns for message in _messages(turn, kept, name)], kept

    def begin(question: str, messages: Messages) -> tuple[str, str, Messages]:
        said = [*messages, {"role": "user", "content": html.question(question)}]
        return "", question, [*said, {"role": "assistant", "content": html.thinking()}]

    def choose(messages: Messages, chosen: gr.SelectData) -> tuple[str, str, Messages]:
        return begin(chosen.value["text"], messages)

    def reply(question: str, messages: Messages, thread: str, chosen: str) -> Iterator[tuple[Messages, str]]:
        wanted = json.loads(chosen)
        try:
            desk = desks[str(wanted["collection"])]
            thread = thread or desk.threads.new()
            for content in _contents(desk, question, wanted["documents"], thread):
                yield [*messages[:-1], {"role": "assistant", "content": content}], thread
        except (QuestionError, CollectionError) as error:
            yield [*messages[:-1], {"role": "assistant", "content": html.problem(str(error))}], thread

    page.load(reopen, None, [chat, thread], queue=False, api_visibility="private")
    for event, first, inputs in ((box.submit, begin, [box, chat]), (chat.example_select, choose, [chat])):
        event(first, inputs, [box, asked, chat], queue=False, api_visibility="private").then(
            reply, [asked, chat, thread, chosen], [chat, thread], api_visibility="private", concurrency_limit=AT_ONCE, js=CHOSEN
        )  # fmt: skip


def _messages(turn: Turn, thread: str, collection: str) -> Messages:
    """A kept turn as it was shown."""
    found = answer_from(turn.answer)
    shown = html.answer(found, True, collection, thread, turn)
    return [{"role": "user", "content": html.question(found.question)}, {"role": "assistant", "content": shown}]


def _contents(desk: Desk, question: str, documents: list[str] | None, thread: str) -> Iterator[str]:
    """The answer's HTML as it grows; the whole answer is kept in its thread."""
    for answer in desk.rag.stream(question, documents=documents, history=desk.threads.history(thread)):
        yield html.answer(answer, False, desk.name)
    number = desk.threads.add(thread, answer.json())
    yield html.answer(answer, True, desk.name, thread, Turn(number, {}, "", ""))
