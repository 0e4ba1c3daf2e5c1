"""Answers as HTML: everything that comes from a question or a document is escaped here, once.

Takes `Answer`s; gives HTML that Gradio's chat shows. Each answer is one HTML block on one line, because Markdown would be read
after a line's end, and no image, form or style can be in it.
"""

from html import escape
from urllib.parse import urlencode

from rag.threads import VERDICTS, Turn
from rag.types import Answer, Citation, Reading, by_answer

FOLDED, AROUND = 500, 150  # characters: a longer quote is folded, and shows so much on either side of the answer
LINKED = 200  # characters of the quote that a link carries, by which it is found again in a changed document

UNSUPPORTED = "not borne out by the documents"
WELCOME = "<p>Ask your documents in any language. Every answer quotes its source.</p>"
LIBRARY = (  # filled by static/library.js
    '<details id="cite-library"><summary><span id="cite-count">Documents</span></summary>'
    '<div class="cite-tools"><label>Collection <select id="cite-collections"></select></label></div>'
    '<div class="cite-tools"><label class="cite-button">Add files<input id="cite-files" type="file" multiple></label>'
    '<label>Search titles <input id="cite-filter" type="search"></label>'
    '<label><input id="cite-all" type="checkbox" checked> all</label></div>'
    '<ul id="cite-jobs" aria-live="polite" aria-label="Files being added"></ul>'
    '<ul id="cite-documents" aria-label="Documents"></ul></details>'
    '<details id="cite-threads"><summary>Conversations</summary><div class="cite-tools"><a class="cite-button" href="/">New</a></div>'
    '<ul id="cite-conversations" aria-label="Conversations"></ul></details>'
)


def text(value: object) -> str:
    """Escaped for HTML, on one line, and inert for Markdown and for Gradio's file links."""
    return escape(str(value)).replace("\r", "").replace("\n", "<br>").replace("`", "&#96;").replace("$", "&#36;")


def question(asked: str) -> str:
    """What the user asked."""
    return f'<div class="cite-question" dir="auto">{text(asked)}</div>'


def thinking() -> str:
    """Shown at once, until the answer comes."""
    return '<div class="cite-thinking" role="status">Reading the documents…</div>'


def problem(message: str) -> str:
    """A question that could not be asked."""
    return f'<div class="cite-problem" role="alert">{text(message)}</div>'


def link(citation: Citation, collection: str = "") -> str:
    """The permanent link of a citation, relative to the page."""
    place = {"doc": citation.document, "start": citation.start, "end": citation.end}
    answer = {"from": citation.answer_start, "to": citation.answer_end, "words": citation.quote[:LINKED]}
    return "/?" + urlencode(({"collection": collection} if collection else {}) | place | answer)


def reference(citation: Citation, label: str, collection: str = "") -> str:
    """The `[n]` that opens the source at the quote."""
    hint = text(" ".join(citation.quote.split())[:300])
    return f'<a class="cite-ref" href="{escape(link(citation, collection))}" title="{hint}">{label}</a>'


def answer(found: Answer, whole: bool = True, collection: str = "", thread: str = "", turn: Turn | None = None) -> str:
    """The answer: its short form with references and each quotation; when it is `whole`, also the reasons and a question back."""

    def quotation(citation: Citation) -> str:
        return _quotation(citation, collection, found.language)

    parts = [_short(found, collection) if found.answered else _refused(found)]
    if whole or not found.statements:  # below words that still grow, quotations would jump
        parts += map(quotation, found.citations)
    if found.asked and found.asked != found.question:
        parts.insert(0, f'<p class="cite-asked" dir="auto">Read as: {text(found.asked)}</p>')
    if found.note:
        parts.insert(0, f'<p class="cite-note" role="status">{text(found.note)}</p>')
    if found.nearest:
        parts.append('<p class="cite-label">The nearest passage, for you to judge:</p>' + quotation(found.nearest))
        if found.nearest.score < found.threshold:
            by = f"It answers by {found.nearest.score:.1%}; an answer is given from {found.threshold:.1%} on."
            parts.append(f'<p class="cite-label">{by} Other words, or a document that says it, would change that.</p>')
    if whole:
        parts.append(_why(found))
    if turn:
        parts.append(_feedback(thread, turn))
    done = " cite-done" if whole else ""
    return f'<div class="cite-answer{done}">{"".join(parts)}</div>'


