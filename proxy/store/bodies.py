"""The bytes of an answer, read in pieces; whole in memory, whole in a file, or still growing."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Protocol, final

from kit.errors import UpstreamFailed
from proxy.store.descriptors import Lease

PIECE = 256 * 1024


class Body(Protocol):
    """Bytes that can be read from any place any number of times, by several readers."""

    @property
    def length(self) -> int | None:
        """Bytes in all; None while nobody knows."""
        ...

    def pieces(self, start: int, end: int | None) -> AsyncIterator[bytes]:
        """Bytes from `start` to `end` (exclusive; None: to the end). UpstreamFailed when they never come, OSError when
        the disk does not give them."""
        ...


@final
class MemoryBody:
    """A small body."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def length(self) -> int:
        """See Body."""
        return len(self.data)

    async def pieces(self, start: int, end: int | None) -> AsyncIterator[bytes]:
        """See Body."""
        yield self.data[start:end] if start or end is not None else self.data


@final
class FileBody:
    """A body in a complete file of ours."""

    __slots__ = ("_lease", "_length", "_offset")

    def __init__(self, lease: Lease, offset: int, length: int) -> None:
        self._lease, self._offset, self._length = lease, offset, length

    @property
    def length(self) -> int:
        """See Body."""
        return self._length

    @property
    def place(self) -> tuple[int, int]:
        """The descriptor of the file and where in it the body begins."""
        return self._lease.fd, self._offset

    @property
    def lease(self) -> Lease:
        """The file, for who reads it without us; it stays open as long as this is held."""
        return self._lease

    @property
    def offset(self) -> int:
        """Where in the file the body begins."""
        return self._offset

    async def pieces(self, start: int, end: int | None) -> AsyncIterator[bytes]:
        """See Body."""
        stop = self._length if end is None else end
        while start < stop:
            piece = await read_at(self._lease.fd, self._offset + start, min(PIECE, stop - start))
            if not piece:
                raise OSError("a cache file ended early")
            start += len(piece)
            yield piece


class GrowingBody:
    """A body that a fill is writing: readers follow it, and can tell the writer's end from the writer's death."""

    def __init__(self, length: int | None, *, lease: Lease | None = None, offset: int = 0) -> None:
        self._length, self._lease, self._offset = length, lease, offset
        self._memory = bytearray() if lease is None else None
        self._ready = 0
        self._failure = ""
        self._ended = False
        self._changed = asyncio.Event()

    @property
    def length(self) -> int | None:
        """See Body."""
        return self._length

    @property
    def ready(self) -> int:
        """Bytes that can be read now."""
        return self._ready

    def grown(self, piece: bytes) -> None:
        """The writer has `piece` in place (in the file, when there is one)."""
        if self._memory is not None:
            self._memory += piece
        self._ready += len(piece)
        self._wake()

    def reached(self, ready: int) -> None:
        """Another process has put so many bytes into the file in all."""
        self._ready = max(self._ready, ready)
        self._wake()

    @property
    def place(self) -> tuple[int, int] | None:
        """The descriptor of the file and where in it the body begins; None for a body in memory."""
        return (self._lease.fd, self._offset) if self._lease else None

    @property
    def whole(self) -> bool:
        """All bytes are there."""
        return self._ended

    async def progress(self) -> AsyncIterator[int]:
        """How many bytes can be read, each time that there are more, until the body has ended. UpstreamFailed when the
        rest will never come."""
        told = 0
        while await self.wait_for(told):
            told = self._ready
            yield told

    def ended(self) -> None:
        """All bytes are there."""
        self._length = self._ready
        self._ended = True
        self._wake()

    def failed(self, why: str) -> None:
        """The rest will never come: readers that need it get UpstreamFailed, each its own. A shared exception keeps
        all readers' frames, and with them the open file, until the garbage collector comes by."""
        self._failure = why
        self._wake()

    def contents(self) -> bytes:
        """What a body in memory holds."""
        assert self._memory is not None
        return bytes(self._memory)

    async def pieces(self, start: int, end: int | None) -> AsyncIterator[bytes]:
        """See Body. Waits for bytes that are still to come; the writer's own deadlines bound the wait."""
        while end is None or start < end:
            if not await self.wait_for(start):
                return
            piece = await self._read(start, min(PIECE, self._ready - start, (end or self._ready) - start))
            if not piece:
                raise OSError("a cache file ended early")
            start += len(piece)
            yield piece

    async def wait_for(self, offset: int) -> bool:
        """Wait until the byte at `offset` is there; False when the body ends before it."""
        while self._ready <= offset:
            if self._failure:
                raise UpstreamFailed(self._failure)
            if self._ended:
                return False
            await self._changed.wait()
        return True

    async def _read(self, start: int, size: int) -> bytes:
        if self._memory is not None:
            return bytes(memoryview(self._memory)[start : start + size])
        assert self._lease is not None
        return await read_at(self._lease.fd, self._offset + start, size)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def read_at(fd: int, offset: int, size: int) -> bytes:
    """Up to `size` bytes at `offset`: at once when the page is in memory, off the loop when the disk must be asked."""
    buffer = bytearray(size)
    try:
        count = os.preadv(fd, [buffer], offset, os.RWF_NOWAIT)
    except OSError:  # the page is not in memory, or a file system without RWF_NOWAIT
        return await asyncio.get_running_loop().run_in_executor(None, os.pread, fd, size, offset)
    del buffer[count:]
    return bytes(buffer)
