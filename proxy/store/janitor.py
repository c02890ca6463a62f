"""Keeps a cache directory within its bytes, and clean of parts whose writers died. One a node, in the supervisor.

A scan is a walk over the directory; between scans the workers' counters say how much was added. Least recently used
goes first: a file's mtime is its last use, to the minute.
"""

import asyncio
import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from kit import log
from kit.metrics import Board

HIGH, LOW = 0.90, 0.80
"""Watermarks (D-09): above HIGH files are removed until LOW."""
_LOOK_EVERY_S = 1.0
_SWEEP_EVERY_S = 600.0
_DISK = "headrace_store_disk_bytes"


@dataclass(frozen=True, slots=True)
class File:
    """One complete file of the cache."""

    used: float
    size: int
    path: Path


class Janitor:
    """`row` is the supervisor's row of `board`: it holds what the last scan found more than the workers counted."""

    def __init__(self, directory: Path, limit: int, board: Board, row: int) -> None:
        self._directory, self._limit = directory, limit
        self._board, self._row = board, board.row(row)

    async def run(self) -> None:
        """Scan at start, whenever the counters pass the high watermark, and now and then for what dead workers left."""
        due = 0.0
        while True:
            now = asyncio.get_running_loop().time()
            if now >= due or self._board.total(_DISK) > self._limit * HIGH:
                due = now + _SWEEP_EVERY_S
                await self.sweep()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def sweep(self) -> None:
        """Count what is there; remove what is too much."""
        counted = self._board.total(_DISK) - self._row.cells[self._row.column(_DISK)]
        total, removed = await asyncio.get_running_loop().run_in_executor(None, self._sweep)
        self._row.set(_DISK, total - counted)
        self._row.add("headrace_store_evictions_total", amount=removed)
        if removed:
            log.get("store").info("evicted", files=removed, bytes_left=total)

    def _sweep(self) -> tuple[int, int]:
        growing = remove_orphans(self._directory / "parts")
        files = scan(self._directory)
        total = growing + sum(file.size for file in files)
        removed = 0
        if total > self._limit * HIGH:
            for file in sorted(files, key=lambda each: each.used):
                if total <= self._limit * LOW:
                    break
                with contextlib.suppress(OSError):
                    file.path.unlink(missing_ok=True)
                    total -= file.size
                    removed += 1
        return total, removed


def scan(directory: Path) -> list[File]:
    """The files of a cache: two hex digits of directory, the rest as name. Anything else is not ours."""
    found: list[File] = []
    for shard in range(256):
        try:
            entries = os.scandir(directory / f"{shard:02x}")
        except OSError:
            continue
        with entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if len(entry.name) == 38 and entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        found.append(File(status.st_mtime, status.st_size, Path(entry.path)))
    return found


def remove_orphans(parts: Path) -> int:
    """Remove part files that no living writer holds the lock of; the bytes of those that one holds."""
    growing = 0
    for path in parts.glob("*.*.*"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                growing += path.lstat().st_size
                continue
            path.unlink(missing_ok=True)
    return growing
