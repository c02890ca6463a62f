"""Open files of stored answers: opened once, shared by readers, closed when evicted and no reader has them any more."""

import os
from collections import OrderedDict
from typing import NamedTuple


class Seen(NamedTuple):
    """The bytes `start` to `end` of a file were in memory at `when`, by the loop's clock."""

    start: int
    end: int
    when: float

    def covers(self, start: int, end: int, since: float) -> bool:
        """Whether that holds for these bytes, `since` then or later."""
        return self.start <= start and end <= self.end and self.when >= since


_NOTHING = Seen(0, 0, 0.0)


class Lease:
    """An open descriptor. It is closed with the last reference to this object, so a reader that holds the lease can
    never find another file under the number."""

    __slots__ = ("fd", "seen")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.seen = _NOTHING
        """What was last known of its pages, for all readers."""

    def __del__(self) -> None:
        os.close(self.fd)


class Descriptors:
    """At most `limit` files kept open for the next reader, least recently used let go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[str, Lease] = OrderedDict()

    def get(self, key: str) -> Lease | None:
        """The lease of a key's file, where that is open."""
        lease = self._open.get(key)
        if lease:
            self._open.move_to_end(key)
        return lease

    def add(self, key: str, lease: Lease) -> None:
        """Keep `lease`, instead of an older one of the same key."""
        self._open[key] = lease
        self._open.move_to_end(key)
        while len(self._open) > self._limit:
            self._open.popitem(last=False)

    def drop(self, key: str) -> None:
        """Let go of a file."""
        self._open.pop(key, None)

    def close(self) -> None:
        """Let go of all."""
        self._open.clear()
