"""A question to the chunks that may answer it: vectors and words, fused by rank.

Takes an open Index; gives `Hit`s, or LangChain Documents where it serves as a retriever. Vectors cross languages and carry
the weight. BM25 counts in full only for chunks in the question's language; in other languages only names and numbers
are looked up, since other shared words are accidents that would crowd out the right passages.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from index.language import detect
from index.lexical import names
from index.library import Index
from rag.types import Hit

POOL = 40  # candidates of each search before fusion
SURE = 0.5  # of the hits are the nearest by meaning, whatever the words say: shared words must not crowd out another language
SMOOTHING = 60  # of reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009
FAR = 0.06  # of cosine behind the nearest hit: such a passage is not worth reading
LEXICAL_WEIGHT = 0.5  # of a BM25 rank beside a dense one, same language
NAMES_WEIGHT = 0.3  # the same for names and numbers in other languages


def worth_reading(hits: Sequence[Hit]) -> list[Hit]:
    """The hits that are not FAR behind the nearest, and the best one by words: the others hold the answer too seldom to pay."""
    nearest = max((hit.dense_score for hit in hits), default=0.0)
    by_words = max(hits, key=lambda hit: hit.lexical_score or 0.0, default=None)
    return [hit for hit in hits if nearest - hit.dense_score <= FAR or (hit is by_words and hit.lexical_score)]


class HybridRetriever(BaseRetriever):
    """Dense ∪ BM25, fused by reciprocal rank; `k` is how many hits."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    index: Any
    k: int = 8

    def __init__(self, index: Index, k: int = 8, **rest: Any) -> None:
        super().__init__(index=index, k=k, **rest)  # type: ignore[call-arg]

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [
            hit.chunk.model_copy(update={"metadata": {**hit.chunk.metadata, "score": hit.score}})
            for hit in self.hits(query)
        ]

    def hits(
        self,
        question: str,
        k: int | None = None,
        language: str | None = None,
        documents: Collection[str] | None = None,
    ) -> list[Hit]:
        """The best `k` chunks for a question, best first, of these documents (ids) alone if given.

        Chunks of documents no longer indexed are left out.
        """
        index: Index = self.index
        k = self.k if k is None else k
        language = language or detect(question)
        vector = index.encoder.query(question)
        dense = index.store.nearest(vector, max(POOL, 2 * k), documents)
        lexical = self._lexical(question, language, max(POOL, 2 * k), documents)
        hits = [
            hit for hit in self._fuse(vector, dense, lexical) if index.catalogue.has(hit.chunk.metadata["document"])
        ]
        sure = sorted((hit for hit in hits if hit.dense_rank), key=lambda hit: hit.dense_rank or 0)[
            : max(1, int(SURE * k))
        ]
        kept = {id(hit) for hit in (*sure, *[hit for hit in hits if hit not in sure][: k - len(sure)])}
        return [hit for hit in hits if id(hit) in kept]

    def _lexical(
        self, question: str, language: str, pool: int, documents: Collection[str] | None
    ) -> dict[str, tuple[int, float, float]]:
        """Chunk id → rank, score and weight, over all languages."""
        found: dict[str, tuple[int, float, float]] = {}
        for other in self.index.lexical.languages():
            words, weight = (question, LEXICAL_WEIGHT) if other == language else (names(question), NAMES_WEIGHT)
            for rank, (identity, score) in enumerate(self.index.lexical.search(words, other, pool, documents), 1):
                found[identity] = rank, score, weight
        return found

    def _fuse(
        self, vector: np.ndarray, dense: list[tuple[Document, float]], lexical: dict[str, tuple[int, float, float]]
    ) -> list[Hit]:
        chunks = {str(chunk.id): (chunk, cosine) for chunk, cosine in dense}
        ranks = {identity: rank for rank, identity in enumerate(chunks, 1)}
        missing = [identity for identity in lexical if identity not in chunks]
        for identity, (chunk, stored) in self.index.store.get(missing).items():
            chunks[identity] = chunk, float(stored @ vector)
        hits = []
        for identity, (chunk, cosine) in chunks.items():
            dense_rank = ranks.get(identity)
            lexical_rank, lexical_score, weight = lexical.get(identity, (None, None, 0.0))
            fused = (1 / (SMOOTHING + dense_rank) if dense_rank else 0) + (
                weight / (SMOOTHING + lexical_rank) if lexical_rank else 0
            )
            hits.append(Hit(chunk, fused, cosine, dense_rank, lexical_rank, lexical_score))
        return sorted(hits, key=lambda hit: -hit.score)
