"""A cache directory full of small objects, made with the store's own functions, without a node to fill it."""

import hashlib
import multiprocessing
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from proxy.rules.meta import Meta
from proxy.store import disk, journal

AUTHORITY = "bench"
BODY_BYTES = 1_024
_CHUNK = 1_000
_YEAR_S = 31_536_000


def path_of(number: int) -> str:
    """The request target of object `number`."""
    return f"/content/title{number // 1_000:06d}/v1/video/seg{number % 1_000:05d}.m4s"


def body_of(number: int) -> bytes:
    """Its bytes: its number, repeated."""
    return (f"{number:015d}\n".encode() * (BODY_BYTES // 16))[:BODY_BYTES]


def stocked(directory: Path, objects: int, processes: int = 2) -> Iterator[int]:
    """Fill `directory`; yields how many objects there are. The journal is removed: the first node reads the files."""
    disk.prepare(directory)
    for shard in range(256):
        (directory / f"{shard:02x}").mkdir(exist_ok=True)
    starts = range(0, objects, _CHUNK)
    done = 0
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for count in pool.imap_unordered(partial(_fill, directory, objects, time.time()), starts):
            done += count
            (directory / journal.FILE).unlink(missing_ok=True)
            yield done


def _fill(directory: Path, objects: int, now: float, start: int) -> int:
    numbers = range(start, min(start + _CHUNK, objects))
    for number in numbers:
        data = body_of(number)
        meta = _meta(number, now)
        part = disk.start_part(directory, meta, len(data))
        disk.write(part, data, 0)
        disk.publish(directory, part, meta, len(data), hashlib.sha256(data).digest(), lambda: True)
    return len(numbers)


def _meta(number: int, now: float) -> Meta:
    fields = (
        ("Content-Type", "video/mp4"),
        ("Cache-Control", f"public, max-age={_YEAR_S}, immutable"),
        ("ETag", f'"{number:x}"'),
        ("Cache-Groups", f'"title{number // 1_000}"'),
        ("Date", "Sat, 21 Nov 2026 00:00:00 GMT"),
    )
    return Meta(AUTHORITY + path_of(number), 200, fields, now, now)
