"""A trace through an order of eviction, with a node's watermarks: how many requests and bytes miss."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.trace import Trace
from proxy.store.evict import NONE, Evictor
from proxy.store.keeper import HIGH, LOW

Admit = Callable[[int, int, float], bool]
"""Whether an object of (number, bytes) that missed at a time is worth another's place."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Above `high` of its bytes a cache evicts until `low`. Equal ones: it evicts one by one, as textbooks do."""

    high: float = HIGH
    low: float = LOW


@dataclass(slots=True)
class Misses:
    """What was counted after the warm-up."""

    requests: int = 0
    bytes: int = 0
    missed: int = 0
    missed_bytes: int = 0
    refused: int = 0
    """Objects not admitted."""

    @property
    def ratio(self) -> float:
        """Part of the requests that missed."""
        return self.missed / max(1, self.requests)

    @property
    def byte_ratio(self) -> float:
        """Part of the bytes that missed."""
        return self.missed_bytes / max(1, self.bytes)


def replay(
    trace: Trace, evictor: Evictor, limit: int, *, marks: Marks | None = None, warm: int = 0, admit: Admit | None = None
) -> Misses:
    """Run `trace` through a cache of `limit` bytes; the first `warm` requests fill it and are not counted.

    Objects are their own slots. As in a node, admission acts only where storing would evict (contracts.md), and an
    object is stored before room is made; with equal marks room is made first.
    """
    marks = marks or Marks()
    cache = _Cache(trace, evictor, limit, marks)
    counted = Misses()
    sizes, held, used = trace.sizes, cache.held, evictor.used
    for at, number in enumerate(trace.objects):
        size = sizes[number]
        hit = held[number]
        if hit:
            used(number)
        elif size <= limit:
            if admit is None or not cache.full(size) or admit(number, size, trace.times[at]):
                cache.store(number, size)
            elif at >= warm:
                counted.refused += 1
        if at >= warm:
            counted.requests += 1
            counted.bytes += size
            if not hit:
                counted.missed += 1
                counted.missed_bytes += size
    return counted


class _Cache:
    """What is stored, and the room it takes."""

    def __init__(self, trace: Trace, evictor: Evictor, limit: int, marks: Marks) -> None:
        self.held = bytearray(len(trace.sizes))
        self._sizes, self._evictor = trace.sizes, evictor
        self._high, self._low = int(limit * marks.high), int(limit * marks.low)
        self._bytes = 0

    def full(self, size: int) -> bool:
        """Whether storing so much would evict."""
        return self._bytes + size > self._high

    def store(self, number: int, size: int) -> None:
        """Store, and make room: afterwards as the keeper does, before when the marks are one."""
        if self._low == self._high:
            self._shrink(self._high - size)
        self.held[number] = 1
        self._evictor.added(number)
        self._bytes += size
        if self._bytes > self._high:
            self._shrink(self._low)

    def _shrink(self, to: int) -> None:
        while self._bytes > to and (gone := self._evictor.victim()) != NONE:
            self.held[gone] = 0
            self._bytes -= self._sizes[gone]
