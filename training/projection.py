"""The linear map of vectors without their language's mean: questions nearer to their passages, whatever languages they are in.

Takes vectors of questions, of the same in another language, of their passages, and of texts that say the same in many languages;
gives a matrix (dimension, dimension) close to the identity. Trained by contrast within batches (InfoNCE; several right ones in the
manner of Khosla et al., NeurIPS 2020).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

from index.embed import without_means

STEPS, RATE = 300, 1e-3
QUESTIONS, TEXTS, TOLD = 384, 512, 256  # of a batch: questions with passages, texts beside them, texts asked for
TEMPERATURE = 0.05
STAY = 0.05  # weight of the squared distance from the identity; chosen on files that were left out


class Same(NamedTuple):
    """Texts that say the same: vectors (n, dimension) as passages and as questions, the number of the text and the language (n,)."""

    passages: np.ndarray
    queries: np.ndarray
    texts: np.ndarray
    languages: np.ndarray


class Asked(NamedTuple):
    """Questions, the same in another language (or again), and their passages: vectors (n, dimension); the languages of the three (n,)."""

    questions: np.ndarray
    others: np.ndarray
    passages: np.ndarray
    languages: np.ndarray
    spoken: np.ndarray
    told: np.ndarray


def without(table: dict[str, np.ndarray], told: Same, pairs: Asked) -> tuple[Same, Asked]:
    """Both without their languages' means."""
    return told._replace(
        passages=without_means(told.passages, "passage", told.languages.tolist(), table),
        queries=without_means(told.queries, "query", told.languages.tolist(), table),
    ), pairs._replace(
        questions=without_means(pairs.questions, "query", pairs.languages.tolist(), table),
        others=without_means(pairs.others, "query", pairs.spoken.tolist(), table),
        passages=without_means(pairs.passages, "passage", pairs.told.tolist(), table),
    )


def fit(vectors: tuple[Same, Asked], stay: float = STAY) -> np.ndarray:
    """The matrix (dimension, dimension) that vectors are multiplied with, float32."""
    told, pairs = vectors
    rng = np.random.default_rng(0)
    identity = torch.eye(told.passages.shape[1])
    matrix = torch.nn.Parameter(identity.clone())
    optimizer = torch.optim.Adam([matrix], RATE)
    for step in range(STEPS):
        rows = rng.choice(len(pairs.questions), min(QUESTIONS, len(pairs.questions)), replace=False)
        beside = rng.choice(len(told.texts), min(TEXTS, len(told.texts)), replace=False)
        asked = rng.choice(len(told.texts), min(TOLD, len(told.texts)), replace=False)
        either = np.where(rng.random((len(rows), 1)) < 0.5, pairs.questions[rows], pairs.others[rows])
        pool = _turned(np.concatenate([pairs.passages[rows], told.passages[beside]]), matrix)
        first = cross_entropy(_turned(either, matrix) @ pool.T / TEMPERATURE, torch.arange(len(rows)))
        right = told.texts[asked][:, None] == told.texts[beside][None]
        right = torch.from_numpy(np.concatenate([np.zeros((len(asked), len(rows)), bool), right], axis=1))
        second = _contrast(_turned(told.queries[asked], matrix) @ pool.T / TEMPERATURE, right)
        (first + second + stay * ((matrix - identity) ** 2).sum()).backward()  # type: ignore[no-untyped-call]
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        optimizer.step()
        optimizer.zero_grad()
    found: np.ndarray = matrix.detach().numpy()
    return found


def _turned(vectors: np.ndarray, matrix: torch.Tensor) -> torch.Tensor:
    return normalize(torch.from_numpy(vectors.astype("f4")) @ matrix, dim=-1)


def _contrast(scores: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Mean loss of each right one against all wrong ones; rows without a right one do not count."""
    wrong = scores.masked_fill(right, -1e9).logsumexp(dim=1, keepdim=True)
    return ((torch.logaddexp(scores, wrong) - scores) * right).sum() / right.sum().clamp(min=1)
