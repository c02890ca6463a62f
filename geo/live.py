"""The databases in use, replaced while the process runs: on SIGHUP, and when a file is another one."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geo.database import Database, Place, newest
from kit import log
from kit.clock import Clock
from kit.errors import SettingsError

LOOK_S = 5.0
"""How often the files are looked at."""
OLD_DAYS = 120.0
"""A database older than this is said to be old: addresses move."""
_Stamp = tuple[int, int, int]


class Live:
    """Answers `place` from the newest databases that could be read, the first that knows. Without a file nobody is
    anywhere, and /health says so."""

    def __init__(self, files: Sequence[Path], clock: Clock) -> None:
        """Blocks while the databases are read. SettingsError when one of the files cannot be used."""
        self._clock = clock
        self._held = [_Held(file) for file in files]

    def place(self, client: str) -> Place | None:
        """Where `client` is, None when nobody knows. ValueError when it is no address."""
        for each in self._held:
            if (place := each.database.place(client)) is not None:
                return place
        return None

    def health(self) -> dict[str, Any]:
        """For /health: what is in use, and why something newer is not."""
        return {"databases": [each.health(self._clock.wall()) for each in self._held]}

    async def follow(self, asked: asyncio.Event) -> None:
        """Take a new database when `asked` is set (SIGHUP) or its file changed. Endless."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await asked.wait()
            again = asked.is_set()
            asked.clear()
            await self.look(again=again)

    async def look(self, *, again: bool = False) -> None:
        """Read the files that are others than at the last look, or all `again`; a bad one leaves the old in use."""
        for each in self._held:
            await each.look(again)


class _Held:
    """One file and what was read of it last."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._error: str | None = None
        self._seen = _stamp(file)
        self.database = Database.load(file)

    def health(self, now: float) -> dict[str, Any]:
        about = self.database.about
        old = about.age_days(now) > OLD_DAYS
        return {"file": about.file, "type": about.type, "built": newest(about), "old": old, "error": self._error}

    async def look(self, again: bool) -> None:
        stamp = await asyncio.to_thread(_stamp, self._file)
        if stamp == self._seen and not again:
            return
        self._seen = stamp
        try:
            database = await asyncio.to_thread(Database.load, self._file)
        except SettingsError as error:
            self._error = str(error)
            log.get("geo").error("not replaced", error=self._error)
            return
        before, self.database, self._error = self.database, database, None
        before.close()
        log.get("geo").info("replaced", file=str(self._file), built=newest(database.about))


def _stamp(file: Path) -> _Stamp | None:
    """What changes when a file is written or another one takes its name."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
