"""What the page shows, gathered at most once a second however many look."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from control.admin.nodes import roster
from control.admin.parts import Admin
from control.admin.qoe import QoeRow, summed
from control.admin.rollout import Rollouts, shown
from control.admin.roster import NodeList, NodeRow
from control.admin.trail import Entry
from control.contract.messages import Answers
from control.orders.model import OrderStatus
from control.registry.model import NO_ANSWERS, NodeMap
from control.steering.overrides import Override
from kit.errors import HeadraceError

FRESH_S = 0.9
ENTRIES = 15
ORDERS = 8
EDGES = 20
T = TypeVar("T")
NO_ROLLOUTS = Rollouts(active=None, canary=None, verdict="", versions=(), events=())


@dataclass(frozen=True)
class Region:
    """The nodes of one region, and what they come to."""

    name: str
    nodes: tuple[NodeRow, ...]

    @property
    def edges(self) -> tuple[NodeRow, ...]:
        """Those that viewers speak to."""
        return tuple(node for node in self.nodes if node.role == "edge")

    @property
    def egress_mbps(self) -> float:
        """To viewers."""
        return sum(node.egress_mbps for node in self.edges)

    @property
    def load(self) -> float:
        """The mean of its edges."""
        return sum(node.load for node in self.edges) / len(self.edges) if self.edges else 0.0


@dataclass(frozen=True)
class Picture:
    """One moment. `missing`: the parts that could not be had, and why."""

    at: float
    nodes: NodeList
    answers: Answers = NO_ANSWERS
    """Of all edges together."""
    orders: tuple[OrderStatus, ...] = ()
    overrides: tuple[Override, ...] = ()
    qoe: tuple[QoeRow, ...] = ()
    """By edge, those with most votes first."""
    entries: tuple[Entry, ...] = ()
    rollouts: Rollouts = NO_ROLLOUTS
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def regions(self) -> list[Region]:
        """Every region that has a node, by name."""
        names = sorted({node.region for node in self.nodes.nodes})
        return [Region(name, tuple(node for node in self.nodes.nodes if node.region == name)) for name in names]

    @property
    def edges(self) -> tuple[NodeRow, ...]:
        """All edges."""
        return tuple(node for node in self.nodes.nodes if node.role == "edge")


class Figures:
    """Gathers pictures. One per process."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._lock = asyncio.Lock()
        self._last: Picture | None = None

    async def now(self) -> Picture:
        """The picture of now, at most FRESH_S old."""
        async with self._lock:
            moment = self._admin.service.clock.monotonic()
            if self._last is None or moment - self._last.at >= FRESH_S:
                self._last = await self._gather(moment)
            return self._last

    def renew(self) -> None:
        """Something was done: whoever looks next sees it."""
        self._last = None

    async def _gather(self, moment: float) -> Picture:
        missing: dict[str, str] = {}

        async def part(name: str, asked: Callable[[], Awaitable[T]], otherwise: T) -> T:
            try:
                return await asked()
            except HeadraceError as error:
                missing[name] = str(error)
                return otherwise

        none: list[Entry] = []
        entries = await part("audit", lambda: self._admin.store.entries(None, ENTRIES), none)
        service = self._admin.service
        idle: tuple[OrderStatus, ...] = ()
        orders = await part("orders", lambda: service.orders.list(ORDERS), idle)
        return Picture(
            at=moment,
            nodes=await roster(service),
            answers=together(service.registry.map()),
            orders=orders,
            overrides=service.overrides.in_force(),
            qoe=(await summed(service, "edge"))[:EDGES],
            entries=tuple(entries),
            rollouts=shown(service, service.rollout.state),
            missing=missing,
        )


def together(nodes: NodeMap) -> Answers:
    """What all edges answer, per second."""
    edges = [node.answers for node in nodes.nodes.values() if node.role == "edge"]
    return Answers(
        all=sum(each.all for each in edges),
        hits=sum(each.hits for each in edges),
        misses=sum(each.misses for each in edges),
        errors=sum(each.errors for each in edges),
    )
