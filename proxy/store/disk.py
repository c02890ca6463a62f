"""Blocking file work of the store; every function runs off the loop. OSError means the disk, Foreign the content."""

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kit import locks
from proxy.rules.meta import Meta
from proxy.store import format as file_format
from proxy.store import journal
from proxy.store.descriptors import Lease
from proxy.store.format import Foreign, Layout
from proxy.store.tags import tags_of

_PARTS = "parts"
_LOCK = "lock"
BLOCK = 4096
"""Files grow by so much (ext4, XFS)."""
HEAD = 0
"""The byte that is locked while the head of a file that can be found is changed."""
_BIRTHS = 10
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


@dataclass(frozen=True, slots=True)
class Published:
    """A file that can be found and takes `size` bytes; `replaced` bytes lay under its name before."""

    path: Path
    layout: Layout
    size: int
    replaced: int


def prepare(directory: Path) -> None:
    """Make the directories of a cache."""
    (directory / _PARTS).mkdir(parents=True, exist_ok=True)


def path_of(directory: Path, key: str) -> Path:
    """Where the answer for `key` lies."""
    return path_of_name(directory, name_of(key))


def name_of(key: str) -> bytes:
    """The 20 bytes that a key's file is named by."""
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=20).digest()


def path_of_name(directory: Path, name: bytes) -> Path:
    """Where the file of that name lies."""
    text = name.hex()
    return directory / text[:2] / text[2:]


def find(directory: Path, key: str) -> Found | None:
    """The complete file for `key`, None when there is none. Foreign when what lies there is not one of ours."""
    path = path_of(directory, key)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    lease = Lease(fd)
    layout, meta = _read_head(fd, key)
    return Found(path, lease, layout, meta)


def read_meta(path: Path) -> Meta:
    """The metadata of a file, whatever its key. Foreign unless it is whole and lies where its key belongs."""
    lease = Lease(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW))
    _, meta = _read_head(lease.fd, None)
    if path_of(path.parents[1], meta.key) != path:
        raise Foreign("another key")
    return meta


def read_whole(found: Found) -> bytes:
    """The body of a small file; Foreign unless it is what was written."""
    data = os.pread(found.lease.fd, found.layout.body_length, found.layout.body_offset)
    if hashlib.sha256(data).digest() != found.layout.digest:
        raise Foreign("the body is not what was written")
    return data


def _read_head(fd: int, key: str | None) -> tuple[Layout, Meta]:
    block = os.pread(fd, file_format.READ_FIRST, 0)
    need = file_format.needed(block)
    if need > len(block):
        block = os.pread(fd, need, 0)
    return file_format.parse(block, os.fstat(fd).st_size, key)


def start_part(directory: Path, meta: Meta, length: int | None) -> Part:
    """A new part file with its head; with a known length the space is reserved, so that a full disk shows now."""
    block, offset = file_format.head_block(meta, length)
    path, lease = _new_part(directory, meta.key)
    try:
        if length:
            os.posix_fallocate(lease.fd, 0, offset + length)
        write_all(lease.fd, block, 0)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return Part(path, lease, block, offset)


