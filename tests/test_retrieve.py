from pathlib import Path

from conftest import TrigramEncoder
from langchain_core.documents import Document

from index import Index, build
from rag import HybridRetriever
from rag.retrieve import FAR, worth_reading
from rag.types import Hit


def test_hits_carry_their_ranks_and_scores(index: Index) -> None:
    hits = HybridRetriever(index).hits("How long does sourdough bake?", k=3)
    assert "Sourdough" in hits[0].chunk.page_content
    assert hits[0].dense_rank == 1 and hits[0].lexical_rank == 1 and hits[0].lexical_score
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_words_of_another_language_count_only_as_names(index: Index) -> None:
    hits = {
        hit.chunk.metadata["source"].split("/")[-1]: hit
        for hit in HybridRetriever(index).hits("What did Hajiyev say about drones?")
    }
    assert hits["drones.fr.txt"].lexical_rank == 1
    plain = {
        hit.chunk.metadata["source"].split("/")[-1]: hit
        for hit in HybridRetriever(index).hits("what are those drones for?")
    }
    assert plain["drones.fr.txt"].lexical_rank is None


def test_it_is_a_langchain_retriever(index: Index) -> None:
    documents = HybridRetriever(index, k=2).invoke("Who walked on the Moon?")
    assert len(documents) == 2 and "Armstrong" in documents[0].page_content and documents[0].metadata["score"] > 0


def test_removed_documents_are_never_hits(index: Index) -> None:
    gone = next(e for e in index.catalogue.entries() if e.source.endswith("moon.txt"))
    index.catalogue.remove(gone.id)
    assert all(
        hit.chunk.metadata["document"] != gone.id for hit in HybridRetriever(index).hits("Moon Apollo Armstrong")
    )


def test_lexical_finds_what_vectors_rank_low(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for i in range(60):
        (folder / f"{i}.txt").write_text(f"The spare part of the machine is listed as number {7000 + i} in the store.")
    with Index(tmp_path / "index", TrigramEncoder(), create=True) as index:
        build(index, [folder])
        best = HybridRetriever(index).hits("Which machine has spare part number 7042 in the store?")[0]
        assert "7042" in best.chunk.page_content


def test_words_of_the_question_s_language_do_not_crowd_out_another(index: Index, folder: Path) -> None:
    for i in range(12):
        (folder / f"f{i}.fr.txt").write_text(
            f"Le marché de la ville a été ouvert par le maire de la région numéro {i}."
        )
    (folder / "bridge.txt").write_text("Zalawar pont: Zalawar construit pont, Zalawar bridge Zalawar.")
    build(index, [folder])
    found = HybridRetriever(index).hits("Qui a construit le pont de Zalawar ?", 4, "fr")
    assert any("Zalawar" in hit.chunk.page_content for hit in found) and len(found) == 4


def test_words_that_every_chunk_holds_are_not_looked_up(index: Index, folder: Path) -> None:
    for i in range(12):
        (folder / f"f{i}.fr.txt").write_text(f"Le marché de la ville numéro {i} est ouvert.")
    build(index, [folder])
    assert index.lexical.search("le de la", "fr", 5) == [] and index.lexical.search("les marées de la", "fr", 5)


def test_passages_far_behind_the_nearest_are_not_read_unless_they_have_the_words() -> None:
    def hit(cosine: float, words: float | None) -> Hit:
        return Hit(Document(page_content="", metadata={"start": 0, "end": 0}), 0.0, cosine, lexical_score=words)

    nearest, near, far, named, less = hit(0.6, None), hit(0.601 - FAR, 1.0), hit(0.1, None), hit(0.2, 7.0), hit(0.2, 5.0)
    assert worth_reading([named, near, far, nearest, less]) == [named, near, nearest]
    assert worth_reading([]) == [] and worth_reading([far]) == [far]
