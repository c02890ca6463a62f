"""A consistent copy of the catalog in one file, and the way back; SQLite by its backup API, PostgreSQL by its tools."""

import contextlib
import shutil
import sqlite3
import subprocess
from pathlib import Path

import psycopg
from sqlalchemy import URL

from configs.load import child_environment
from kit.errors import BadRequest, Conflict, HeadraceError
from origin.catalog.engine import blocking_url

TOOL_S = 3600.0
_NAMED = "SELECT DISTINCT digest FROM assets"


class DumpFailed(HeadraceError):
    """The database's own tool failed; the message has its last line."""

    kind = "dump_failed"


def backend(database_url: str) -> str:
    """`sqlite` or `postgresql`."""
    return blocking_url(database_url).get_backend_name()


def save(database_url: str, out: Path) -> None:
    """Copy the catalog to `out` as it is at one moment, while others use it."""
    url = blocking_url(database_url)
    if url.get_backend_name() == "sqlite":
        _copy_sqlite(_file(url), out)
    else:
        _tool(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={out}")


def check_empty(database_url: str) -> None:
    """Conflict unless there is no catalog yet."""
    url = blocking_url(database_url)
    if url.get_backend_name() == "sqlite":
        taken = _file(url).exists()
    else:
        query = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'public'"
        with psycopg.connect(_plain(url), password=url.password) as connection:
            row = connection.execute(query).fetchone()
            taken = row is not None and row[0] > 0
    if taken:
        raise Conflict("there is a catalog already: restore into an empty database only")


def load(database_url: str, dump: Path) -> None:
    """Make the catalog from `dump`; whole or not at all."""
    url = blocking_url(database_url)
    if url.get_backend_name() == "sqlite":
        file = _file(url)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.restore")
        try:
            _copy_sqlite(dump, part)
            part.rename(file)
        finally:
            part.unlink(missing_ok=True)
    else:
        options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
        _tool(url, "pg_restore", *options, f"--dbname={_plain(url)}", str(dump), connect=False)


def named(database_url: str, dump: Path) -> set[str]:
    """The digests of the objects that a dump just made needs.

    PostgreSQL's format cannot be asked, so its database is: it may name a few newer ones, which are stored as well.
    """
    url = blocking_url(database_url)
    if url.get_backend_name() == "sqlite":
        return named_by_file(dump)
    with psycopg.connect(_plain(url), password=url.password) as connection:
        return {row[0] for row in connection.execute(_NAMED)}


def named_by_file(dump: Path) -> set[str]:
    """The digests of the objects that a SQLite dump names."""
    with contextlib.closing(sqlite3.connect(dump)) as copy:
        return {row[0] for row in copy.execute(_NAMED)}


def _copy_sqlite(source: Path, out: Path) -> None:
    if not source.is_file():
        raise BadRequest(f"no catalog at {source}")
    with (
        contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as original,
        contextlib.closing(sqlite3.connect(out)) as copy,
    ):
        original.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE").close()
        if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise DumpFailed(f"{source}: the database is damaged")


def _file(url: URL) -> Path:
    return Path(url.database or "")


def _plain(url: URL) -> str:
    """The URL as libpq knows it, without the password: the command line is for all to see."""
    return url.set(drivername="postgresql", password=None).render_as_string()


def _tool(url: URL, name: str, *arguments: str, connect: bool = True) -> None:
    environment = child_environment(**({"PGPASSWORD": str(url.password)} if url.password else {}))
    command = [_binary(name), *arguments, *([f"--dbname={_plain(url)}"] if connect else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TOOL_S, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise DumpFailed(f"{name}: {last[0]}")


def _binary(name: str) -> str:
    """The newest one installed: an older pg_dump refuses a newer server."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda file: int(file.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise DumpFailed(f"{name} is not installed: it comes with PostgreSQL's client programs")
    return found
