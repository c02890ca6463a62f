"""What happened in a cache directory since its keeper last looked: one JSON line an event, appended by any worker.

Appended under the directory's lock, in the same breath as the rename or unlink that it tells of. So whoever takes the
lock and then the journal knows of every file that was published before; and when the node dies, the journal is still
there.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

FILE = "journal"
TAKEN = "journal.taken"
Kind = Literal["stored", "gone", "used", "group"]
"""What happened to an object; or `group`: an origin invalidated a tag (RFC 9875), which stands in the key's place."""


@dataclass(frozen=True, slots=True)
class Event:
    """`tags` and `pinned` are of what was stored."""

    kind: Kind
    key: str
    tags: tuple[str, ...] = ()
    pinned: bool = False


def append(directory: Path, kind: Kind, key: str, tags: tuple[str, ...] = (), *, pinned: bool = False) -> None:
    """Add an event. The caller holds the directory's lock. OSError when the disk refuses it, or takes a part only: the
    part goes again, or the next event would be lost in its line."""
    line = orjson.dumps([kind, key, tags, pinned]) + b"\n"
    fd = os.open(directory / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        count = os.write(fd, line)
        if count < len(line):
            os.ftruncate(fd, os.fstat(fd).st_size - count)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory / FILE))
    finally:
        os.close(fd)


def take(directory: Path) -> bool:
    """Set the journal aside for `taken`; workers begin a new one. The caller holds the lock. False when there is none.

    What an earlier life set aside and did not finish comes first: then nothing new is taken.
    """
    if (directory / TAKEN).exists():
        return True
    try:
        (directory / FILE).rename(directory / TAKEN)
    except FileNotFoundError:
        return False
    return True


def taken(directory: Path) -> Iterator[Event]:
    """The events set aside, in order. A line that a crash cut short is skipped."""
    with (directory / TAKEN).open("rb") as file:
        for line in file:
            event = _parse(line)
            if event:
                yield event


def waiting(directory: Path) -> bool:
    """Whether there are events that no keeper has finished with."""
    return (directory / FILE).exists() or (directory / TAKEN).exists()


def done(directory: Path) -> None:
    """The events set aside are in the index."""
    (directory / TAKEN).unlink(missing_ok=True)


def clear(directory: Path) -> None:
    """Forget all events: the directory was emptied."""
    (directory / FILE).unlink(missing_ok=True)
    done(directory)


def _parse(line: bytes) -> Event | None:
    try:
        kind, key, tags, *more = orjson.loads(line)  # the version before knew nothing of pinned
        return Event(kind, str(key), tuple(str(tag) for tag in tags), bool(more and more[0]))
    except (ValueError, TypeError):
        return None
