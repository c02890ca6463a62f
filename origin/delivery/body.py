"""Bytes of one object to one connection, in pieces, read off the loop."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, TypeVar

from aiohttp import web

from kit.errors import HeadraceError

T = TypeVar("T")
PIECE = 256 * 1024
"""Bytes in memory per request under way."""
STALL_S = 60.0
"""A shield that takes no piece for this long is cut off."""


class ObjectDamaged(HeadraceError):
    """The catalog names an object that the store does not have in that size."""

    kind: ClassVar[str] = "object_damaged"


class Bodies:
    """Reads objects on threads of its own, at most `threads` at once."""

    def __init__(self, *, threads: int = 8) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bodies")

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=True)

    async def open(self, path: Path, size: int) -> int:
        """A descriptor of the object, the caller's to close; ObjectDamaged when it is missing or of another size."""
        return await self._run(lambda: _open(path, size))

    async def send(self, request: web.Request, response: web.StreamResponse, fd: int, start: int, end: int) -> None:
        """Write bytes `start` to `end` (exclusive) of `fd`; `response` is prepared.

        What goes wrong from here on cuts the connection: the receiver sees a short body, never a wrong one.
        """
        try:
            for offset in range(start, end, PIECE):
                piece = await self._run(lambda at=offset: _read(fd, at, min(PIECE, end - at)))  # type: ignore[misc]
                async with asyncio.timeout(STALL_S):
                    await response.write(piece)
        except BaseException:
            if request.transport is not None:
                request.transport.abort()
            raise

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _open(path: Path, size: int) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ObjectDamaged(f"object {path.name} is missing") from None
    actual = os.fstat(fd).st_size
    if actual != size:
        os.close(fd)
        raise ObjectDamaged(f"object {path.name} has {actual} bytes instead of {size}")
    return fd


def _read(fd: int, offset: int, length: int) -> bytes:
    piece = os.pread(fd, length, offset)
    if len(piece) != length:
        raise ObjectDamaged(f"object ends at {offset + len(piece)}")
    return piece
