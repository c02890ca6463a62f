"""Bounded maps that remember what was asked for lately, at the price of a plain dict."""

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_CHANCES = 64
"""Values at most that are passed over to find one that can go: where all are in use, the oldest of them does."""


class Used(Protocol):
    """A value with a mark that whoever hits it sets."""

    used: bool


U = TypeVar("U", bound=Used)


class Memo(Generic[K, V]):
    """At most `most` values, in two generations: when the young one is full it becomes the old one, and the one before
    goes. What was used since then moves along. An exact order of use would cost ten times as much a look-up."""

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, None when it is not (or no longer) here."""
        value = self._young.get(key)
        if value is None and (value := self._old.pop(key, None)) is not None:
            self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember `value`."""
        if len(self._young) >= self._half and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class SecondChance(Generic[K, U]):
    """At most `most` values that carry their mark of use themselves: a hit writes into one object, where an order of
    use would write into three others. Holds as many as it says, where Memo may hold half."""

    __slots__ = ("_most", "_values")

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._values: OrderedDict[K, U] = OrderedDict()

    def get(self, key: K) -> U | None:
        """The value, None when it is not (or no longer) here; who uses it sets its mark."""
        return self._values.get(key)

    def put(self, key: K, value: U) -> None:
        """Remember `value`; the oldest that was not used since the last look goes."""
        self._values[key] = value
        if len(self._values) > self._most:
            pop_unused(self._values)

    def __len__(self) -> int:
        return len(self._values)


def pop_unused(values: OrderedDict[K, U]) -> U:
    """Take out the oldest value that was not used since the last look; those that were are passed over once."""
    for _ in range(_CHANCES):
        key, value = next(iter(values.items()))
        if not value.used:
            break
        value.used = False
        values.move_to_end(key)
    return values.popitem(last=False)[1]
