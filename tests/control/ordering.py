"""What the tests of orders share: a control with nodes in this process, each of which notes what it was ordered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from configs.schema.base import NodeIdentity
from configs.schema.control import ControlSettings, Region
from control.api.app import public_app
from control.api.service import Service
from control.contract.messages import Report
from control.enrol import fleet_key, write_credential
from control.main import building
from control.node.follower import Follower
from control.node.link import ControlLink
from kit.clock import SystemClock
from kit.errors import HeadraceError
from kit.service import listening
from tests.control.support import report

CLOCK = SystemClock()


@dataclass
class Noted:
    """An Applier that notes. What is in `failing` is raised, one each time, before anything is done."""

    did: list[str] = field(default_factory=list)
    failing: list[HeadraceError] = field(default_factory=list)
    refused: dict[str, Sequence[str]] = field(default_factory=dict)
    draining: bool = False
    generations: list[tuple[str, str]] = field(default_factory=list)
    """(heard, done) as they were told."""
    warming: asyncio.Event = field(default_factory=asyncio.Event)
    """A prefetch ends when this is set."""

    async def purge(self, by: str, what: str, *, soft: bool) -> None:
        self._do(f"{'soft ' if soft else ''}purge {by} {what}")

    async def purge_all(self) -> None:
        self._do("purge all")

    async def prefetch(self, paths: Sequence[str]) -> None:
        await self.warming.wait()
        self._do(f"prefetch {' '.join(paths)}")

    def drain(self, draining: bool) -> None:
        self.draining = draining

    def purged(self, heard: str, done: str) -> None:
        self.generations.append((heard, done))

    def revoke(self, revoked: Mapping[str, Sequence[str]]) -> None:
        self.refused = dict(revoked)

    def _do(self, what: str) -> None:
        if self.failing:
            raise self.failing.pop(0)
        self.did.append(what)


@dataclass
class Fleet:
    """One control on a loopback port, and the way to make nodes of it."""

    service: Service
    url: str
    session: aiohttp.ClientSession
    directory: Path

    def link(self, node_id: str, role: str = "edge") -> ControlLink:
        """Signed requests of a node."""
        file = self.directory / f"{node_id}.json"
        write_credential(fleet_key(self.directory / "fleet"), node_id, role, file)
        return ControlLink(NodeIdentity(id=node_id, credential=file, control=self.url), role, CLOCK, self.session)

    async def beat(self, *node_ids: str, **changes: Any) -> None:
        """Heartbeats; who is called shield is one."""
        for node_id in node_ids:
            told: Report = report(**{"role": "shield" if node_id.startswith("shield") else "edge"} | changes)
            await self.service.registry.beat(node_id, told)

    @contextlib.asynccontextmanager
    async def node(self, node_id: str, applier: Noted | None = None) -> AsyncIterator[tuple[Follower, Noted]]:
        """A node that follows; its state is kept in a directory of its own, from one life to the next."""
        home = self.directory / f"home-{node_id}"
        home.mkdir(exist_ok=True)
        noted = applier or Noted()
        role = "shield" if node_id.startswith("shield") else "edge"
        follower = Follower(self.link(node_id, role), noted, home, CLOCK)
        await follower.start()
        try:
            yield follower, noted
        finally:
            await follower.close()


def settings(directory: Path, **changes: Any) -> ControlSettings:
    """Of a control with two regions."""
    given: dict[str, Any] = {
        "fleet_key_file": directory / "fleet",
        "regions": {"east": Region(), "west": Region()},
        "default_region": "east",
        "expiry_s": 60.0,
    }
    return ControlSettings(**given | changes)


@contextlib.asynccontextmanager
async def fleet(directory: Path, **changes: Any) -> AsyncIterator[Fleet]:
    """A control that runs in this process, listening."""
    async with (
        building(settings(directory, **changes), CLOCK) as service,
        listening(public_app(service), "127.0.0.1", 0, drain_s=5) as url,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield Fleet(service, url, session, directory)
