"""What was made lately, so that it is not made again.

`Recent` keeps the last values that were asked for; `Memo` takes a function that makes something of each of several texts and asks it,
together, for those that it does not remember.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")
Make = Callable[[list[str]], Iterable[np.ndarray]]


class Recent(Generic[T]):
    """The `kept` values that were put or found last, by name; safe to use from several threads."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._values: OrderedDict[str, T] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> T | None:
        """The value, or None."""
        with self._lock:
            if name in self._values:
                self._values.move_to_end(name)
            return self._values.get(name)

    def put(self, name: str, value: T) -> None:
        """Keep a value; the one that was not asked for longest goes."""
        with self._lock:
            self._values[name] = value
            self._values.move_to_end(name)
            while len(self._values) > self._kept:
                self._values.popitem(last=False)

    def forget(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._values.clear()


class Memo(Recent[np.ndarray]):
    """`make`, for any number of texts at once; arrays of the last `kept` texts are remembered."""

    def __init__(self, make: Make, kept: int) -> None:
        super().__init__(kept)
        self._make = make

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        """One array a text, in the order of the texts."""
        found = {text: value for text in dict.fromkeys(texts) if (value := self.get(text)) is not None}
        if missing := [text for text in dict.fromkeys(texts) if text not in found]:
            made = dict(zip(missing, self._make(missing), strict=True))
            for text, value in made.items():
                self.put(text, value)
            found |= made
        return [found[text] for text in texts]
