"""Databases and catalogs of the origin tests: the same tests run on SQLite and on a real PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kit.clock import ManualClock
from origin.assets import ObjectStore
from origin.catalog.service import Catalog, migrate
from tests.support import databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Postgres]:
    """One real server for the whole session, started when first asked for."""
    with databases.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/state/catalog.db"
        return
    server: databases.Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def clock() -> ManualClock:
    """Time that moves when told."""
    return ManualClock()


@pytest.fixture
async def catalog(database_url: str, clock: ManualClock) -> AsyncIterator[Catalog]:
    """A migrated, empty catalog on each database in turn."""
    await migrate(database_url)
    opened = Catalog.open(database_url, clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty object store."""
    opened = ObjectStore(tmp_path / "objects")
    yield opened
    opened.close()
