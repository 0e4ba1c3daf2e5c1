"""What the measurements count with: a figure is no better than that."""

import numpy as np
import pytest

from bench.retrieval import InBatches, average_precision, ndcg


class Sums:
    """An engine whose logits are sums of ids, and that notes how wide its batches were."""

    def __init__(self) -> None:
        self.widths: list[int] = []

    def run(self, ids: np.ndarray, mask: np.ndarray, passage: np.ndarray) -> tuple[np.ndarray, ...]:
        """See `rag.read.Engine`."""
        self.widths.append(ids.shape[1])
        kept = (ids * mask).astype("f4")
        return kept, kept + passage, kept.sum(axis=1), -kept


def test_an_engine_in_batches_gives_what_it_gives_whole() -> None:
    lengths = [9, 2, 5, 7, 3, 9, 4]
    mask = (np.arange(9) < np.array(lengths)[:, None]).astype(np.int64)
    ids, passage = np.random.default_rng(0).integers(2, 99, mask.shape) * mask, mask.copy()
    whole, parts = Sums(), Sums()
    for one, other in zip(whole.run(ids, mask, passage), InBatches(parts, 3).run(ids, mask, passage), strict=True):
        assert np.array_equal(one, other)
    assert parts.widths == [4, 9, 9] and whole.widths == [9]


def test_rankings_are_scored_as_the_field_does() -> None:
    relevant = np.array([True, False, True, False])
    assert average_precision(relevant) == pytest.approx((1 + 2 / 3) / 2)
    assert ndcg(relevant) == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3)))
    assert average_precision(np.zeros(3, bool)) == ndcg(np.zeros(3, bool)) == 0
