"""What was made of the texts that were seen last, so that it is not made again.

Takes a function that makes something of each of several texts; gives one that asks it for those it does not remember, together.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

import numpy as np

Make = Callable[[list[str]], Iterable[np.ndarray]]


class Memo:
    """`make`, for any number of texts at once; arrays of the last `kept` texts are remembered."""

    def __init__(self, make: Make, kept: int) -> None:
        self._make, self._kept = make, kept
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        """One array a text, in the order of the texts."""
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            found.update(zip(missing, self._make(missing), strict=True))
        with self._lock:
            for text in dict.fromkeys(texts):
                self._known[text] = found[text]
                self._known.move_to_end(text)
            while len(self._known) > self._kept:
                self._known.popitem(last=False)
        return [found[text] for text in texts]

    def forget(self) -> None:
        """Remember nothing."""
        with self._lock:
            self._known.clear()
