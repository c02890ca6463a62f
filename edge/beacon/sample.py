"""A sample of fixed size: each of those that came has the same chance to be in it (reservoir sampling)."""

import random
from typing import Generic, TypeVar

T = TypeVar("T")


class Sample(Generic[T]):
    """At most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[T] = []
        self.came = 0
        """How many there were since the last `take`."""

    def add(self, each: T) -> None:
        """One more; it may take the place of another."""
        self.came += 1
        if len(self._kept) < self._most:
            self._kept.append(each)
        elif (place := int(random.random() * self.came)) < self._most:  # noqa: S311 (a sample, no secret)
            self._kept[place] = each

    def take(self) -> list[T]:
        """What was kept, out of here."""
        kept, self._kept, self.came = self._kept, [], 0
        return kept
