"""Notes from workers to their supervisor: datagrams that are lost rather than waited for."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

MOST_BYTES = 60_000
"""Of one note: below what a Unix datagram carries by default."""
_TURN = 64
"""Notes read before the loop serves somebody else."""


class Post:
    """The supervisor's end. `fd` is for the workers, all of them."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for each in (self._ours, self._theirs):
            each.setblocking(False)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def fd(self) -> int:
        """Where workers write."""
        return self._theirs.fileno()

    def listen(self, take: Callable[[bytes], None]) -> None:
        """Call `take` with every note from now on. Once, inside the loop; `take` must be quick and not raise."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._ours.fileno(), self._read, take)

    def close(self) -> None:
        """Hear no more."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._ours.fileno())
        self._ours.close()
        self._theirs.close()

    def _read(self, take: Callable[[bytes], None]) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(_TURN):
                take(self._ours.recv(MOST_BYTES))


class Sender:
    """A worker's end."""

    def __init__(self, fd: int) -> None:
        """`fd` as Post gave it; it stays the caller's."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, fileno=os.dup(fd))
        self._socket.setblocking(False)

    def send(self, note: bytes) -> bool:
        """Whether the note is on its way: not when it is too long, or nobody reads."""
        try:
            return len(note) <= MOST_BYTES and self._socket.send(note) == len(note)
        except OSError:
            return False

    def close(self) -> None:
        """Send no more."""
        self._socket.close()
