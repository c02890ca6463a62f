"""The catalog's questions to its database, each on a connection that the caller holds."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from geo.territory import Territory
from origin.catalog.models import Asset, Published, RungInfo, Title
from origin.catalog.states import MediaStatus, State
from origin.catalog.tables import assets as assets_table
from origin.catalog.tables import rungs as rungs_table
from origin.catalog.tables import territories, versions
from origin.catalog.tables import titles as titles_table


def is_version(content_id: str, version: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The condition of one row in versions."""
    return versions.c.content_id == content_id, versions.c.version == version


async def version_row(
    connection: AsyncConnection, content_id: str, version: str, *, lock: bool = False
) -> Row[Any] | None:
    """The raw row of a version; with `lock` nobody else changes it before the transaction's end."""
    query = select(versions).where(*is_version(content_id, version))
    return (await connection.execute(query.with_for_update() if lock else query)).first()


async def newest_version(connection: AsyncConnection, content_id: str) -> Row[Any] | None:
    """The raw row of the version that was added last."""
    rows = (await connection.execute(_versions_of([content_id]))).all()
    return rows[-1] if rows else None


async def title(connection: AsyncConnection, content_id: str) -> Title | None:
    """One title with its newest version's state and its current version's rungs."""
    query = select(titles_table).where(titles_table.c.content_id == content_id)
    found = await _whole(connection, (await connection.execute(query)).all())
    return found[0] if found else None


async def titles(connection: AsyncConnection, limit: int) -> list[Title]:
    """Titles, newest first; three queries however many there are."""
    order = (titles_table.c.created_at.desc(), titles_table.c.content_id)
    query = select(titles_table).order_by(*order).limit(limit)
    return await _whole(connection, (await connection.execute(query)).all())


async def assets(connection: AsyncConnection, content_id: str, version: str) -> dict[str, Asset]:
    """The assets of a version by name."""
    table = assets_table.c
    columns = (table.name, table.digest, table.size, table.content_type, table.kind)
    where = and_(table.content_id == content_id, table.version == version)
    return {row.name: Asset(*row) for row in await connection.execute(select(*columns).where(where))}


async def rungs(connection: AsyncConnection, content_id: str, version: str) -> tuple[RungInfo, ...]:
    """The rungs of a version, highest bitrate first."""
    rows = await connection.execute(_rungs_of([(content_id, version)]))
    return tuple(RungInfo(*rung) for _, *rung in rows)


async def published(connection: AsyncConnection, content_id: str, version: str) -> Published | None:
    """A version that is ready, with its files."""
    row = await version_row(connection, content_id, version)
    if row is None or row.state != State.READY:
        return None
    return Published(
        content_id=content_id,
        version=version,
        published_at=row.published_at,
        duration_s=row.duration_s,
        rungs=await rungs(connection, content_id, version),
        assets=await assets(connection, content_id, version),
    )


async def territory(connection: AsyncConnection, content_id: str) -> Territory:
    """The rules of a title; none where it has no rows."""
    table = territories.c
    rows = await connection.execute(select(table.country, table.allowed).where(table.content_id == content_id))
    rules = {row.country: row.allowed for row in rows}
    return Territory(
        frozenset(country for country, allowed in rules.items() if allowed),
        frozenset(country for country, allowed in rules.items() if not allowed),
    )


async def _whole(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Title]:
    ids = [row.content_id for row in rows]
    newest = {row.content_id: row for row in await connection.execute(_versions_of(ids))}
    pairs = [(row.content_id, row.current_version) for row in rows if row.current_version]
    found: dict[str, list[RungInfo]] = {}
    for content_id, *rung in await connection.execute(_rungs_of(pairs)):
        found.setdefault(content_id, []).append(RungInfo(*rung))
    return [_title(row, newest[row.content_id], tuple(found.get(row.content_id, ()))) for row in rows]


def _versions_of(ids: list[str]) -> Select[Any]:
    """Versions of these titles, oldest first: of equal keys a dictionary keeps the last."""
    query = select(versions).where(versions.c.content_id.in_(ids))
    return query.order_by(versions.c.created_at, versions.c.version)


def _rungs_of(pairs: list[tuple[str, str]]) -> Select[Any]:
    table = rungs_table.c
    query = select(table.content_id, table.name, table.height, table.width, table.codec, table.kbps)
    return query.where(tuple_(table.content_id, table.version).in_(pairs)).order_by(table.kbps.desc(), table.name)


def _title(row: Row[Any], newest: Row[Any], rungs_found: tuple[RungInfo, ...]) -> Title:
    return Title(
        content_id=row.content_id,
        title=row.title,
        profile=row.profile,
        status=MediaStatus(row.media_status),
        current=row.current_version,
        version=newest.version,
        state=State(newest.state),
        detail=newest.detail,
        progress=newest.progress,
        duration_s=row.duration_s,
        master_resolution=row.master_resolution,
        hdr_format=row.hdr_format,
        rungs=rungs_found,
        source=newest.source,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
