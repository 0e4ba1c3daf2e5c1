"""Questions to begin with, made from the documents themselves by rules over names, years and quotations, without an LLM.

Takes a document's text and the languages to ask in; gives questions that the documents answer: each is put to the `Rag` first.
"""

import re
from collections import Counter
from collections.abc import Iterator

from langchain_core.documents import Document

from rag.answer import QuestionError, Rag

TEMPLATES = {  # who is NAME, what happened in YEAR, who said QUOTE
    "en": ("Who is {}?", "What happened in {}?", "Who said “{}”?"),
    "fr": ("Qui est {} ?", "Que s’est-il passé en {} ?", "Qui a dit « {} » ?"),
    "de": ("Wer ist {}?", "Was geschah {}?", "Wer sagte „{}“?"),
    "es": ("¿Quién es {}?", "¿Qué pasó en {}?", "¿Quién dijo «{}»?"),
    "it": ("Chi è {}?", "Che cosa è successo nel {}?", "Chi ha detto «{}»?"),
    "pt": ("Quem é {}?", "O que aconteceu em {}?", "Quem disse “{}”?"),
    "ru": ("Кто такой {}?", "Что произошло в {} году?", "Кто сказал «{}»?"),
    "zh": ("{}是谁？", "{}年发生了什么？", "谁说了“{}”？"),
    "ar": ("من هو {}؟", "ماذا حدث في {}؟", "من قال «{}»؟"),
    "ja": ("{}は誰ですか?", "{}年に何がありましたか?", "誰が「{}」と言いましたか?"),
}
LOOKED_AT = 60_000  # characters of a document
NAME = re.compile(
    r"(?<=[\w,;] )[A-ZÀ-ÞА-Я][\w’'-]+(?: [A-ZÀ-ÞА-Я][\w’'-]+)+"
)  # two words or more, not a sentence's first
YEAR = re.compile(r"(?<![\d.,/-])(?:1[5-9]\d\d|20\d\d)(?![\d/-]|[.,]\d)")
QUOTE = re.compile(r"[«“„]\s?([^«»“”„\n]{12,60}?)\s?[»”“]")
TRIED = 8  # questions put to the Rag for each document, at most


def candidates(document: Document, language: str) -> Iterator[str]:
    """Questions in a language (English where it has no templates), by turns about a name, a year and a quotation."""
    text = document.page_content[:LOOKED_AT]
    templates = TEMPLATES.get(language, TEMPLATES["en"])
    found = [[item for item, _ in Counter(kind.findall(text)).most_common(4)] for kind in (NAME, YEAR, QUOTE)]
    for turn in range(4):
        for template, items in zip(templates, found, strict=True):
            if turn < len(items):
                yield template.format(items[turn].rstrip(" .,;"))


def suggestions(rag: Rag, document: Document, language: str, most: int) -> list[str]:
    """Up to `most` questions that get an answer from this document."""
    kept: list[str] = []
    for question, _ in zip(candidates(document, language), range(TRIED), strict=False):
        try:
            answer = rag.invoke(question, documents=[str(document.id)])
        except QuestionError:
            continue
        if answer.answered and (best := answer.citations[0].answer) not in question and question not in best:
            kept.append(question)
        if len(kept) == most:
            break
    return kept
