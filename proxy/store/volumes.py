"""The directories of a cache, and which of them a key lives in: a share of the bytes, counts in shared memory.

A key's home is the best of the directories that are well, by rendezvous hash: when one goes out only its keys move.
"""

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

import lmdb

from kit.hashing import rank
from kit.metrics import Board, Family, Row
from proxy.rules.variants import MARK as VARIANT
from proxy.store.evict import Marks

DISK = "headrace_store_disk_bytes"
BYTES = "headrace_store_volume_bytes"
INDEX = "headrace_store_volume_index_bytes"
OUT = "headrace_store_volume_out"
FULL = "headrace_store_volume_full"
ERRORS = "headrace_store_volume_errors_total"
READ_ONLY = "headrace_store_volume_read_only_total"

HIGH, LOW = 0.90, 0.80
"""Watermarks (D-09): above HIGH objects go until LOW."""

_FAILING = frozenset(
    {
        errno.EIO,
        errno.EROFS,
        errno.ENODEV,
        errno.ENXIO,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EACCES,
        errno.ESTALE,
        errno.ENOTCONN,
        errno.EUCLEAN,
        errno.EBADMSG,
        errno.ETIMEDOUT,
        errno.EREMOTEIO,
        errno.ESHUTDOWN,
    }
)
"""What a sick device or a lost mount says. A full disk, a lack of descriptors and a strange file are none of these."""


def metrics(volumes: int) -> tuple[Family, ...]:
    """The metrics of a node with so many directories."""
    numbers = tuple(str(number) for number in range(volumes))

    def gauge(name: str, text: str) -> Family:
        return Family(name, text, "gauge", label="volume", values=numbers)

    return (
        gauge(BYTES, "Bytes in a cache directory as du counts them, fills under way included, its index not"),
        gauge(INDEX, "Bytes of a cache directory's index, journal and folders"),
        gauge(OUT, "1 while a cache directory is ejected because its disk fails"),
        gauge(FULL, "1 while storing in a cache directory means evicting from it: admission acts"),
        Family(ERRORS, "Failures of a cache directory's disk", label="volume", values=numbers),
        Family(READ_ONLY, "Times a cache directory was found to be read-only", label="volume", values=numbers),
    )


def failing(error: Exception) -> bool:
    """Whether an error says that a disk is sick, not that it is full or that one file is strange."""
    if isinstance(error, lmdb.Error):
        return not isinstance(error, lmdb.DiskError | lmdb.MapFullError | lmdb.MemoryError)
    return isinstance(error, OSError) and error.errno in _FAILING


class Volume:
    """One directory as one process sees it. Bytes are those of all processes of the node."""

    def __init__(
        self, number: int, directory: Path, limit: int, board: Board, row: Row, visited: Marks | None = None
    ) -> None:
        """`limit` bytes at most; `row` is this process's (or thread's). `visited`: a byte a slot, shared with the
        keeper of the directory."""
        self.number, self.directory, self.limit = number, directory, limit
        self.visited = visited
        self._board, self._row, self._label = board, row, str(number)

    @property
    def bytes(self) -> int:
        """Bytes of objects, fills under way included."""
        return self._board.total(BYTES, self._label)

    @property
    def used(self) -> int:
        """Bytes of everything in it."""
        return self.bytes + self._board.total(INDEX, self._label)

    @property
    def out(self) -> bool:
        """Whether it is ejected: nothing in it can be found, nothing goes in."""
        return self._board.total(OUT, self._label) > 0

    @property
    def full(self) -> bool:
        """Whether what comes in drives something out, at once or at the next watermark (admit.full)."""
        return self._board.total(FULL, self._label) > 0 or self.used > self.limit * HIGH

    @property
    def objects(self) -> int:
        """Objects in all directories of the node."""
        return self._board.total("headrace_store_objects")

    def has(self, size: int) -> bool:
        """Whether there is room for `size` bytes now; only who takes them has them."""
        return self.used + size <= self.limit

    def take(self, size: int) -> bool:
        """Count `size` bytes that are about to be on disk; False, and they are not counted, when there is no room.

        Counted first and looked at then: of two processes that ask for the last room both may be refused, never both
        be given it.
        """
        self.add(size)
        if self.used <= self.limit:
            return True
        self.add(-size)
        return False

    def add(self, size: int) -> None:
        """Count bytes that are on disk already, or (negative) that went."""
        self._row.add(BYTES, self._label, size)
        self._row.add(DISK, amount=size)

    def set_index(self, size: int) -> None:
        """The keeper measured what its index takes."""
        self._row.set(INDEX, size, self._label)

    def set_full(self, full: bool) -> None:
        """The keeper saw a watermark crossed."""
        self._row.set(FULL, int(full), self._label)

    def set_out(self, out: bool) -> None:
        """The keeper ejects it, or takes it back."""
        self._row.set(OUT, int(out), self._label)

    def failed(self, error: Exception) -> None:
        """Count an error where it says that the disk fails; the keeper sees it and decides."""
        if failing(error):
            self._row.add(ERRORS, self._label)
            if isinstance(error, OSError) and error.errno == errno.EROFS:
                self._row.add(READ_ONLY, self._label)

    @property
    def failures(self) -> tuple[int, int]:
        """Failures that all processes counted so far; how many said that the disk is read-only."""
        return self._board.total(ERRORS, self._label), self._board.total(READ_ONLY, self._label)


class Volumes:
    """All directories of a node."""

    def __init__(self, volumes: Sequence[Volume]) -> None:
        self._volumes = {str(volume.directory): volume for volume in volumes}

    def __iter__(self) -> Iterator[Volume]:
        return iter(self._volumes.values())

    def well(self) -> list[Volume]:
        """Those that are not out."""
        return [volume for volume in self if not volume.out]

    def home(self, key: str) -> Volume | None:
        """Where `key` and its variants live; None while every directory is out."""
        well = self.well()
        if len(well) < 2:
            return well[0] if well else None
        return self._volumes[rank(key.partition(VARIANT)[0], [str(volume.directory) for volume in well])[0]]


def share(visited: Marks | None, number: int, volumes: int) -> Marks | None:
    """The marks of directory `number`: each has as many slots."""
    if visited is None:
        return None
    each = len(visited) // volumes
    return memoryview(visited)[number * each : (number + 1) * each]
