"""The check of sentences with the weights that ship, in two languages, and the numbers it looks up."""

import pytest
from langchain_core.documents import Document

from rag import Hit, SpanReader
from rag.support import ReaderSupport, numbers


def test_numbers_are_the_same_however_they_are_written() -> None:
    assert numbers("1 234 567, 3,5 % et 2020") == numbers("1,234,567; 3.5 per cent, 2020") == {"1234567", "35", "2020"}
    assert numbers("١٩٨٠ और १९८०") == {"1980"} and numbers("no number") == set()
    assert numbers("in 2020 45 people, 007") == {"2020", "45", "7"}


PASSAGE = (
    "The lighthouse of Zalawar was built by the engineer Mirela Fontane in 1907. It stands on a rock in the bay. "
    "A keeper lived there until 1980, when the lamp was made automatic."
)


@pytest.mark.model
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("The lighthouse of Zalawar was built in 1907.", "The lighthouse of Zalawar was built in 1957."),
        ("Mirela Fontane built the lighthouse of Zalawar.", "Gustave Eiffel built the lighthouse of Zalawar."),
        ("Le phare de Zalawar a été construit en 1907.", "Le phare de Zalawar a été construit en 1931."),
        ("Ein Wärter lebte dort bis 1980.", "Ein Wärter lebte dort bis 2003."),
        ("It stands on a rock in the bay.", "The stock exchange of Lisbon closes on Sundays."),
    ],
)
def test_a_changed_fact_is_borne_out_less(right: str, wrong: str) -> None:
    metadata = {"start": 100, "end": 100 + len(PASSAGE), "language": "en", "title": "", "document": "d"}
    hit = Hit(Document(page_content=PASSAGE, metadata=metadata), 1.0, 0.8)
    support = ReaderSupport(SpanReader())
    (yes,), (no,) = support.check(right, [hit]), support.check(wrong, [hit])
    assert yes.probability > no.probability and no.probability < support.threshold
    assert 100 <= yes.span.start < yes.span.end <= 100 + len(PASSAGE)
    assert support.check(right, []) == []
