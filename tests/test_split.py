import itertools
import random

import pytest
from conftest import SEED, TrigramEncoder
from langchain_core.documents import Document

from index.load import Source, load, read
from index.split import BLOCK, MAX_TOKENS, PHRASE, sentences, split

TEXTS = {
    "en": "Dr. Smith paid $3.50 to Mr. Lee. He left! Did he? Yes, at 5 p.m. on Monday.",
    "fr": "«Israël fournit des armes; deux vols», a déclaré la source.\n«Ces drones turcs sont imparables», a ajouté la source.",
    "zh": "他来了。你呢？" * 200,
    "th": "สวัสดีครับ ผมชื่อสมชาย " * 120,
    "ar": "وصل الوزير اليوم. هل غادر؟ نعم.",
}


def document(text: str, language: str) -> Document:
    return Document(id="d", page_content=text, metadata={"language": language, "title": "t", "source": "s"})


def spans(texts: list[str]) -> list[list[tuple[int, int]]]:
    """One token a character that is no space: the hardest case for long sentences."""
    return [[(i, i + 1) for i, c in enumerate(text) if not c.isspace()] for text in texts]


@pytest.mark.parametrize("language", TEXTS)
def test_chunks_are_slices_of_their_text(language: str) -> None:
    text = TEXTS[language]
    chunks = list(split(document(text, language), spans))
    for chunk in chunks:
        assert text[chunk.metadata["start"] : chunk.metadata["end"]] == chunk.page_content
        assert chunk.page_content == chunk.page_content.strip()
        assert len(spans([chunk.page_content])[0]) <= MAX_TOKENS
    covered = {i for c in chunks for i in range(c.metadata["start"], c.metadata["end"])}
    assert {i for i, c in enumerate(text) if not c.isspace()} <= covered


def test_random_texts_keep_offsets_and_limits() -> None:
    rng = random.Random(7)
    alphabet = "aé 語。.!? \n\t«»\u200b😀ﷺ"
    for _ in range(200):
        text = "".join(rng.choices(alphabet, k=rng.randrange(1, 900)))
        for chunk in split(document(text, "fr"), spans):
            assert text[chunk.metadata["start"] : chunk.metadata["end"]] == chunk.page_content
            assert len(spans([chunk.page_content])[0]) <= MAX_TOKENS


def test_chunks_overlap_by_one_sentence() -> None:
    text = " ".join(f"Sentence number {i} has exactly eight words here." for i in range(60))
    chunks = list(split(document(text, "en"), TrigramEncoder().token_spans))
    assert len(chunks) > 3
    for a, b in itertools.pairwise(chunks):
        shared = text[b.metadata["start"] : a.metadata["end"]]
        assert shared.startswith("Sentence number") and shared.count(".") == 1


def test_a_paragraph_end_ends_a_sentence() -> None:
    assert [TEXTS["fr"][a:b][:5] for a, b in sentences(TEXTS["fr"], "fr")] == ["«Isra", "«Ces "]


def test_long_text_without_line_ends_is_cut_in_blocks() -> None:
    text = "x" * (2 * BLOCK + 10)
    assert sum(b - a for a, b in sentences(text, "en")) == len(text)


def test_chunks_know_their_document() -> None:
    loaded = load(Source(SEED), read(Source(SEED)))
    chunks = list(split(loaded, TrigramEncoder().token_spans))
    assert [c.metadata["number"] for c in chunks] == list(range(len(chunks)))
    assert {c.metadata["document"] for c in chunks} == {loaded.id}
    assert all(c.metadata["language"] == "fr" and c.metadata["title"].startswith("Israël envoie") for c in chunks)


def test_thai_has_no_mark_at_a_sentence_s_end_and_is_cut_at_spaces() -> None:
    text = "ประเทศไทยเป็นประเทศที่ตั้งอยู่ในภูมิภาคเอเชียตะวันออกเฉียงใต้ " * 12
    lengths = [b - a for a, b in sentences(text, "th")]
    assert len(lengths) > 3 and all(PHRASE <= length <= 2 * PHRASE + 80 for length in lengths)
