"""A Redis of the installation's own: on a Unix socket; what it is told is appended to a file, so that orders outlive
it (the map is rebuilt by heartbeats)."""

import shutil
import tempfile
from pathlib import Path

from headrace.up.children import Child, Children

MEMORY = "64mb"
LONGEST = 100
"""Bytes of a socket's path, with some room: Linux takes 107."""


class OwnRedis:
    """A redis-server where one is installed; otherwise nothing, and control says that its map is its own."""

    def __init__(self, state: Path) -> None:
        """In the folder `redis` of the state directory, so that a run that was killed leaves nothing elsewhere; only
        where that path is too long for a socket in a temporary one, which nothing outlives."""
        self._server = shutil.which("redis-server")
        wanted = state / "redis"
        self._directory = _folder(wanted) if self._server else None
        self._temporary = self._directory != wanted

    @property
    def url(self) -> str | None:
        """Where control finds it."""
        return f"unix://{self._directory}/redis.sock" if self._directory else None

    async def start(self, children: Children, log: Path) -> Child | None:
        """Start it, if there is one."""
        if not self._server or not self._directory:
            return None
        socket = str(self._directory / "redis.sock")
        quiet = ["--save", "", "--appendonly", "yes", "--maxmemory", MEMORY, "--dir", str(self._directory)]
        command = [self._server, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", *quiet]
        return await children.start("redis", command, log)

    def close(self) -> None:
        """Remove what the next run does not need: the socket, and a temporary directory."""
        if self._directory and self._temporary:
            shutil.rmtree(self._directory, ignore_errors=True)
        elif self._directory:
            (self._directory / "redis.sock").unlink(missing_ok=True)


def _folder(wanted: Path) -> Path:
    if len(str(wanted / "redis.sock").encode()) > LONGEST:
        return Path(tempfile.mkdtemp(prefix="headrace-"))
    wanted.mkdir(exist_ok=True, mode=0o700)
    return wanted
