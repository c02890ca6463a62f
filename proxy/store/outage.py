"""A cache directory whose disk fails: when it is ejected, how that is remembered, and how it comes back.

It comes back empty. While it was out it missed purges, invalidations and newer answers of the same keys, also those of
a later life of the node; nothing that it held may be served after them. And a disk that failed is not believed.
"""

import contextlib
import os
import shutil
from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from kit import log
from proxy.store import disk, journal
from proxy.store.directory import remove_orphans
from proxy.store.index import FOLDER

MOST, WITHIN_S = 5, 10.0
PROBE_EVERY_S = 5.0
_PROBE = "probe"
_BLOB = os.urandom(4096)


class Failures:
    """Failures of one disk as they are counted; pure. MOST within WITHIN_S seconds are too many."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=MOST)
        self._before = 0

    def reset(self, total: int) -> None:
        """Nothing of before counts any more."""
        self._seen.clear()
        self._before = total

    def too_many(self, total: int, now: float) -> bool:
        """`total` failures since the node began, `now` in monotonic seconds."""
        if total > self._before:
            self._seen.append((now, total - self._before))
            self._before = total
        while self._seen and now - self._seen[0][0] > WITHIN_S:
            self._seen.popleft()
        return sum(count for _, count in self._seen) >= MOST


def mark(directory: Path, places: Iterable[Path]) -> bool:
    """Write down, in every one of `places` that takes it, that `directory` is out; whether any did. Without that a
    later life might believe what it holds."""
    written = 0
    for place in places:
        with contextlib.suppress(OSError):
            fd = os.open(place / _mark(directory), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, f"{directory} is out\n".encode())
                os.fsync(fd)
                written += 1
            finally:
                os.close(fd)
    return written > 0


def marked(directory: Path, places: Iterable[Path]) -> bool:
    """Whether an earlier life wrote down that `directory` is out."""
    return any((place / _mark(directory)).exists() for place in places)


def unmark(directory: Path, places: Iterable[Path]) -> None:
    """It is empty and well again. A mark that cannot be removed empties it once more in the next life."""
    for place in places:
        with contextlib.suppress(OSError):
            (place / _mark(directory)).unlink(missing_ok=True)


def answers(directory: Path) -> bool:
    """Whether the disk takes a small file to the platter and gives it back."""
    path = directory / _PROBE
    try:
        disk.prepare(directory)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, _BLOB)
            os.fsync(fd)
            whole = os.pread(fd, len(_BLOB) + 1, 0) == _BLOB
        finally:
            os.close(fd)
        path.unlink()
    except OSError as error:
        log.get("keeper").info("a cache directory is still out", directory=str(directory), error=str(error))
        return False
    return whole


def empty(directory: Path) -> int:
    """Remove every answer, the index and the journal; the bytes of parts that living writers still hold. OSError when
    the disk refuses. Files of others stay."""
    for number in range(256):
        with contextlib.suppress(FileNotFoundError), os.scandir(directory / f"{number:02x}") as entries:
            for entry in entries:
                if len(entry.name) == 38 and entry.is_file(follow_symlinks=False):
                    Path(entry.path).unlink()
    if (directory / FOLDER).exists():
        shutil.rmtree(directory / FOLDER)
    journal.clear(directory)
    return remove_orphans(directory / "parts")


def _mark(directory: Path) -> str:
    return f"out.{blake2b(os.fsencode(directory), digest_size=8).hexdigest()}"
