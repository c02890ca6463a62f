"""Whether anybody runs ingest jobs: a worker holds a lock on a byte of a file in the state directory while it lives.

No clock and no heartbeat: the kernel takes the lock back, however the process ends. Blocking, for a moment: call in a
thread.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kit import locks

FILE = "workers.lock"
SEATS = 1_000
"""Workers at a time; one more runs its jobs unseen."""


@contextlib.contextmanager
def present(state_dir: Path) -> Iterator[None]:
    """This process runs jobs within the block. OSError when the file cannot be written."""
    state_dir.mkdir(parents=True, exist_ok=True)
    fd = os.open(state_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        any(locks.take(fd, seat, 1) for seat in range(SEATS))
        yield
    finally:
        os.close(fd)


def anybody(state_dir: Path) -> bool:
    """Whether a worker lives; True where that cannot be told."""
    try:
        fd = os.open(state_dir / FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return locks.holder(fd, 0, SEATS) is not None
    except OSError:
        return True
    finally:
        os.close(fd)
