"""How well a passage says what a question says, token by token, whatever languages the two are in.

Takes a question and passages; gives a number from -1 to 1 for each. Late interaction (ColBERT, Khattab and Zaharia, SIGIR 2020) on
what the embedder makes of each token: every token of the question looks for its like in the passage, and the weighted mean of what
they find is the match. A second opinion: the reader, which sees both at once, likes the right kind of answer about the wrong thing.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from index.embed import SentenceEncoder
from rag.calibration import WEIGHTS
from rag.memo import Memo

KEPT = 2000  # passages that are remembered: 32 kB each


class Matcher:
    """Matches by the weights that `training.match` wrote, for the bundled embedder's states."""

    def __init__(self, weights: Path = WEIGHTS / "match.safetensors", encoder: SentenceEncoder | None = None) -> None:
        self._weights, self._encoder = weights, encoder or SentenceEncoder()
        self.told = Memo(lambda texts: [self._turned(states) for states in self._encoder.states(texts)], KEPT)

    @cached_property
    def _parts(self) -> dict[str, np.ndarray]:
        return {name: part.astype("f4") for name, part in load_file(self._weights).items()}

    def __call__(self, question: str, passages: Sequence[str]) -> list[float]:
        """The match of a question with each passage."""
        if not passages:
            return []
        (asked,) = self._encoder.states([question], asked=True)
        if not len(asked):  # nothing but signs that the tokenizer drops
            return [0.0] * len(passages)
        telling = asked @ self._parts["weight"][0]
        weights = np.exp(telling - telling.max())  # how much each token of the question counts
        sought = self._turned(asked)
        best = [(sought @ found.T).max(axis=1, initial=-1.0) for found in self.told(passages)]
        return [float(weights @ found / weights.sum()) for found in best]

    def _turned(self, states: np.ndarray) -> np.ndarray:
        """Unit vectors (tokens, smaller dimension) of states (tokens, dimension)."""
        found = states @ self._parts["turn"].T + self._parts["shift"]
        return found / np.linalg.norm(found, axis=1, keepdims=True)