def _feedback(thread: str, turn: Turn) -> str:
    """What people may say of an answer; `static/library.js` sends it."""
    labels = zip(VERDICTS, ("Right", "Right passage, wrong answer", "Wrong"), strict=True)
    links = []
    for verdict, label in labels:
        address = "/?" + urlencode({"thread": thread, "turn": turn.number, "verdict": verdict})
        chosen = " cite-chosen" if verdict == turn.verdict else ""
        links.append(f'<a class="cite-judge{chosen}" href="{escape(address)}">{label}</a>')
    return f'<p class="cite-feedback">{"".join(links)}</p>'


def _refused(found: Answer) -> str:
    return f'<p class="cite-refusal" dir="auto" lang="{text(found.language)}">{text(found.text)}</p>'


def _short(found: Answer, collection: str) -> str:
    if found.statements:
        return _stated(found, collection)
    lines = [
        f'<bdi lang="{text(group[0].language)}">{text(group[0].answer)}</bdi> '
        + "".join(reference(c, f"[{c.number}]", collection) for c in group)
        for group in by_answer(found.citations)
    ]
    return f'<p class="cite-short">{"; ".join(lines)}</p>'


def _stated(found: Answer, collection: str) -> str:
    """The sentences of an LLM, each with the citations that bear it out, or the mark that none does."""
    by_number = {citation.number: citation for citation in found.citations}
    parts = []
    for said in found.statements:
        references = "".join(reference(by_number[n], f"[{n}]", collection) for n in said.citations)
        state = {True: "", False: " cite-unsupported", None: " cite-pending"}[said.supported]
        mark = f'<small class="cite-doubt">{UNSUPPORTED}</small>' if said.supported is False else ""
        parts.append(f'{"<br>" if said.line else ""}<span class="cite-statement{state}">{text(said.text)}</span>{mark} {references}')
    return f'<p class="cite-stated" dir="auto" lang="{text(found.language)}">{" ".join(parts)}</p>'


def _quotation(citation: Citation, collection: str, asked_in: str) -> str:
    start, end = citation.answer_start - citation.start, citation.answer_end - citation.start
    before, inside, after = citation.quote[:start], citation.quote[start:end], citation.quote[end:]
    label = f"[{citation.number}]" if citation.number else "[→]"
    languages = f"{asked_in} → {citation.language}" if asked_in != citation.language else ""
    origin = text(" · ".join(filter(None, (citation.title, citation.place, languages))))
    whole = f"{text(before)}<strong>{text(inside)}</strong>{text(after)}"
    if len(citation.quote) > FOLDED:
        near = f"…{text(before[-AROUND:])}<strong>{text(inside[:FOLDED])}</strong>{text(after[:AROUND])}…"
        whole = f"<details><summary>{near}</summary>{whole}</details>"
    return (
        f'<blockquote class="cite-quote" dir="auto" lang="{text(citation.language)}">{whole}'
        f" {reference(citation, label, collection)}<cite>{origin}</cite></blockquote>"
    )


def _why(found: Answer) -> str:
    rows = "".join(_row(reading) for reading in found.readings)
    times = " · ".join(f"{text(name)} {value:.0f} ms" for name, value in found.timings_ms.items())
    return (
        f'<details class="cite-why"><summary>Why</summary><p>Confidence {found.confidence:.0%} · read by {text(found.model)} · '
        f"{times}</p><table><thead><tr><th>answers</th><th>meaning</th><th>words</th><th>passage</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></details>"
    )


def _row(reading: Reading) -> str:
    hit = reading.hit
    dense = f"#{hit.dense_rank or '–'} · {hit.dense_score:.2f}"
    lexical = f"#{hit.lexical_rank} · {hit.lexical_score:.1f}" if hit.lexical_rank else "–"
    passage = text(" ".join(hit.chunk.page_content.split())[:160])
    return f'<tr><td>{reading.relevance:.0%}</td><td>{dense}</td><td>{lexical}</td><td dir="auto">{passage}…</td></tr>'
