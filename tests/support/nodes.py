"""An engine of the real parts in this process, listening on a free port over a directory of the test's."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.schema.node import EdgeSettings
from edge.admit.open import OpenTier
from kit.clock import Clock, SystemClock
from kit.metrics import Board
from kit.post import Sender
from proxy.fill.leases import Leases
from proxy.host.worker import Role, engine, families
from proxy.serve.connection import Server
from proxy.serve.tier import Tier
from proxy.store import disk
from proxy.store.admit import SecondHit
from proxy.store.evict import Evictor, Marks
from proxy.store.inventory import Policy
from proxy.store.keeper import ALL_ALIKE, Keeper
from proxy.store.volumes import Volume, Volumes
from tests.support.wire import Answer, get, until


@dataclass
class Node:
    """One running worker."""

    port: int
    directory: Path
    board: Board
    server: Server
    directories: tuple[Path, ...] = ()

    def count(self, name: str, value: str = "") -> int:
        """A metric, without its `headrace_`."""
        return self.board.total(f"headrace_{name}", value)

    async def ended(self, ending: str, count: int = 1) -> None:
        """Wait until `count` fills ended so."""
        await until(lambda: self.count("fills_total", ending) >= count, f"{count} fills {ending}")

    async def settled(self) -> None:
        """Wait until every fill that this process began has ended."""
        await until(lambda: not any(task.get_name() == "fills:fill" for task in asyncio.all_tasks()), "fills ended")

    async def get(self, target: str, method: str = "GET", body: bytes | None = None, **fields: str) -> Answer:
        """One request on a connection of its own."""
        return await get(self.port, target, method, body, **fields)

    def files(self) -> list[Path]:
        """The complete files in the cache directory."""
        return sorted(path for place in self._places() for path in place.glob("??/*") if path.is_file())

    def parts(self) -> list[Path]:
        """The part files."""
        return sorted(path for place in self._places() for path in (place / "parts").glob("*.*.*"))

    def _places(self) -> tuple[Path, ...]:
        return self.directories or (self.directory,)


def settings(directory: Path, origin: str, **changes: Any) -> EdgeSettings:
    """Settings of a standalone edge; `store`, `limits`, `upstream` are merged."""
    store = {"cache_dir": directory, "disk": 64 * 2**20, "memory": 16 * 2**20, "memory_object": 64 * 2**10}
    given: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "origin": origin,
        "access": "open",
        "name": "edge",
        "store": store | changes.pop("store", {}),
    }
    return EdgeSettings.model_validate(given | changes)


@contextlib.asynccontextmanager
async def node(
    directory: Path,
    origin: str,
    *,
    tier: Tier | None = None,
    clock: Clock | None = None,
    board: Board | None = None,
    number: int = 0,
    role: Role | None = None,
    send_buffer: int | None = None,
    visited: Marks | None = None,
    leases: int | None = None,
    asked: SecondHit | None = None,
    post: Sender | None = None,
    **changes: Any,
) -> AsyncIterator[Node]:
    """One worker's engine before `origin`. With `board`, it is worker `number` of a node that has several; with
    `leases` (a file in memory) they fill as one; with `post` it has a supervisor."""
    wanted = settings(directory, origin, **changes)
    role = role or Role(tier or OpenTier(), (origin,), wanted.authority)
    places = wanted.store.cache_dir
    for place in places:
        disk.prepare(place)
    own = Board(families(role.tier.reasons, len(places), wanted.store.tenants), 3) if board is None else board
    held = Leases(leases, number) if leases is not None else None
    async with engine(wanted, role, own, number, clock or SystemClock(), visited, held, asked, post) as server:
        listening = socket.create_server(("127.0.0.1", 0))
        if send_buffer:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listener = await asyncio.get_running_loop().create_server(server.entrance or server, sock=listening)
        try:
            yield Node(listening.getsockname()[1], directory, own, server, places)
        finally:
            listener.close()
            server.pre_shutdown()
            await server.shutdown(0.5)
            await listener.wait_closed()
    if board is None:
        own.close()


def lone_keeper(
    directory: Path,
    limit: int,
    slots: int,
    evictor: Evictor,
    board: Board,
    clock: Clock,
    policy: Policy = ALL_ALIKE,
) -> Keeper:
    """The keeper of a node's only directory; it has the last row of `board`."""
    row = board.row(board.rows - 1)
    volume = Volume(0, directory, limit, board, row)
    return Keeper(volume, Volumes([volume]), slots, evictor, row, clock, policy)
