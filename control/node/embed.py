"""Control's part of a caching node, embedded in its supervisor: while inside it reports and does its orders; on leaving
it says farewell."""

import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from configs.schema.base import NodeIdentity
from control.contract.credential import Credential
from control.contract.messages import Answers, HeartbeatAnswer, LoadParts, Report, Role
from control.node.applier import Applier
from control.node.follower import Follower
from control.node.link import ControlLink
from control.node.reporter import Reporter
from control.node.snapshots import Snapshots
from kit.clock import Clock
from kit.usage import Rate, cpu_seconds, disk_busy_seconds


class Gauges(Protocol):
    """Where a node's figures are read. Counts are of the whole node, since its start."""

    def pids(self) -> list[int]: ...
    def connections(self) -> int: ...
    def sent_bytes(self) -> int: ...
    def drains(self) -> bool: ...
    def answers(self) -> tuple[int, int, int, int]:
        """All answers, hits, misses and errors."""
        ...

    @property
    def cache_dirs(self) -> tuple[Path, ...]: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What does not change while the node runs. Capacities are what counts as a load of 100."""

    role: Role
    url: str
    region: str
    cores: int
    connections: int
    capacity_mbps: int
    reserve: bool
    started: float
    version: str = ""
    probe: str | None = None


SMOOTHING_S = 10.0
"""Load is an average that forgets at this pace: one busy second must not send a title's viewers to a cold cache."""


class Smooth:
    """An exponentially weighted average of a figure taken now and then."""

    def __init__(self) -> None:
        self._value: float | None = None
        self._at = 0.0

    def add(self, figure: float, now: float) -> float:
        """The average with `figure`, taken at `now` (monotonic seconds), in it."""
        share = 1.0 if self._value is None else 1.0 - math.exp(-(now - self._at) / SMOOTHING_S)
        before = 0.0 if self._value is None else self._value
        self._value, self._at = before + (figure - before) * share, now
        return self._value


def describer(standing: Standing, gauges: Gauges, clock: Clock) -> Callable[[], Report]:
    """A function that takes the figures of the time since its last call."""
    cpu, egress, disks = Rate(), Rate(), [Rate() for _ in gauges.cache_dirs]
    cpu_mean, mbps_mean, disk_mean = Smooth(), Smooth(), Smooth()

    rates = [Rate() for _ in range(4)]

    def told(now: float) -> Answers:
        found = [rate.per_second(count, now) for rate, count in zip(rates, gauges.answers(), strict=True)]
        return Answers(all=found[0], hits=found[1], misses=found[2], errors=found[3])

    def describe() -> Report:
        now = clock.monotonic()
        mbps = mbps_mean.add(egress.per_second(gauges.sent_bytes(), now) * 8 / 1e6, now)
        busy = cpu_mean.add(cpu.per_second(cpu_seconds(gauges.pids()), now), now)
        busiest = max(
            rate.per_second(disk_busy_seconds(folder), now)
            for rate, folder in zip(disks, gauges.cache_dirs, strict=True)
        )
        waiting = disk_mean.add(busiest, now)
        open_now = gauges.connections()
        parts = LoadParts(
            cpu=min(1000.0, busy / standing.cores * 100),
            connections=min(1000.0, open_now / standing.connections * 100),
            egress=min(1000.0, mbps / standing.capacity_mbps * 100),
            disk=min(100.0, waiting * 100),
        )
        return Report(
            role=standing.role,
            url=standing.url,
            region=standing.region,
            load=parts,
            capacity_mbps=standing.capacity_mbps,
            connections=open_now,
            egress_mbps=mbps,
            version=standing.version,
            draining=gauges.drains(),
            answers=told(now),
            reserve=standing.reserve,
            started=standing.started,
            probe=standing.probe,
        )

    return describe


@contextlib.asynccontextmanager
async def reporting(
    identity: NodeIdentity | None,
    role: Role,
    describe: Callable[[], Report],
    clock: Clock,
    orders: tuple[Applier, Path] | None = None,
    reload: Callable[[], Awaitable[None]] | None = None,
    hears: Callable[[], None] = lambda: None,
) -> AsyncIterator[Callable[[], dict[str, Any]]]:
    """Heartbeats to control and control's orders while inside, if this node has one; yields what /health says of it.
    `orders`: what does them, and the directory where their state is kept; `reload` makes the node use the snapshot kept
    there; `hears` is called whenever control has answered a heartbeat."""
    if identity is None or identity.control is None:
        yield lambda: {"control": None}
        return
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        link = ControlLink(identity, role, clock, session)
        snapshots = _snapshots(identity, link, orders[1], reload) if orders and reload else None
        follower: Follower | None = None

        def lost() -> None:
            if follower:
                follower.again()

        def told() -> Report:
            return snapshots.on(describe()) if snapshots else describe()

        def heard(answer: HeartbeatAnswer) -> None:
            hears()
            if snapshots:
                snapshots.want(answer.snapshot)

        if snapshots:
            snapshots.start()
            stack.push_async_callback(snapshots.close)
        reporter = Reporter(identity, role, told, clock, session, heard=heard, lost=lost)
        if orders is not None:
            follower = Follower(link, *orders, clock, drained=reporter.hurry)
            stack.push_async_callback(follower.close)
            await follower.start()
        stack.push_async_callback(reporter.close)
        stack.push_async_callback(reporter.leave)
        reporter.start()
        yield lambda: {
            "id": identity.id,
            "control": asdict(reporter.state()),
            "orders": asdict(follower.state()) if follower else None,
            "snapshot": {"version": snapshots.version, "error": snapshots.error or None} if snapshots else None,
        }


def _snapshots(
    identity: NodeIdentity, link: ControlLink, directory: Path, reload: Callable[[], Awaitable[None]]
) -> Snapshots:
    return Snapshots(link, Credential.load(identity.credential), directory, reload)
