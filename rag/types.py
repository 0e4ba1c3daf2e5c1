"""The few things that travel from a question to its answer; all frozen, all offsets in characters of the document's text."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from langchain_core.documents import Document


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved chunk, its fused score, its cosine with the question, and the ranks (from 1) that brought it.

    A rank is None where that search did not find the chunk.
    """

    chunk: Document
    score: float
    dense_score: float
    dense_rank: int | None = None
    lexical_rank: int | None = None
    lexical_score: float | None = None

    @property
    def start(self) -> int:
        """Where the chunk begins in its document."""
        return int(self.chunk.metadata["start"])


@dataclass(frozen=True, slots=True)
class Span:
    """Words that answer, `document_text[start:end]`, with the reader's score (a logit)."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader made of one hit: whether it answers (0..1), and its best spans, best first."""

    hit: Hit
    relevance: float
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Citation:
    """Proof: `quote == document_text[start:end]`, whole sentences; `answer == document_text[answer_start:answer_end]`.

    `place` says where in the file that is ("page 3", "row 12", a heading), or is empty.
    """

    number: int
    document: str
    title: str
    source: str
    start: int
    end: int
    quote: str
    answer: str
    answer_start: int
    answer_end: int
    language: str
    score: float
    place: str = ""


def by_answer(citations: Sequence[Citation]) -> list[list[Citation]]:
    """The citations in groups that say the same short answer, in order of their first."""
    groups: dict[str, list[Citation]] = {}
    for citation in citations:
        groups.setdefault(citation.answer.casefold(), []).append(citation)
    return list(groups.values())


@dataclass(frozen=True, slots=True)
class Backing:
    """How far one passage bears out a sentence (a probability), and its words that do."""

    probability: float
    span: Span


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence that an LLM wrote, without its markers; `citations` are numbers of the answer's citations.

    `supported` is None until it is checked; `support` is the probability that what it cites bears it out. `line` says that it
    begins a line.
    """

    text: str
    citations: tuple[int, ...] = ()
    supported: bool | None = None
    support: float = 0.0
    line: bool = False


EXCHANGES = 6  # of a conversation, at most, that a question is asked with


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question asked before, and the answer's text."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a question, the same on the page, in the API, on the command line and in Python.

    `answered` false means: no citation, `text` is the refusal in the question's language, and `nearest` is the closest passage
    for the reader to judge. `confidence` (0..1) is the probability that the answer is right. `dropped` counts citations
    that did not hold. `asked` is what was read: the question, or a follow-up together with the question before it.
    A passage whose relevance is below `threshold` is no answer. Where an LLM wrote the answer, `statements` are its sentences,
    each checked; `note` says what a user must know of how it came about (that the LLM failed, say).
    """

    question: str
    answered: bool
    text: str
    language: str
    confidence: float
    model: str
    citations: tuple[Citation, ...] = ()
    nearest: Citation | None = None
    readings: tuple[Reading, ...] = ()
    dropped: int = 0
    timings_ms: dict[str, float] = field(default_factory=dict)
    asked: str = ""
    threshold: float = 0.0
    statements: tuple[Statement, ...] = ()
    note: str = ""

    def json(self) -> dict[str, Any]:
        """The answer as JSON types; `readings` become `hits`."""
        return {
            **{
                name: getattr(self, name)
                for name in ("question", "asked", "answered", "text", "language", "confidence", "model")
            },
            "citations": [asdict(citation) for citation in self.citations],
            "nearest": asdict(self.nearest) if self.nearest else None,
            "hits": [hit_json(reading.hit, reading) for reading in self.readings],
            "dropped": self.dropped,
            "threshold": self.threshold,
            "statements": [asdict(statement) for statement in self.statements],
            "note": self.note,
            "timings_ms": self.timings_ms,
        }


def answer_from(kept: dict[str, Any]) -> Answer:
    """The Answer that `Answer.json` made these JSON types of, but for the readings' spans."""
    readings = []
    for hit in kept["hits"]:
        meta = {name: hit[name] for name in ("document", "title", "source", "language", "place", "start", "end")}
        ranks = (hit[name] for name in ("score", "dense_score", "dense_rank", "lexical_rank", "lexical_score"))
        chunk = Document(page_content=hit["text"], metadata=meta)
        readings.append(Reading(Hit(chunk, *ranks), hit["relevance"], ()))
    given = {
        name: kept[name]
        for name in ("question", "answered", "text", "language", "confidence", "model", "dropped", "timings_ms")
    }
    citations = tuple(Citation(**citation) for citation in kept["citations"])
    nearest = Citation(**kept["nearest"]) if kept["nearest"] else None
    return Answer(
        **given,
        citations=citations,
        nearest=nearest,
        readings=tuple(readings),
        asked=kept["asked"],
        threshold=kept["threshold"],
        statements=tuple(Statement(**{**s, "citations": tuple(s["citations"])}) for s in kept.get("statements", ())),
        note=kept.get("note", ""),
    )


def hit_json(hit: Hit, reading: Reading | None = None) -> dict[str, Any]:
    """A hit as JSON types, with what the reader made of it where it was read."""
    meta = hit.chunk.metadata
    found = {
        "document": meta["document"], "title": meta["title"], "source": meta["source"], "language": meta["language"],
        "place": meta.get("place", ""), "start": meta["start"], "end": meta["end"], "text": hit.chunk.page_content, "score": hit.score,
        "dense_rank": hit.dense_rank, "dense_score": hit.dense_score,
        "lexical_rank": hit.lexical_rank, "lexical_score": hit.lexical_score,
    }  # fmt: skip
    return found | ({"relevance": reading.relevance} if reading else {})


def plain(answer: dict[str, Any]) -> str:
    """An answer's JSON for a terminal: its text and where its quotations stand."""
    if error := answer.get("error"):
        return str(error)
    parts = [answer["text"]]
    parts += [f"[{c['number']}] {c['title']} ({_where(c)})" for c in answer["citations"]]
    parts += [f"({answer['note']})"] if answer.get("note") else []
    if nearest := answer["nearest"]:
        parts.append(f"nearest: > {nearest['quote']} ({_where(nearest)})")
    return "\n".join(parts)


def _where(citation: dict[str, Any]) -> str:
    parts = (citation["source"], citation["place"], f"{citation['start']}–{citation['end']}")
    return ", ".join(filter(None, parts))
