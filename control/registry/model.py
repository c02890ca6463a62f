"""The map of nodes, its changes, and what a registry must do."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from control.contract.messages import Answers, Report
from kit.errors import Overloaded

NO_ANSWERS = Answers()


class RegistryFull(Overloaded):
    """The map holds as many nodes as the settings allow."""

    kind = "registry_full"


@dataclass(frozen=True, slots=True)
class Node:
    """One node, from its last heartbeat. `load` 0-100; `seen` in seconds of this process's monotonic clock;
    `held`: its silence says nothing: Redis is away and another control process heard it last, or too many fell silent
    at once; `state`: what was found of it besides (control.health): up, degraded or down; `probe`: where it may be
    asked, empty where it may not."""

    id: str
    role: str
    url: str
    region: str
    load: float
    capacity_mbps: int
    connections: int
    egress_mbps: float
    version: str
    draining: bool
    reserve: bool
    started: float
    seen: float
    held: bool = False
    state: str = "up"
    probe: str = ""
    answers: Answers = NO_ANSWERS
    snapshot: int = 0
    snapshot_error: str = ""

    def alive(self, now: float, expiry_s: float) -> bool:
        """Whether a heartbeat came within `expiry_s` (T-019) and nothing found says that it is down (T-057)."""
        return self.state != "down" and (self.held or now - self.seen < expiry_s)


@dataclass(frozen=True)
class NodeMap:
    """One picture of all nodes. Two pictures of equal `version` and `epoch` have the same members, with the same
    role, region, capacity, draining and load band; their loads and ages may differ."""

    version: int = 0
    epoch: int = 0
    nodes: Mapping[str, Node] = field(default_factory=dict)

    @cached_property
    def edges(self) -> dict[str, tuple[str, ...]]:
        """Ids of the edges of each region, sorted."""
        found: dict[str, list[str]] = {}
        for node in self.nodes.values():
            if node.role == "edge":
                found.setdefault(node.region, []).append(node.id)
        return {region: tuple(sorted(ids)) for region, ids in found.items()}


@dataclass(frozen=True)
class RegistryState:
    """For /health. `redis` is None where none is configured."""

    kind: str
    redis: str | None
    away_s: float | None
    error: str | None


class Registry(Protocol):
    """Keeps the map. `map` never waits and never fails; the rest falls back to this process when Redis is away."""

    def map(self) -> NodeMap:
        """The current picture, at most a fraction of a second old while Redis answers."""
        ...

    async def beat(self, node_id: str, report: Report) -> int:
        """Take a heartbeat, registering the node if it is new; the map version. RegistryFull when there is no room."""
        ...

    async def leave(self, node_id: str) -> int:
        """Forget a node at once; the map version. Unknown nodes are no error."""
        ...

    async def roster(self) -> NodeMap:
        """The picture with every figure fresh, for operators."""
        ...

    def state(self) -> RegistryState:
        """Where the map is kept and whether that works."""
        ...

    async def close(self) -> None:
        """Let go of tasks and connections."""
        ...


def node_of(node_id: str, report: Report, seen: float) -> Node:
    """The row that a heartbeat makes."""
    return Node(
        id=node_id,
        role=report.role,
        url=report.url.rstrip("/"),
        region=report.region,
        load=report.load.load(),
        capacity_mbps=report.capacity_mbps,
        connections=report.connections,
        egress_mbps=report.egress_mbps,
        version=report.version,
        draining=report.draining,
        reserve=report.reserve,
        started=report.started,
        seen=seen,
        probe=report.probe or "",
        answers=report.answers,
        snapshot=report.snapshot,
        snapshot_error=report.snapshot_error,
    )


def band(load: float, limits: tuple[float, ...]) -> int:
    """Which load band: 0 below the first limit (exclusive), and so on. `limits` rise."""
    return bisect_right(limits, load)


def standing(node: Node, limits: tuple[float, ...]) -> str:
    """What of a node decides its eligibility; when this text changes, the map version does."""
    flags = f"{node.draining:d}{node.reserve:d}"
    return f"{node.role} {node.region} {node.url} {node.capacity_mbps} {flags} {band(node.load, limits)}"


def without_stale(nodes: Mapping[str, Node], now: float, expiry_s: float) -> dict[str, Node]:
    """The nodes that are alive."""
    return {id_: node for id_, node in nodes.items() if node.alive(now, expiry_s)}


def refreshed(node: Node, load: float, seen: float) -> Node:
    """The node with a newer load and heartbeat."""
    return replace(node, load=load, seen=seen, held=False)
