"""Which edge a session begins at: control's answer, or what it last said."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cachetools import LRUCache

from control.contract.errors import NoEdgeLeft
from control.contract.messages import ChooseAnswer, ChooseRequest
from control.node import ControlLink
from kit import hashing, log
from kit.clock import Clock
from kit.errors import UpstreamFailed
from kit.resilience import Breaker, Limits

TIMEOUT_S = 1.0
LIMITS = Limits(failures=5, reset_s=2.0, probes=1)
"""A control that hangs costs five sessions a second each, then nobody more than one probe every two seconds."""
TITLES = 10_000
"""Titles whose last answer is remembered."""
EDGES = 64
"""Edges that are remembered for titles that nobody asked about yet, and the most taken from one answer."""


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge that players can reach; `url` has no slash at its end."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a session goes: its edge first, then those that it may turn to; where its player asks for their order, None
    while control is away."""

    edges: tuple[Edge, ...]
    steering: str | None = None


class Source(StrEnum):
    """Where a choice came from: a metric's label."""

    CONTROL = "control"
    TITLE = "remembered_title"
    KNOWN = "remembered_edges"
    NONE = "none"


class Edges:
    """Asks control, remembers what it said, and falls back on that while control is away.

    `link` is None where no control is set; `count` is called with the source of every choice.
    """

    def __init__(self, link: ControlLink | None, clock: Clock, count: Callable[[Source], None]) -> None:
        self._link, self._clock, self._count = link, clock, count
        self._breaker = Breaker(LIMITS)
        self._pathways = 1
        self._by_title: LRUCache[str, tuple[Edge, ...]] = LRUCache(TITLES)
        self._known: LRUCache[str, Edge] = LRUCache(EDGES)

    async def choose(self, client: str, content_id: str, session_id: str) -> Choice:
        """The edges for a new session of the viewer at address `client`; NoEdgeLeft when there is none."""
        try:
            answer = await self._ask(ChooseRequest(client=client, content_id=content_id, session_id=session_id))
        except NoEdgeLeft:
            self._count(Source.NONE)
            raise
        except UpstreamFailed as away:
            edges, source, steering = *self._remembered(content_id), None
            log.get("playback").warning("control away", reason=str(away), source=source)
        else:
            edges = tuple(Edge(each.id, each.url.rstrip("/")) for each in answer.edges[:EDGES])
            source, steering = Source.CONTROL, answer.steering
            self._pathways = answer.pathways
            self._remember(content_id, edges)
        self._count(source)
        if not edges:
            raise NoEdgeLeft("no edge is available right now")
        return Choice(edges[: self._pathways], steering)

    async def _ask(self, question: ChooseRequest) -> ChooseAnswer:
        """Control's answer, unless it has been failing: then UpstreamFailed at once."""
        if self._link is None:
            raise UpstreamFailed("no control is set")
        ticket = self._breaker.allow(self._clock.monotonic())
        if ticket is None:
            raise UpstreamFailed("control has been failing")
        try:
            answer = await self._link.choose(question, timeout_s=TIMEOUT_S)
        except UpstreamFailed:
            self._breaker.failed(ticket, self._clock.monotonic())
            raise
        except NoEdgeLeft:
            self._breaker.succeeded(ticket, self._clock.monotonic())
            raise
        self._breaker.succeeded(ticket, self._clock.monotonic())
        return answer

    def _remember(self, content_id: str, edges: tuple[Edge, ...]) -> None:
        self._by_title[content_id] = edges
        for edge in edges:
            self._known[edge.id] = edge

    def _remembered(self, content_id: str) -> tuple[tuple[Edge, ...], Source]:
        if edges := self._by_title.get(content_id):
            return edges, Source.TITLE
        if not self._known:
            return (), Source.NONE
        return tuple(self._known[each] for each in hashing.rank(content_id, list(self._known))), Source.KNOWN
