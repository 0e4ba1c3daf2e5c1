import numpy as np

from rag.memo import Memo


def test_only_what_is_not_remembered_is_made_and_the_oldest_is_forgotten() -> None:
    asked: list[list[str]] = []

    def lengths(texts: list[str]) -> list[np.ndarray]:
        asked.append(texts)
        return [np.array([len(text)]) for text in texts]

    memo = Memo(lengths, 2)
    assert [int(found[0]) for found in memo(["a", "bb", "a"])] == [1, 2, 1]
    assert [int(found[0]) for found in memo(["ccc", "a"])] == [3, 1]  # "bb" was seen longest ago
    memo(["bb", "dddd", "eeeee"])  # more than are kept
    memo(["eeeee", "dddd"])
    memo.forget()
    memo(["dddd"])
    assert asked == [["a", "bb"], ["ccc"], ["bb", "dddd", "eeeee"], ["dddd"]] and memo([]) == []