def _new_part(directory: Path, key: str) -> tuple[Path, Lease]:
    """An empty part, locked. The keeper may take one for a dead writer's between its birth and its lock, and remove it:
    then another is made."""
    for _ in range(_BIRTHS):
        path = directory / _PARTS / f"{path_of(directory, key).name}.{os.getpid()}.{next(_numbers)}"
        lease = Lease(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            fcntl.flock(lease.fd, fcntl.LOCK_EX)
            if os.fstat(lease.fd).st_nlink:
                return path, lease
        except OSError:
            path.unlink(missing_ok=True)
            raise
    raise OSError(errno.EAGAIN, "part files are removed as soon as they are made", str(directory))


def write(part: Part, piece: bytes, at: int) -> None:
    """Put body bytes in place; `at` counts from the body's start."""
    write_all(part.lease.fd, piece, part.offset + at)


def publish(
    directory: Path,
    part: Part,
    meta: Meta,
    length: int,
    digest: bytes,
    current: Callable[[], bool],
    *,
    pinned: bool = False,
) -> Published | None:
    """Complete the head, then give the file its name: from here on it can be found. None, and the part is gone, when
    `current` says that an invalidation overtook the fill; it is asked under the lock that invalidations take."""
    fd = part.lease.fd
    os.ftruncate(fd, part.offset + length)
    write_all(fd, file_format.finished(part.block, length, digest, pinned=pinned), 0)
    layout, _ = _read_head(fd, meta.key)
    return give_name(directory, part, layout, meta, current)


def give_name(directory: Path, part: Part, layout: Layout, meta: Meta, current: Callable[[], bool]) -> Published | None:
    """Make a part whose head is in order findable; see publish."""
    path = path_of(directory, meta.key)
    path.parent.mkdir(exist_ok=True)
    with locked(directory):
        if not current():
            discard(part)
            return None
        size, replaced = taken(os.fstat(part.lease.fd)), size_of(path)
        journal.append(directory, "stored", meta.key, tags_of(meta.fields), pinned=layout.pinned)
        part.path.rename(path)
    return Published(path, layout, size, replaced)


def discard(part: Part) -> None:
    """Remove a part; its readers, if any, keep their descriptor."""
    part.path.unlink(missing_ok=True)


def freshen(directory: Path, layout: Layout, meta: Meta, current: Callable[[], bool]) -> None:
    """New metadata after a 304, for the file whose body `layout` describes; the keeper hears of tags that changed.
    Nothing happens when it does not fit, when that file is gone, or when `current` says that an invalidation overtook
    it; that is asked under the lock that invalidations take."""
    with locked(directory):
        before = rewrite(directory, layout, meta) if current() else None
        if before is not None and tags_of(before.fields) != tags_of(meta.fields):
            journal.append(directory, "stored", meta.key, tags_of(meta.fields), pinned=layout.pinned)


def rewrite(directory: Path, layout: Layout, meta: Meta) -> Meta | None:
    """New metadata for the file whose body `layout` describes; gives back that of before, None when it does not fit or
    that file is gone, so that only memory knows it. Metadata never meets the body of another answer. The caller holds
    the lock."""
    path = path_of(directory, meta.key)
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file, locks.held(file.fileno(), HEAD):
        now, before = _read_head(file.fileno(), meta.key)
        block = file_format.rewritten(now, meta)
        if block is not None and now.digest == layout.digest:
            write_all(file.fileno(), block, 0)
            return before
    return None


def remove(directory: Path, key: str, removed: Callable[[], None]) -> int:
    """Remove the file for `key`, then call `removed`, under the lock: a fill that is about to publish either was
    before, and its file goes, or finds that it was overtaken. The bytes that went."""
    with locked(directory):
        path = path_of(directory, key)
        size = size_of(path)
        path.unlink(missing_ok=True)
        removed()
        if size:
            journal.append(directory, "gone", key)
    return size


def note_groups(directory: Path, groups: Iterable[str], changed: Callable[[], None]) -> None:
    """Tell the keeper that an origin invalidated these tags; `changed` is called under the lock: no fill that is under
    way publishes what it got before."""
    with locked(directory):
        changed()
        for group in groups:
            journal.append(directory, "group", group)


def note_use(directory: Path, key: str) -> None:
    """Tell the keeper that the answer for `key` was used, where it orders by last use."""
    with contextlib.suppress(OSError), locked(directory):
        journal.append(directory, "used", key)


def read_slot(path: Path) -> int:
    """The slot that the keeper gave a file, 0 when it has none yet or the file is gone."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        blob = os.pread(file.fileno(), 4, file_format.SLOT_OFFSET)
        return int.from_bytes(blob, "big")
    return 0


def write_slot(path: Path, slot: int) -> None:
    """Give a file its slot; nothing where the file is gone."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file, locks.held(file.fileno(), HEAD):
        os.pwrite(file.fileno(), slot.to_bytes(4, "big"), file_format.SLOT_OFFSET)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One holder at a time among all processes of a node. Held for a rename or an unlink, never for body bytes."""
    fd = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def size_of(path: Path) -> int:
    """Bytes that a file takes on disk, 0 when it is not there."""
    try:
        return taken(path.lstat())
    except FileNotFoundError:
        return 0


def taken(status: os.stat_result) -> int:
    """Bytes that a file takes on disk: whole blocks, without its holes, and without what a file system sets aside
    behind its end for a while. Never 0 for one that has content."""
    return min(max(status.st_blocks * 512, 1), -(-status.st_size // BLOCK) * BLOCK)


def write_all(fd: int, data: bytes, at: int) -> None:
    """Put bytes in place, all of them. OSError when the disk refuses."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, at)
        view, at = view[count:], at + count
