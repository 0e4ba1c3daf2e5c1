"""Online: a question to a cited answer. The listing is the pipeline: retrieve, read, cite, answer."""

from rag.answer import QuestionError, Rag
from rag.read import Reader, SpanReader
from rag.retrieve import HybridRetriever
from rag.types import Answer, Citation, Hit, Reading, Span

__all__ = [
    "Answer", "Citation", "Hit", "HybridRetriever", "QuestionError", "Rag", "Reader", "Reading", "Span", "SpanReader",
]  # fmt: skip
