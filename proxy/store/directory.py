"""What lies in a cache directory: complete files, and parts whose writers live or died."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxy.rules.meta import Meta
from proxy.store import disk, journal
from proxy.store.format import Foreign
from proxy.store.index import FOLDER


@dataclass(frozen=True, slots=True)
class File:
    """One file under a name of ours."""

    used: float
    size: int
    path: Path


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
                        found.append(File(status.st_mtime, disk.taken(status), Path(entry.path)))
    return found


def remove_orphans(parts: Path) -> int:
    """Remove part files that no living writer holds the lock of; the bytes of those that one holds."""
    growing = 0
    for path in parts.glob("*.*.*"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                growing += disk.size_of(path)
                continue
            path.unlink(missing_ok=True)
    return growing


def size_of_index(directory: Path) -> int:
    """Bytes of what is there besides answers: index, journal, folders."""
    names = (f"{FOLDER}/data.mdb", f"{FOLDER}/lock.mdb", journal.FILE, journal.TAKEN, FOLDER, "parts", ".")
    shards = (f"{number:02x}" for number in range(256))
    return sum(disk.size_of(directory / name) for name in (*names, *shards))


def readable(files: list[File]) -> Iterator[tuple[File, Meta]]:
    """The files that are whole, with their metadata; others are passed over."""
    for file in files:
        with contextlib.suppress(OSError, Foreign):
            yield file, disk.read_meta(file.path)
