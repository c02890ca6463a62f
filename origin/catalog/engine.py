"""Connections to the catalog's database: the same behaviour on SQLite and PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kit.errors import HeadraceError, Overloaded

BUSY_S = 10.0
"""How long a writer waits for another's transaction."""
WRITE = "headrace_write"
"""Execution option of a connection whose transaction writes."""


class CatalogUnusable(HeadraceError):
    """What is there is no catalog of ours: a broken file, or one that a newer version made."""

    kind: ClassVar[str] = "catalog_unusable"


class CatalogAway(Overloaded):
    """The catalog's database cannot be reached, or a lock in it was not to be had in time."""

    kind: ClassVar[str] = "catalog_away"


@contextmanager
def translated() -> Iterator[None]:
    """Around every use of the database: its failures of the moment become CatalogAway."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
        raise CatalogAway(f"the catalog is not available: {type(error).__name__}") from error


def default_url(state_dir: str) -> str:
    """The catalog of a single machine: a SQLite file in its state directory."""
    return f"sqlite+aiosqlite:///{state_dir}/catalog.db"


def blocking_url(database_url: str) -> URL:
    """The same database through a driver without a loop: for migrations, in a thread or a command."""
    url = make_url(database_url)
    drivers = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
    return url.set(drivername=drivers[url.get_backend_name()])


def open_engine(database_url: str) -> AsyncEngine:
    """An engine with a bounded pool; connects on first use."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, pool_size=4, max_overflow=0, connect_args={"timeout": BUSY_S})
        prepare_sqlite(engine.sync_engine)
        return engine
    return create_async_engine(url, pool_size=8, max_overflow=0, pool_timeout=BUSY_S, pool_pre_ping=True)


def prepare_sqlite(engine: Engine) -> None:
    """Foreign keys on, and transactions that begin where we say.

    A writing transaction takes its lock at its begin: a reader that turned writer half-way would fail at once
    instead of waiting.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
