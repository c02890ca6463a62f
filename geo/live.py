"""The database in use, replaced while the process runs: on SIGHUP, and when its file is another one."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geo.database import Database, Place, newest
from kit import log
from kit.clock import Clock
from kit.errors import SettingsError

LOOK_S = 5.0
"""How often the file is looked at."""
OLD_DAYS = 120.0
"""A database older than this is said to be old: addresses move."""
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Loaded:
    database: Database
    stamp: _Stamp | None


class Live:
    """Answers `place` from the newest database that could be read. Without a file nobody is anywhere, and /health says
    so."""

    def __init__(self, file: Path | None, clock: Clock) -> None:
        """Blocks while the database is read. SettingsError when there is a file and it cannot be used."""
        self._file, self._clock = file, clock
        self._error: str | None = None
        self._tried: _Stamp | None = None
        self._loaded = _Loaded(Database.load(file), _stamp(file)) if file else None
        if file is None:
            log.get("geo").warning("no geo database: clients are placed by configured networks alone")

    def place(self, client: str) -> Place | None:
        """Where `client` is, None when nobody knows. ValueError when it is no address."""
        return self._loaded.database.place(client) if self._loaded else None

    def health(self) -> dict[str, Any]:
        """For /health: what is in use, and why something newer is not."""
        if self._loaded is None:
            return {"database": None, "error": None}
        about = self._loaded.database.about
        days = about.age_days(self._clock.wall())
        return {
            "database": about.file,
            "type": about.type,
            "built": newest(about),
            "old": days > OLD_DAYS,
            "error": self._error,
        }

    async def follow(self, asked: asyncio.Event) -> None:
        """Take a new database when `asked` is set (SIGHUP) or the file changed. Endless."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await asked.wait()
            again = asked.is_set()
            asked.clear()
            await self.look(again=again)

    async def look(self, *, again: bool = False) -> None:
        """Read the file if it is another one than at the last look, or `again`; a bad one leaves the old in use."""
        file = self._file
        if file is None or self._loaded is None:
            return
        stamp = await asyncio.to_thread(_stamp, file)
        if not again and stamp in (self._loaded.stamp, self._tried):
            return
        self._tried = stamp
        try:
            database = await asyncio.to_thread(Database.load, file)
        except SettingsError as error:
            self._error = str(error)
            log.get("geo").error("not replaced", error=self._error)
            return
        before, self._loaded, self._error = self._loaded, _Loaded(database, stamp), None
        before.database.close()
        log.get("geo").info("replaced", file=str(file), built=newest(database.about))


def _stamp(file: Path) -> _Stamp | None:
    """What changes when a file is written or another one takes its name."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
