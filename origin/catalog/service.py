"""The catalog's verbs. Every write is one transaction; every answer is a plain value of models."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from geo.territory import Territory
from kit.clock import Clock, SystemClock
from kit.errors import BadRequest, Conflict, NotFound
from origin.catalog import read
from origin.catalog.engine import WRITE, CatalogAway, open_engine, translated
from origin.catalog.migrate import migrate, migrate_blocking
from origin.catalog.models import Asset, Published, RungInfo, Title
from origin.catalog.states import State, check_transition, media_status
from origin.catalog.tables import assets as assets_table
from origin.catalog.tables import rungs as rungs_table
from origin.catalog.tables import territories, titles, versions
from origin.contract.urls import is_id

__all__ = ["Catalog", "CatalogAway", "migrate", "migrate_blocking"]


class Catalog:
    """Titles, versions, rungs and assets in one database. Errors are kit.errors; CatalogAway from every verb while the
    database cannot be reached or a lock is not to be had."""

    def __init__(self, engine: AsyncEngine, *, clock: Clock | None = None) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{WRITE: True})
        self._clock = clock or SystemClock()

    @classmethod
    def open(cls, database_url: str, *, clock: Clock | None = None) -> "Catalog":
        """A catalog on that database. Runs nothing and connects on first use; `migrate` first."""
        return cls(open_engine(database_url), clock=clock)

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def ping(self) -> None:
        """Return when the database answers and has our tables; CatalogAway otherwise."""
        async with self._read() as connection:
            await connection.execute(text("SELECT count(*) FROM titles WHERE content_id = ''"))

    async def add_title(
        self, content_id: str, title: str, profile: str, version: str, source: dict[str, Any] | None = None
    ) -> None:
        """The row of a title (ING-04) and of a new version of it, queued.

        Saying the same again does nothing (a durable first step may repeat); an existing version is Conflict when its
        source differs. BadRequest outside the grammar of ids.
        """
        if not (is_id(content_id) and is_id(version)):
            raise BadRequest("an id is 1-64 of a-z, 0-9 and -, and begins with no -")
        async with self._write() as connection:
            await self._put_title(connection, content_id, title, profile)
            known = await read.version_row(connection, content_id, version)
            if known is None:
                await self._put_version(connection, content_id, version, source or {})
            elif known.source != (source or {}):
                raise Conflict(f"{content_id}/{version} is there already, from another source")

    async def set_state(
        self,
        content_id: str,
        version: str,
        state: State | str,
        detail: str = "",
        *,
        progress: float | None = None,
    ) -> None:
        """Note how far a version has come. Conflict when it may not go there (states), NotFound without the version.

        `progress` is 0..1; None leaves it as it was.
        """
        after = State(state)
        async with self._write() as connection:
            row = await self._version(connection, content_id, version)
            check_transition(State(row.state), after)
            if row.state == State.READY:
                return
            values: dict[str, Any] = {"state": after, "detail": detail}
            if progress is not None:
                values["progress"] = min(1.0, max(0.0, progress))
            await connection.execute(update(versions).where(*read.is_version(content_id, version)).values(values))
            await self._set_status(connection, content_id, after)

    async def note_master(
        self, content_id: str, *, width: int, height: int, duration_s: float, hdr_format: str | None = None
    ) -> None:
        """What probing found in the master (ING-04). NotFound without the title."""
        values = {"master_resolution": f"{width}x{height}", "duration_s": duration_s, "hdr_format": hdr_format}
        async with self._write() as connection:
            where = titles.c.content_id == content_id
            if (await connection.execute(update(titles).where(where).values(values))).rowcount == 0:
                raise NotFound(f"no title {content_id}")

    async def publish(
        self, content_id: str, version: str, assets: Sequence[Asset], rungs: Sequence[RungInfo], duration_s: float
    ) -> None:
        """Make a version what viewers get: rungs, assets, state and the title's pointer in one transaction (T-006).

        Publishing the same again does nothing; other assets under a published version are Conflict.
        """
        if not assets or not rungs:
            raise BadRequest("a version without assets or rungs cannot be published")
        async with self._write() as connection:
            row = await self._version(connection, content_id, version)
            if row.state == State.READY:
                await _check_same(connection, content_id, version, assets)
                return
            if row.state == State.FAILED:
                raise Conflict(f"{content_id}/{version} has failed: not published")
            await _put_files(connection, content_id, version, assets, rungs)
            await self._mark_published(connection, content_id, version, duration_s)

    async def recall(self, content_id: str, version: str, title: str) -> bool:
        """Give viewers a version that was published before, and the title's name anew: the same master came in again.

        False when that version is not published; then nothing changes.
        """
        async with self._write() as connection:
            row = await read.version_row(connection, content_id, version, lock=True)
            if row is None or row.state != State.READY:
                return False
            named = titles.c.content_id == content_id
            await connection.execute(update(titles).where(named).values(title=title, updated_at=self._clock.wall()))
            if await connection.scalar(select(titles.c.current_version).where(named)) != version:
                newest = {"created_at": self._clock.wall()}
                await connection.execute(update(versions).where(*read.is_version(content_id, version)).values(newest))
                await self._show(connection, content_id, version, row.duration_s)
            return True

    async def title(self, content_id: str) -> Title | None:
        """One title, or None."""
        async with self._read() as connection:
            return await read.title(connection, content_id)

    async def titles(self, *, limit: int = 1000) -> list[Title]:
        """Titles, newest first, at most `limit`."""
        async with self._read() as connection:
            return await read.titles(connection, limit)

    async def published(self, content_id: str, version: str) -> Published | None:
        """A published version with its assets by name, or None when there is none or it is not ready."""
        async with self._read() as connection:
            return await read.published(connection, content_id, version)

    async def current(self, content_id: str) -> str | None:
        """The version that viewers get, or None."""
        query = select(titles.c.current_version).where(titles.c.content_id == content_id)
        async with self._read() as connection:
            found: str | None = await connection.scalar(query)
            return found

    async def territory(self, content_id: str) -> Territory:
        """Where a title may be played; open when nothing is said of it."""
        async with self._read() as connection:
            return await read.territory(connection, content_id)

    async def set_territory(self, content_id: str, territory: Territory) -> None:
        """Replace the rules of a title. NotFound without the title."""
        rows = [
            {"content_id": content_id, "country": country, "allowed": allowed}
            for countries, allowed in ((territory.allow, True), (territory.deny, False))
            for country in sorted(countries)
        ]
        async with self._write() as connection:
            known = select(titles.c.content_id).where(titles.c.content_id == content_id).with_for_update()
            if await connection.scalar(known) is None:
                raise NotFound(f"no title {content_id}")
            await connection.execute(delete(territories).where(territories.c.content_id == content_id))
            if rows:
                await connection.execute(insert(territories), rows)

    async def remove(self, content_id: str) -> None:
        """Forget a title with all its versions. Objects stay: other titles may share them. NotFound without it."""
        async with self._write() as connection:
            done = await connection.execute(delete(titles).where(titles.c.content_id == content_id))
            if done.rowcount == 0:
                raise NotFound(f"no title {content_id}")

    async def remove_version(self, content_id: str, version: str) -> None:
        """Forget a version that was never published, and the title with it when it has no other."""
        async with self._write() as connection:
            row = await self._version(connection, content_id, version)
            if row.state == State.READY:
                raise Conflict(f"{content_id}/{version} is published: it never changes")
            await connection.execute(delete(versions).where(*read.is_version(content_id, version)))
            left = await read.newest_version(connection, content_id)
            if left is None:
                await connection.execute(delete(titles).where(titles.c.content_id == content_id))
            else:
                await self._set_status(connection, content_id, State(left.state))

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        with translated():
            async with self._writing.begin() as connection:
                yield connection

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        with translated():
            async with self._engine.connect() as connection:
                yield connection

    async def _version(self, connection: AsyncConnection, content_id: str, version: str) -> Any:
        row = await read.version_row(connection, content_id, version, lock=True)
        if row is None:
            raise NotFound(f"no version {content_id}/{version}")
        return row

    async def _put_title(self, connection: AsyncConnection, content_id: str, title: str, profile: str) -> None:
        now = self._clock.wall()
        row = {"content_id": content_id, "title": title, "profile": profile, "media_status": "ingesting"}
        upsert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        put = upsert(titles).values(**row, created_at=now, updated_at=now)
        # One statement: two ingests of a title that begin together wait for each other instead of failing.
        changes = {"title": title, "updated_at": now}
        await connection.execute(put.on_conflict_do_update(index_elements=["content_id"], set_=changes))

    async def _put_version(
        self, connection: AsyncConnection, content_id: str, version: str, source: dict[str, Any]
    ) -> None:
        row = {"content_id": content_id, "version": version, "state": State.QUEUED, "detail": "", "progress": 0.0}
        await connection.execute(insert(versions).values(**row, source=source, created_at=self._clock.wall()))
        await self._set_status(connection, content_id, State.QUEUED)

    async def _set_status(self, connection: AsyncConnection, content_id: str, state: State) -> None:
        where = titles.c.content_id == content_id
        current = await connection.scalar(select(titles.c.current_version).where(where))
        status = media_status(state, published=current is not None)
        values = {"media_status": status, "updated_at": self._clock.wall()}
        await connection.execute(update(titles).where(where).values(values))

    async def _mark_published(
        self, connection: AsyncConnection, content_id: str, version: str, duration_s: float
    ) -> None:
        now = self._clock.wall()
        done = {"state": State.READY, "detail": "", "progress": 1.0, "duration_s": duration_s, "published_at": now}
        await connection.execute(update(versions).where(*read.is_version(content_id, version)).values(done))
        await self._show(connection, content_id, version, duration_s)

    async def _show(self, connection: AsyncConnection, content_id: str, version: str, duration_s: float) -> None:
        """The title's pointer: what viewers get."""
        values = {
            "current_version": version,
            "duration_s": duration_s,
            "media_status": "ready",
            "updated_at": self._clock.wall(),
        }
        await connection.execute(update(titles).where(titles.c.content_id == content_id).values(values))


async def _put_files(
    connection: AsyncConnection, content_id: str, version: str, assets: Sequence[Asset], rungs: Sequence[RungInfo]
) -> None:
    key = {"content_id": content_id, "version": version}
    names = ("name", "digest", "size", "content_type", "kind")
    await connection.execute(insert(assets_table), [key | {n: getattr(a, n) for n in names} for a in assets])
    names = ("name", "height", "width", "codec", "kbps")
    await connection.execute(insert(rungs_table), [key | {n: getattr(r, n) for n in names} for r in rungs])


async def _check_same(connection: AsyncConnection, content_id: str, version: str, assets: Sequence[Asset]) -> None:
    stored = await read.assets(connection, content_id, version)
    if {a.name: a.digest for a in assets} != {name: a.digest for name, a in stored.items()}:
        raise Conflict(f"{content_id}/{version} is published with other bytes: it never changes")
