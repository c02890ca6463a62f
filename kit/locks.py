"""Locks on bytes of a file that belong to an open description of it (fcntl(2), F_OFD_*).

Two descriptions exclude one another, in one process too; descriptors of one description do not. The kernel gives a lock
back when the last descriptor of its description is closed, so also for a process that dies. Nothing need be there where
a lock is: a file may be empty, or shorter.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock: type, whence, start, length, pid."""


def take(fd: int, start: int, length: int) -> bool:
    """Lock these bytes for this description alone; False when another one holds some of them."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, start, length))
    except BlockingIOError:
        return False
    return True


def give_back(fd: int, start: int, length: int) -> None:
    """Let go of these bytes."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, start, length))


def holder(fd: int, start: int, length: int) -> int | None:
    """Where the lock of another description begins that keeps this one from these bytes; None when none does."""
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, start, length))
    kind, _, begins, _, _ = _FLOCK.unpack(answer)
    return None if kind == fcntl.F_UNLCK else int(begins)


@contextlib.contextmanager
def held(fd: int, byte: int) -> Iterator[None]:
    """Hold one byte, when others have let go of it. Blocks."""
    fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _flock(fcntl.F_WRLCK, byte, 1))
    try:
        yield
    finally:
        give_back(fd, byte, 1)


def _flock(kind: int, start: int, length: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, start, length, 0)
