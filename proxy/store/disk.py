"""Blocking file work of the store; every function runs off the loop. OSError means the disk, Foreign the content."""

import contextlib
import fcntl
import hashlib
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

from proxy.rules.meta import Meta
from proxy.store import format as file_format
from proxy.store.descriptors import Lease
from proxy.store.format import Foreign, Layout

_PARTS = "parts"
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Found:
    """A complete file: open, understood."""

    path: Path
    lease: Lease
    layout: Layout
    meta: Meta


@dataclass(frozen=True, slots=True)
class Part:
    """A file being written, locked by its writer as long as that lives; body bytes start at `offset`."""

    path: Path
    lease: Lease
    block: bytes
    offset: int


def prepare(directory: Path) -> None:
    """Make the directories of a cache."""
    (directory / _PARTS).mkdir(parents=True, exist_ok=True)


def path_of(directory: Path, key: str) -> Path:
    """Where the answer for `key` lies."""
    name = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()
    return directory / name[:2] / name[2:]


def find(directory: Path, key: str) -> Found | None:
    """The complete file for `key`, None when there is none."""
    path = path_of(directory, key)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    lease = Lease(fd)
    try:
        layout, meta = _read_head(fd, key)
    except Foreign:
        return None
    return Found(path, lease, layout, meta)


def _read_head(fd: int, key: str) -> tuple[Layout, Meta]:
    block = os.pread(fd, file_format.READ_FIRST, 0)
    need = file_format.needed(block)
    if need > len(block):
        block = os.pread(fd, need, 0)
    return file_format.parse(block, os.fstat(fd).st_size, key)


def start_part(directory: Path, meta: Meta, length: int | None) -> Part:
    """A new part file with its head; with a known length the space is reserved, so that a full disk shows now."""
    path = directory / _PARTS / f"{path_of(directory, meta.key).name}.{os.getpid()}.{next(_numbers)}"
    block, offset = file_format.head_block(meta)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    lease = Lease(fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if length:
            os.posix_fallocate(fd, 0, offset + length)
        _write_all(fd, block, 0)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return Part(path, lease, block, offset)


def write(part: Part, piece: bytes, at: int) -> None:
    """Put body bytes in place; `at` counts from the body's start."""
    _write_all(part.lease.fd, piece, part.offset + at)


def publish(directory: Path, part: Part, meta: Meta, length: int, digest: bytes) -> tuple[Path, Layout]:
    """Complete the head, then give the file its name: from here on it can be found."""
    fd = part.lease.fd
    os.ftruncate(fd, part.offset + length)
    _write_all(fd, file_format.finished(part.block, length, digest), 0)
    path = path_of(directory, meta.key)
    path.parent.mkdir(exist_ok=True)
    part.path.rename(path)
    layout, _ = _read_head(fd, meta.key)
    return path, layout


def discard(part: Part) -> None:
    """Remove a part; its readers, if any, keep their descriptor."""
    part.path.unlink(missing_ok=True)


def rewrite(found: Found, meta: Meta) -> bool:
    """New metadata for a complete file; False when it does not fit and only memory knows it."""
    block = file_format.rewritten(found.layout, meta)
    if block is None:
        return False
    with contextlib.suppress(FileNotFoundError), found.path.open("r+b") as file:
        if os.fstat(file.fileno()).st_ino == os.fstat(found.lease.fd).st_ino:
            _write_all(file.fileno(), block, 0)
    return True


def remove(path: Path) -> None:
    """Forget a file."""
    path.unlink(missing_ok=True)


def touch(path: Path) -> None:
    """Note the use of a file, for the janitor."""
    with contextlib.suppress(OSError):
        os.utime(path)


def _write_all(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, at)
        view, at = view[count:], at + count
