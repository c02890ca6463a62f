"""Databases and catalogs of the origin tests: the same tests run on SQLite and on a real PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from configs.schema.origin import OriginSettings
from control.contract.credential import issue
from kit.clock import ManualClock
from origin.app.main import applications
from origin.app.parts import database_url as database_url_of
from origin.assets import ObjectStore
from origin.catalog.service import Catalog, migrate
from tests.origin import installation
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


@dataclass(frozen=True)
class Running:
    """An origin that answers: its two listeners, its settings and the control that it asks."""

    api: TestClient[web.Request, web.Application]
    delivery: TestClient[web.Request, web.Application]
    settings: OriginSettings
    control: installation.Control
    clock: ManualClock

    def signed(self, path: str, method: str = "GET") -> dict[str, str]:
        """A shield's credential for one request to delivery."""
        shield = issue(installation.FLEET, "shield-1", "shield")
        return {"Headrace-Node": shield.sign("origin", method=method, target=path, now=self.clock.wall())}


@pytest.fixture
async def origin(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Running]:
    """An origin on SQLite with the title bbb, and its control."""
    control = installation.Control(now=clock.wall)
    async with TestServer(control.application()) as server:
        settings = installation.settings(tmp_path, control=f"http://127.0.0.1:{server.port}")
        await installation.prepare(settings, database_url_of(settings), clock=clock)
        async with (
            applications(settings, clock=clock) as apps,
            TestClient(TestServer(apps.api)) as api,
            TestClient(TestServer(apps.delivery)) as delivery,
        ):
            yield Running(api, delivery, settings, control, clock)
