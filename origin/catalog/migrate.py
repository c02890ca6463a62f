"""Bring a catalog database up to date."""

import asyncio
from pathlib import Path

from sqlalchemy import Connection, create_engine, text

from origin.catalog.engine import BUSY_S, WRITE, blocking_url, prepare_sqlite

_HERE = Path(__file__).parent / "migrations"
_LOCK = 0x48454144
"""PostgreSQL advisory lock of whoever migrates; any constant that nobody else uses."""


async def migrate(database_url: str) -> None:
    """Upgrade to the newest revision. Several processes may call it at once: one migrates, the others wait."""
    await asyncio.to_thread(migrate_blocking, database_url)


def migrate_blocking(database_url: str) -> None:
    """The same for a command without a loop."""
    url = blocking_url(database_url)
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": BUSY_S * 3})
        prepare_sqlite(engine)
    else:
        engine = create_engine(url)
    try:
        with engine.execution_options(**{WRITE: True}).begin() as connection:
            if url.get_backend_name() == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            _upgrade(connection)
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    # Alembic costs more to import than the rest of the catalog; only a migration pays for it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
