"""A trace through an order of eviction, with a node's watermarks: how many requests and bytes miss."""

from dataclasses import dataclass

from bench.trace import Trace
from proxy.store.admit import SecondHit, full, size_for
from proxy.store.evict import NONE, Evictor
from proxy.store.volumes import HIGH, LOW

_AGE_EVERY = 256
"""Misses between two looks at whether admission's memory has to age; a keeper looks ten times a second."""


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
    trace: Trace,
    evictor: Evictor,
    limit: int,
    *,
    marks: Marks | None = None,
    warm: int = 0,
    admit_above: int | None = None,
) -> Misses:
    """Run `trace` through a cache of `limit` bytes; the first `warm` requests fill it and are not counted.

    Objects are their own slots. `admit_above`: admission by second hit for what is larger (None: all is stored). As in
    a node an object is stored before room is made; with equal marks room is made first.
    """
    cache = _Cache(trace, evictor, limit, marks or Marks(), admit_above)
    counted = Misses()
    sizes, held, used = trace.sizes, cache.held, evictor.used
    for at, number in enumerate(trace.objects):
        hit, stored = held[number], True
        if hit:
            used(number)
        else:
            stored = cache.missed(number)
        if at >= warm:
            counted.requests += 1
            counted.bytes += sizes[number]
            if not hit:
                counted.missed += 1
                counted.missed_bytes += sizes[number]
                counted.refused += not stored
    return counted


class _Cache:
    """What is stored, and the room it takes."""

    def __init__(self, trace: Trace, evictor: Evictor, limit: int, marks: Marks, admit_above: int | None) -> None:
        self.held = bytearray(len(trace.sizes))
        self._sizes, self._evictor, self._limit = trace.sizes, evictor, limit
        self._high, self._low = int(limit * marks.high), int(limit * marks.low)
        self._bytes = self._objects = self._misses = 0
        self._full = False
        self._above = admit_above
        self._asked = SecondHit(bytearray(size_for(len(trace.sizes))))

    def missed(self, number: int) -> bool:
        """Somebody asked for what is not here: store it, if it is wanted. Whether it was stored."""
        size = self._sizes[number]
        if size > self._high or not self._admits(number, size):
            return False
        if self._low == self._high:
            self._shrink(self._high - size)
        self.held[number] = 1
        self._evictor.added(number)
        self._bytes += size
        self._objects += 1
        if self._bytes > self._high:
            self._full = True
            self._shrink(self._low)
        return True

    def _admits(self, number: int, size: int) -> bool:
        """As a worker's admission and the keeper together decide."""
        if self._above is None:
            return True
        key = number.to_bytes(8, "little")
        self._asked.ask(key)
        self._misses += 1
        if self._misses % _AGE_EVERY == 0:
            self._asked.age(self._objects)
        self._full = full(self._full, self._bytes, self._limit)
        return not self._full or size <= self._above or self._asked.wanted(key)

    def _shrink(self, to: int) -> None:
        while self._bytes > to and (gone := self._evictor.victim()) != NONE:
            self.held[gone] = 0
            self._bytes -= self._sizes[gone]
            self._objects -= 1
