from langchain_core.documents import Document

from rag.suggest import candidates

TEXT = (
    "Le ministre Jean Dupont a parlé. Hier, le maire Jean Dupont a dit « nous construirons dix ponts demain » à Lyon Presse. "
    "En 1998, la ville a brûlé. Le code 1998-44 et 12,1998 ne sont pas des années."
)


def test_candidates_come_from_names_years_and_quotations() -> None:
    document = Document(id="d", page_content=TEXT)
    assert list(candidates(document, "fr")) == [
        "Qui est Jean Dupont ?", "Que s’est-il passé en 1998 ?", "Qui a dit « nous construirons dix ponts demain » ?",
        "Qui est Lyon Presse ?",
    ]  # fmt: skip
    assert next(candidates(document, "zh")) == "Jean Dupont是谁？"
    assert next(candidates(document, "xx")) == "Who is Jean Dupont?"
    assert list(candidates(Document(id="e", page_content="nothing to ask about"), "en")) == []
