"""Questions with known answers, put to a Rag: what is right, what is refused, how long it takes.

Takes JSON lines of `id, language, question, answerable, quotes, answers` (a gold quote is text that a citation must contain); gives
figures. Used by `cite eval` and by `bench`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

from rag.answer import Rag
from rag.types import Answer


@dataclass(frozen=True, slots=True)
class Question:
    """A question; for `cite eval` also what a right answer must hold."""

    id: str
    question: str
    answerable: bool = True
    quotes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(slots=True)
class Figures:
    """Shares are 0..1 of the answerable or of the unanswerable questions; times are milliseconds."""

    questions: int = 0
    cited: float = 0.0
    acceptable: float = 0.0
    refused: float = 0.0
    wrongly_refused: float = 0.0
    median_ms: float = 0.0
    p95_ms: float = 0.0
    misses: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.questions} questions\n"
            f"answerable: a citation holds a gold quote {self.cited:.2f}, an acceptable answer {self.acceptable:.2f}, "
            f"wrongly refused {self.wrongly_refused:.2f}\n"
            f"unanswerable: refused {self.refused:.2f}\n"
            f"time: median {self.median_ms:.0f} ms, 95 % within {self.p95_ms:.0f} ms"
        )


def read_questions(path: Path) -> list[Question]:
    """The file's questions. Raises ValueError naming the line that is not one; OSError when it cannot be read."""
    return list(_lines(path))


def _lines(path: Path) -> Iterator[Question]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            yield Question(
                str(item.get("id", number)), str(item["question"]), bool(item.get("answerable", True)),
                tuple(item.get("quotes", ())), tuple(item.get("answers", ())),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{path}, line {number}: not JSON with a "question". See: cite eval --help') from error


def evaluate(rag: Rag, questions: Iterable[Question]) -> Figures:
    """Ask every question and count."""
    pairs = [(question, rag.invoke(question.question)) for question in questions]
    figures = Figures(len(pairs))
    answerable = [(q, a) for q, a in pairs if q.answerable]
    unanswerable = [(q, a) for q, a in pairs if not q.answerable]
    figures.cited = _share(cites_gold(q, a) for q, a in answerable)
    figures.acceptable = _share(says_answer(q, a) for q, a in answerable)
    figures.wrongly_refused = _share(not a.answered for _, a in answerable)
    figures.refused = _share(not a.answered for _, a in unanswerable)
    times = [a.timings_ms["total"] for _, a in pairs]
    if len(times) > 1:
        cuts = quantiles(times, n=20, method="inclusive")
        figures.median_ms, figures.p95_ms = cuts[9], cuts[18]
    figures.misses = [
        f"{q.id}: {q.question} → {a.text.splitlines()[0]}"
        for q, a in pairs
        if a.answered != q.answerable or (q.answerable and not cites_gold(q, a))
    ]
    return figures


def cites_gold(question: Question, answer: Answer) -> bool:
    """Whether a citation's quote holds one of the gold quotes."""
    return any(gold in citation.quote for gold in question.quotes for citation in answer.citations)


def says_answer(question: Question, answer: Answer) -> bool:
    """Whether the text, refusals apart, holds one of the acceptable answers."""
    return answer.answered and any(gold.casefold() in answer.text.casefold() for gold in question.answers)


def _share(outcomes: Iterable[bool]) -> float:
    listed = list(outcomes)
    return sum(listed) / len(listed) if listed else 0.0
