"""Words that one process publishes to others through shared memory; to see that nothing changed costs one look."""

import mmap
import os
from collections.abc import Iterable, Sequence

_HEAD = 16
"""Two numbers of 8 bytes: how often it changed, twice (odd while it is being written), and how long the text is."""


class Publisher:
    """The writing side; give `fd` to the readers."""

    def __init__(self, most_bytes: int) -> None:
        self.fd = os.memfd_create("headrace-published")
        os.ftruncate(self.fd, _HEAD + most_bytes)
        self._most = most_bytes
        self._map = mmap.mmap(self.fd, _HEAD + most_bytes)
        self._numbers = memoryview(self._map)[:_HEAD].cast("q")

    def put(self, words: Iterable[str]) -> None:
        """Publish these, instead of those before. ValueError when they do not fit, or one has a line break."""
        listed = list(words)
        blob = "\n".join(listed).encode()
        if len(blob) > self._most or any("\n" in word for word in listed):
            raise ValueError(f"{len(blob)} bytes in {len(listed)} words do not fit")
        self._numbers[0] += 1
        self._map[_HEAD : _HEAD + len(blob)] = blob
        self._numbers[1] = len(blob)
        self._numbers[0] += 1

    def close(self) -> None:
        """Let go of the memory; readers keep theirs."""
        self._numbers.release()
        self._map.close()
        os.close(self.fd)


class Reader:
    """The reading side."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        self.changes: Sequence[int] = memoryview(self._map)[:_HEAD].cast("q")
        """On a hot path: nothing changed while `changes[0]` is `seen`."""
        self.seen = 0
        self._words: frozenset[str] = frozenset()

    def words(self) -> frozenset[str]:
        """What is published now. While it is being written (microseconds), what was before."""
        if self.changes[0] != self.seen:
            self._read()
        return self._words

    def _read(self) -> None:
        before = self.changes[0]
        blob = bytes(self._map[_HEAD : _HEAD + self.changes[1]])
        if before % 2 == 0 and self.changes[0] == before:
            self._words = frozenset(blob.decode().split("\n")) if blob else frozenset()
            self.seen = before
