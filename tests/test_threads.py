from collections.abc import Iterator
from pathlib import Path

import pytest

from rag import Rag
from rag.threads import PASSAGE, RIGHT, ThreadError, Threads
from rag.types import answer_from


@pytest.fixture
def threads(tmp_path: Path) -> Iterator[Threads]:
    made = Threads(tmp_path / "index")
    yield made
    made.close()


def test_a_thread_survives_a_restart_with_its_citations(threads: Threads, rag: Rag, tmp_path: Path) -> None:
    answers = [rag.invoke(question) for question in ("Who landed on the Moon with Apollo?", "zebra unicorn dragon?")]
    assert [threads.add("a", answer.json()) for answer in answers] == [1, 2]
    threads.close()
    again = Threads(tmp_path / "index")
    kept = [answer_from(turn.answer) for turn in again.turns("a")]
    assert [a.json() for a in kept] == [a.json() for a in answers]
    assert kept[0].citations == answers[0].citations and kept[1].nearest == answers[1].nearest
    again.close()


def test_the_history_has_questions_as_they_were_read(threads: Threads, rag: Rag) -> None:
    answer = rag.invoke("Who landed on the Moon with Apollo?").json()
    threads.add("a", answer)
    threads.add("a", answer | {"question": "And when?", "asked": "Who landed on the Moon with Apollo? And when?"})
    assert [exchange.question for exchange in threads.history("a")] == [answer["question"], "Who landed on the Moon with Apollo? And when?"]
    assert threads.history("b") == []


def test_newest_first_renamed_and_deleted(threads: Threads, rag: Rag) -> None:
    answer = rag.invoke("Who landed on the Moon with Apollo?").json()
    for name in ("one", "two"):
        threads.add(name, answer)
    assert [row["id"] for row in threads.listed()] == ["two", "one"] and threads.listed()[0]["turns"] == 1
    threads.rename("one", "  The  Moon ")
    assert {row["title"] for row in threads.listed()} == {"The Moon", answer["question"]}
    threads.remove("two")
    assert threads.turns("two") == [] and len(threads.listed()) == 1
    for change in (
        lambda: threads.remove("two"),
        lambda: threads.rename("one", " "),
        lambda: threads.judge("one", 7, RIGHT),
    ):
        with pytest.raises(ThreadError):
            change()
    with pytest.raises(ThreadError):
        threads.add("x" * 65, answer)


def test_judged_answers_become_a_question_file(threads: Threads, rag: Rag) -> None:
    threads.add("t", rag.invoke("Who landed on the Moon with Apollo?").json())
    threads.add("t", rag.invoke("Which bread rises with wild yeast?").json())
    threads.judge("t", 1, RIGHT, "yes")
    threads.judge("t", 2, PASSAGE)
    first, second = threads.judged()
    assert first["answers"] and first["quotes"] and first["comment"] == "yes"
    assert second["quotes"] and second["answers"] == []
