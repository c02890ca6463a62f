"""Objects in a local directory: `<root>/ab/<sha256>`, written whole or not at all, never changed."""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is in the store: lower-case hex SHA-256 and bytes."""

    digest: str
    size: int


class ObjectStore:
    """The objects under `root` (usually `<state>/objects`).

    Putting is idempotent: the same bytes are one object. Hashing and disk work run on `threads` threads of its own,
    so that a large file never holds up the loop or other users of the default pool.
    """

    def __init__(self, root: Path, *, threads: int = 4) -> None:
        self.root = root
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="objects")

    def path_of(self, digest: str) -> Path:
        """Where the object is, or would be. ValueError unless `digest` is 64 lower-case hex digits."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"not a SHA-256: {digest[:80]!r}")
        return self.root / digest[:2] / digest

    async def put_file(self, path: Path) -> Stored:
        """Copy the bytes of `path` in. OSError when it cannot be read or the disk is full."""
        return await self._run(lambda: self._put(_chunks(path)))

    async def put_bytes(self, data: bytes) -> Stored:
        """Put `data` in."""
        return await self._run(lambda: self._put([data]))

    async def has(self, digest: str) -> bool:
        """Whether the object is there."""
        path = self.path_of(digest)
        return await self._run(path.is_file)

    def close(self) -> None:
        """Let the threads go; what is under way ends first."""
        self._pool.shutdown(wait=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _put(self, chunks: Iterable[bytes]) -> Stored:
        self.root.mkdir(parents=True, exist_ok=True)
        part = self.root / f".part-{secrets.token_hex(8)}"
        try:
            stored = _write(part, chunks)
            self._publish(part, self.path_of(stored.digest))
            return stored
        finally:
            part.unlink(missing_ok=True)

    def _publish(self, part: Path, target: Path) -> None:
        if target.is_file():
            return
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            _sync(self.root)
        part.rename(target)
        _sync(target.parent)


def _write(part: Path, chunks: Iterable[bytes]) -> Stored:
    digest, size = hashlib.sha256(), 0
    with part.open("xb") as out:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return Stored(digest.hexdigest(), size)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def _sync(directory: Path) -> None:
    """A rename is on disk only when its directory is."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
