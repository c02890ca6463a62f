"""A sliced file: an object of which some slices are there, shared by the workers of a node (contracts.md).

Its table says which slices are there, with a checksum each. The bytes of a slice are written first, its record after:
whatever dies in between, what the table says is right. Every slice has a record of its own, and every writer writes the
same bytes, so that two workers that bring in one slice do no harm. A process believes a slice that it did not write
when it has read it once and found it sound. Functions here block; they run off the loop.
"""

import hashlib
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from kit import locks
from proxy.rules.meta import Meta
from proxy.rules.slicing import Grid
from proxy.store import disk, journal
from proxy.store import format as file_format
from proxy.store.bodies import FileBody
from proxy.store.descriptors import Lease
from proxy.store.disk import Found, Published
from proxy.store.format import Foreign, Layout
from proxy.store.tags import tags_of

_RECORD = struct.Struct(">II")
_THERE = 0x534C4943
_PIECE = 1 << 20
_ALLOCATING = 1 << 62
"""The byte that is locked while space is taken; no file is so long."""


class SparseFile(Lease):
    """An open sliced file, and what this process knows of its slices. One a file in a process (Store sees to it)."""

    def __init__(self, fd: int, layout: Layout) -> None:
        """Owns `fd`, which is open for reading and writing."""
        super().__init__(fd)
        self.layout = layout
        self.grid = Grid(layout.body_length, layout.slice_size)
        self.complete = False
        """Every slice was there and sound when somebody looked last."""
        self.table = bytes(file_format.RECORD * self.grid.count)
        """As it was read last."""
        self.trusted = bytearray(self.grid.count)
        """1 for a slice that this process wrote, or read and found sound."""
        self.allocating = threading.Lock()

    @property
    def identity(self) -> bytes:
        """Tells this file from every other one, of the same name too."""
        return self.layout.digest

    def there(self, index: int) -> bool:
        """Whether a slice is there, as the table was read last; it may still be found rotten."""
        return bool(self.trusted[index]) or _record(self.table, index)[0] == _THERE


@final
@dataclass(frozen=True, slots=True)
class SparseBody:
    """The body of an object of which some slices may be missing: fill.slices reads it."""

    file: SparseFile

    @property
    def length(self) -> int:
        """Bytes in all."""
        return self.file.layout.body_length

    def sound(self, start: int, end: int) -> FileBody | None:
        """The body as that of a complete file, where this process has seen that every slice of the bytes `start` to
        `end` is there and sound; only those may be read. A sound slice stays one."""
        file = self.file
        over = file.grid.over(start, end)
        if start < end and 0 in file.trusted[over.start : over.stop]:
            return None
        return FileBody(file, file.layout.body_offset, file.layout.body_length)


@dataclass(frozen=True, slots=True)
class Created:
    """A new object without any slice; `taken` bytes lie on disk for it."""

    file: SparseFile
    published: Published
    taken: int


def create(directory: Path, meta: Meta, length: int, slice_size: int, current: Callable[[], bool]) -> Created | None:
    """A new object without any slice, findable from here on. None when it would have too many slices, or when an
    invalidation overtook the fill: see disk.publish. OSError when the disk refuses."""
    made = file_format.sliced_block(meta, length, slice_size, secrets.token_bytes(32))
    if made is None:
        return None
    block, layout = made
    part = disk.start_part(directory, meta, None)
    try:
        os.ftruncate(part.lease.fd, layout.body_offset + length)
        disk.write_all(part.lease.fd, block, 0)
        file = SparseFile(os.dup(part.lease.fd), layout)
        taken = size(file)
        published = disk.give_name(directory, part, layout, meta, current)
    except OSError:
        disk.discard(part)
        raise
    return Created(file, published, taken) if published else None


def reopen(found: Found) -> SparseFile:
    """The file that was found, to be written as well; another one that got its name meanwhile is not meant. It is not
    complete by its word alone: a hole must never be served."""
    file = SparseFile(os.open(f"/proc/self/fd/{found.lease.fd}", os.O_RDWR | os.O_CLOEXEC), found.layout)
    file.complete = all_there(file, range(file.grid.count)) and found.layout.complete
    return file


