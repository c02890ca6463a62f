"""A real PostgreSQL for tests: one server a session, one fresh database a test.

It listens on a unix socket in a directory of its own and on a free loopback port; no fsync; it is gone at the end.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

START_S = 30.0
_BINARIES = "/usr/lib/postgresql"


class PostgresMissing(RuntimeError):
    """PostgreSQL's programs are not on this machine: `make tools` installs them."""


@dataclass(frozen=True)
class Postgres:
    """A running server; its superuser is `headrace`, trusted on loopback."""

    port: int

    def url(self, database: str = "postgres") -> str:
        """A plain URL without driver."""
        return f"postgresql://headrace@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """A new empty database, dropped afterwards; yields its URL for the catalog."""
        name = f"t_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield self.url(name).replace("postgresql:", "postgresql+asyncpg:", 1)
        finally:
            with psycopg.connect(self.url(), autocommit=True) as admin:
                admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """Start a server in a temporary directory; stop it and remove the directory at the end."""
    home = Path(tempfile.mkdtemp(prefix="headrace-pg-"))
    try:
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(home, user.pw_uid, user.pw_gid)
        _initialise(home)
        yield from _serve(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _serve(home: Path) -> Iterator[Postgres]:
    port = _free_port()
    options = ["-p", str(port), "-k", str(home), "-h", "127.0.0.1", "-F"]
    for setting in ("synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=60"):
        options += ["-c", setting]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [*_as_postgres(), str(_binary("postgres")), "-D", str(home / "data"), *options],
            cwd="/",
            stdout=log,
            stderr=log,
        )
    try:
        _await(server, port, home / "log")
        yield Postgres(port)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=START_S)


def _initialise(home: Path) -> None:
    command = [str(_binary("initdb")), "-D", str(home / "data"), "-U", "headrace", "-A", "trust", "-N"]
    command += ["-E", "UTF8", "--locale=C.UTF-8"]
    done = subprocess.run([*_as_postgres(), *command], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"initdb: {done.stderr.strip()}")


def _as_postgres() -> list[str]:
    """initdb and postgres refuse root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def _binary(name: str) -> Path:
    found = sorted(Path(_BINARIES).glob(f"*/bin/{name}"))
    if not found:
        raise PostgresMissing(f"no {name}: run `make tools`")
    return found[-1]


def _await(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            psycopg.connect(Postgres(port).url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
