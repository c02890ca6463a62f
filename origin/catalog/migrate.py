"""Bring a catalog database up to date."""

import asyncio
import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import DatabaseError

from origin.catalog.engine import BUSY_S, WRITE, CatalogUnusable, blocking_url, prepare_sqlite, translated

_HERE = Path(__file__).parent / "migrations"
_LOCK = 0x48454144
"""PostgreSQL advisory lock of whoever migrates; any constant that nobody else uses."""


async def migrate(database_url: str) -> None:
    """Upgrade to the newest revision. Several processes may call it at once: one migrates, the others wait.

    CatalogAway when the database cannot be reached, CatalogUnusable when it is broken or of a newer version.
    """
    await asyncio.to_thread(migrate_blocking, database_url)


def migrate_blocking(database_url: str) -> None:
    """The same for a command without a loop."""
    url = blocking_url(database_url)
    with _explained(url), translated():
        if url.get_backend_name() == "sqlite":
            _migrate_sqlite(url)
        else:
            _migrate_postgresql(url)


@contextlib.contextmanager
def _explained(url: URL) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise CatalogUnusable(f"the catalog {url.render_as_string()} cannot be used: {error.orig}") from error


def _migrate_sqlite(url: URL) -> None:
    file = Path(url.database or ":memory:")
    file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_S})
    prepare_sqlite(engine)
    try:
        # The switch to WAL (readers beside one writer; the file remembers it) fails at once while anybody else holds
        # the file, so SQLite's own wait is no help.
        with file.with_name(f"{file.name}.migrating").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with engine.connect() as connection:
                connection.connection.cursor().execute("PRAGMA journal_mode=WAL").close()
            with engine.execution_options(**{WRITE: True}).begin() as connection:
                _upgrade(connection)
    finally:
        engine.dispose()


def _migrate_postgresql(url: URL) -> None:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            _upgrade(connection)
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    # Alembic costs more to import than the rest of the catalog; only a migration pays for it.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise CatalogUnusable(f"the catalog was made by another version: {error}") from error