def read_table(file: SparseFile) -> None:
    """See what other workers brought in."""
    file.table = os.pread(file.fd, len(file.table), file.layout.table_offset).ljust(len(file.table), b"\0")


def all_there(file: SparseFile, indexes: range) -> bool:
    """Whether the table has these slices now."""
    read_table(file)
    return all(map(file.there, indexes))


def size(file: SparseFile) -> int:
    """Bytes that it takes on disk."""
    return disk.taken(os.fstat(file.fd))


def allocate(file: SparseFile, start: int, end: int) -> int:
    """Take the space for body bytes `start` to `end`, so that a full disk shows now; how many bytes that took. One at
    a time among all workers: each counts what it took."""
    with file.allocating, locks.held(file.fd, _ALLOCATING):
        before = size(file)
        os.posix_fallocate(file.fd, file.layout.body_offset + start, end - start)
        return size(file) - before


def put(file: SparseFile, at: int, piece: bytes, whole: Iterable[tuple[int, int]]) -> None:
    """Write body bytes at `at`, then record the slices that are `whole` with them: (index, CRC-32)."""
    disk.write_all(file.fd, piece, file.layout.body_offset + at)
    for index, crc in whole:
        _write_record(file, index, _RECORD.pack(_THERE, crc))
        file.trusted[index] = 1


def sound(file: SparseFile, index: int) -> bool:
    """Whether a slice is what was written; if not it is missing from now on."""
    start, end = file.grid.extent(index)
    known, crc = _record(file.table, index)
    data = os.pread(file.fd, end - start, file.layout.body_offset + start)
    if known == _THERE and len(data) == end - start and zlib.crc32(data) == crc:
        file.trusted[index] = 1
        return True
    file.trusted[index] = 0
    _write_record(file, index, bytes(file_format.RECORD))
    read_table(file)
    return False


def rotten(file: SparseFile) -> list[int]:
    """Check every slice that this process has not checked yet; which ones are missing from now on."""
    return [index for index in range(file.grid.count) if not file.trusted[index] and not sound(file, index)]


def digest(file: SparseFile) -> bytes:
    """SHA-256 of the body."""
    state = hashlib.sha256()
    for at in range(0, file.layout.body_length, _PIECE):
        state.update(os.pread(file.fd, min(_PIECE, file.layout.body_length - at), file.layout.body_offset + at))
    return state.digest()


def complete(file: SparseFile) -> None:
    """Every slice is there: from here on it is a file like others."""
    with locks.held(file.fd, disk.HEAD):
        disk.write_all(file.fd, *file_format.completed())
    file.complete = True


def note_growth(directory: Path, file: SparseFile, key: str) -> bool:
    """Tell the keeper that the object under `key` takes more now; False when that is not this file's any more."""
    with disk.locked(directory):
        try:
            found = disk.find(directory, key)
        except Foreign:
            return False
        if found is None or found.layout.digest != file.identity:
            return False
        journal.append(directory, "stored", key, tags_of(found.meta.fields))
        return True


def damaged(found: Found) -> bool:
    """Whether a slice that the table has is not what was written, or a complete file lacks one. Changes nothing."""
    file = SparseFile(os.dup(found.lease.fd), found.layout)
    read_table(file)
    for index in range(file.grid.count):
        known, crc = _record(file.table, index)
        start, end = file.grid.extent(index)
        if known != _THERE and found.layout.complete:
            return True
        data = os.pread(file.fd, end - start, found.layout.body_offset + start) if known == _THERE else b""
        if known == _THERE and zlib.crc32(data) != crc:
            return True
    return False


def _record(table: bytes, index: int) -> tuple[int, int]:
    known, crc = _RECORD.unpack_from(table, index * file_format.RECORD)
    return known, crc


def _write_record(file: SparseFile, index: int, record: bytes) -> None:
    disk.write_all(file.fd, record, file.layout.table_offset + index * file_format.RECORD)
