"""Where a job's files lie below the state directory; moving them there and removing them.

Blocking, but for `made`: call in a thread.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

MASTER = "master"
_CHUNK = 2**20


class Places:
    """`incoming/<job>` holds what was uploaded, `work/<job>` what is made of it; both go when the job ends."""

    def __init__(self, state_dir: Path) -> None:
        self._incoming = state_dir / "incoming"
        self._work = state_dir / "work"

    def incoming(self, key: str) -> Path:
        """The folder of a job's uploads."""
        return self._incoming / key

    def master(self, key: str) -> Path:
        """A job's master."""
        return self.incoming(key) / MASTER

    def side(self, key: str, language: str) -> Path:
        """A job's subtitle file."""
        return self.incoming(key) / f"{language}.text"

    def work(self, key: str) -> Path:
        """A job's work folder, made if need be."""
        folder = self._work / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def accept(self, key: str, files: dict[str, Path], *, keep: bool) -> None:
        """Put `files` (name to path) into the job's folder: all of them or none. With `keep` the originals stay."""
        target = self.incoming(key)
        part = self._incoming / f".part-{key}-{os.getpid()}-{os.urandom(4).hex()}"
        part.mkdir(parents=True)
        try:
            for name, path in files.items():
                _copy(path, part / name, link=not keep)
            if not target.is_dir():  # else the same bytes are there already: the name says so
                part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        if not keep:
            for path in files.values():
                path.unlink(missing_ok=True)

    def remove(self, key: str) -> None:
        """Remove everything of a job."""
        for folder in (self._work / key, self.incoming(key)):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, alive: set[str], *, now: float, grace_s: float) -> list[str]:
        """Remove what belongs to no job in `alive` and has not been touched for `grace_s`; return its names.

        A submission whose process died between taking the files and queueing the job leaves such folders.
        """
        swept = []
        for folder in _folders(self._incoming, self._work):
            if folder.name not in alive and folder.stat().st_mtime < now - grace_s:
                shutil.rmtree(folder, ignore_errors=True)
                swept.append(folder.name)
        return swept


async def made(target: Path, make: Callable[[Path], Awaitable[None]]) -> bool:
    """Let `make` write `target`, a file or folder, under a temporary name, unless it is there already (then False)."""
    if await asyncio.to_thread(target.exists):
        return False
    part = target.with_name(f".part-{target.name}")
    await asyncio.to_thread(_discard, part)
    try:
        await make(part)
        await asyncio.to_thread(_publish, part, target)
    except BaseException:
        _discard(part)
        raise
    return True


def digest(file: Path) -> str:
    """Hex SHA-256 of a file."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _copy(source: Path, target: Path, *, link: bool) -> None:
    """By a link where that is wanted and the file system allows it: a file that stays could be written to later."""
    if link:
        with contextlib.suppress(OSError):
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)
    _sync(target)


def _folders(*parents: Path) -> Iterator[Path]:
    for parent in parents:
        if parent.is_dir():
            yield from (each for each in parent.iterdir() if each.is_dir())


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _publish(part: Path, target: Path) -> None:
    if part.is_file():
        _sync(part)
    part.rename(target)


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
