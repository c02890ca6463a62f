"""A state directory belongs to one running installation; the rest is refused before anything is touched."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from kit.errors import SettingsError

LOCK = "up.lock"
PRIVATE = 0o077
"""umask of an installation: keys, tokens, logs and viewers' addresses are for its owner alone."""


@contextlib.contextmanager
def claimed(state: Path) -> Iterator[None]:
    """Make `state` (mode 700) and hold it for this process; the kernel lets go when the process ends, however.

    SettingsError when it cannot be made or written, or when another installation runs in it. Files that this process
    and its children make from here on are closed to others.
    """
    os.umask(PRIVATE)
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"--state {state}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        yield
    except BlockingIOError:
        owner = os.read(lock, 20).decode("ascii", "replace").strip()
        raise SettingsError(f"--state {state}: an installation runs there already (pid {owner or 'unknown'})") from None
    finally:
        os.close(lock)
