"""The candidates for one session (CDN-07, CDN-10, C-64, T-019, T-020; order as in contracts.md, Between processes).

Read `choose` from the top: it is the order. Origin is never an answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from control.registry.model import Node, NodeMap
from control.steering.losses import turned_away
from control.steering.overrides import Override, Wishes, wishes
from control.steering.ranks import Offering, Ranks
from kit.hashing import within

MIN_SAMPLES = 3
"""A latency is believed from so many samples on (D-15)."""
MIN_GAIN_MS = 20.0
"""The second candidate wins only when it is at least this much quicker."""
LOAD_FACTOR = 1.15
"""Titles pass on from an edge so far above its region's mean; with figures a little off max/mean is within 1.25."""
IDLE_LOAD = 25.0
"""Up to this load the bound is not applied: among idle nodes a percent is noise, and moving titles costs hits."""


class Why(StrEnum):
    """Why a candidate is one."""

    PINNED = "pinned"
    REGION = "region"
    LATENCY = "latency"
    QUALITY = "quality"
    """It came first because the session was turned away from those before it."""
    POOR = "poor"
    """The session is of the share that this edge loses: its players fare worse than its neighbours', or it is degraded.
    It comes behind those of its region that take the session."""
    NEXT_REGION = "next_region"
    BAND = "band"
    RESERVE = "reserve"


class WhyNone(StrEnum):
    """Why there is no candidate."""

    NO_EDGE = "no_edge"
    ALL_DRAINING = "all_draining"
    ALL_FULL = "all_full"
    ALL_AVOIDED = "all_avoided"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One edge and the step of the order that found it."""

    node: Node
    why: Why


@dataclass(frozen=True, slots=True)
class Candidates:
    """At least one, best first."""

    edges: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class NoEdge:
    """Nobody can take the session: the caller sheds it with 503 (T-020)."""

    why: WhyNone


Choice = Candidates | NoEdge


@dataclass(frozen=True, slots=True)
class Latency:
    """What clients of one network saw of one edge."""

    ms: float
    samples: int


@dataclass(frozen=True)
class Policy:
    """The numbers of the order; `next` gives each region's neighbours, nearest first."""

    next: Mapping[str, Sequence[str]]
    expiry_s: float = 2.5
    eligible_load: float = 80.0
    bands: tuple[float, ...] = (90.0, 95.0)
    candidates: int = 5

    @property
    def top(self) -> float:
        """No edge at or above this load takes a session."""
        return max((self.eligible_load, *self.bands))


NOTHING: Mapping[str, float] = {}


def choose(
    nodes: NodeMap,
    region: str,
    title: str,
    now: float,
    policy: Policy,
    ranks: Ranks,
    latency: Mapping[str, Latency],
    *,
    session: str = "",
    overrides: Sequence[Override] = (),
    coming: Mapping[str, float] = NOTHING,
    losses: Mapping[str, float] = NOTHING,
) -> Choice:
    """Candidates for `title` in `region`, `policy.candidates` at most. Never raises.

    Edges that an operator pinned come first. The region's eligible edges come next and the next regions' fill up, so
    that a player has somewhere to turn when its edge dies. Higher bands, then reserve edges, are opened only when no
    edge is eligible anywhere. `session` decides percentages of `overrides` (those in force); `coming` is load, in
    percent, that was sent to an edge and that its heartbeats cannot show yet; `losses` is the share of its sessions
    that an edge loses to others of its region. It makes no edge ineligible: who is turned away by all is by none.
    """
    seek = _Search(nodes, title, now, policy, ranks, wishes(overrides, title, region, session), coming)
    regions = (region, *(each for each in policy.next.get(region, ()) if each != region))
    pinned = seek.pinned()
    own = quicker(seek.some(region, policy.eligible_load, Why.REGION, policy.candidates), latency)
    found = (pinned + better(own, session, losses))[: policy.candidates]
    for neighbour in regions[1:]:
        found += seek.some(neighbour, policy.eligible_load, Why.NEXT_REGION, policy.candidates - len(found))
    for limit in policy.bands if not found else ():
        for each in regions:
            found += seek.some(each, limit, Why.BAND, policy.candidates - len(found))
        if found:
            break
    if not found:
        for each in regions:
            found += seek.some(each, policy.top, Why.RESERVE, policy.candidates - len(found))
    return Candidates(tuple(found)) if found else NoEdge(seek.why_none(regions))


def quicker(found: list[Candidate], latency: Mapping[str, Latency]) -> list[Candidate]:
    """`found`, first and second swapped when the second is known to be clearly quicker (CTL-03)."""
    if len(found) < 2:
        return found
    first, second = (latency.get(candidate.node.id) for candidate in found[:2])
    if first is None or second is None or min(first.samples, second.samples) < MIN_SAMPLES:
        return found
    if first.ms - second.ms < MIN_GAIN_MS:
        return found
    return [Candidate(found[1].node, Why.LATENCY), found[0], *found[2:]]


def better(found: list[Candidate], session: str, losses: Mapping[str, float]) -> list[Candidate]:
    """`found`, those that lose the session behind the others."""
    kept = [each for each in found if not turned_away(session, each.node.id, losses)]
    if not kept or len(kept) == len(found):
        return found
    away = [Candidate(each.node, Why.POOR) for each in found if each not in kept]
    if kept[0] is not found[0]:
        kept[0] = Candidate(kept[0].node, Why.QUALITY)
    return [*kept, *away]


@dataclass(frozen=True)
class _Search:
    """One session over one map at one moment."""

    nodes: NodeMap
    title: str
    now: float
    policy: Policy
    ranks: Ranks
    wishes: Wishes
    coming: Mapping[str, float]

    def pinned(self) -> list[Candidate]:
        """The edges that operators put first, those of them that can take a session."""
        found = (self.nodes.nodes.get(edge) for edge in self.wishes.pinned)
        return [
            Candidate(node, Why.PINNED)
            for node in found
            if node and node.role == "edge" and node.load < self.policy.top and self._usable(node)
        ]

    def some(self, region: str, limit: float, why: Why, count: int) -> list[Candidate]:
        edges = self.edges(region, limit, reserve=why is Why.RESERVE)
        return [Candidate(node, why) for node in islice(edges, max(0, count))]

    def edges(self, region: str, limit: float, *, reserve: bool = False) -> Iterator[Node]:
        """The region's usable edges below `limit` (exclusive, T-019), in bounded-load order. Lazy: with hundreds of
        edges the first few cost what they cost with ten."""
        loads = _Loads(self.nodes.nodes, self.coming)
        level = bound(self.ranks.offering(self.nodes, region, limit, reserve, self.now, self.policy.expiry_s), loads)
        ranked = (
            id_
            for id_ in self.ranks.of(self.nodes, region, self.title)
            if self._offers(self.nodes.nodes[id_], limit, reserve)
        )
        for id_ in within(ranked, loads, level):
            yield self.nodes.nodes[id_]

    def _offers(self, node: Node, limit: float, reserve: bool) -> bool:
        free = node.reserve is reserve and node.load < limit
        return free and node.id not in self.wishes.pinned and self._usable(node)

    def why_none(self, regions: Iterable[str]) -> WhyNone:
        alive = [n for r in regions for n in self._in(r) if n.alive(self.now, self.policy.expiry_s)]
        if not alive:
            return WhyNone.NO_EDGE
        if all(node.draining for node in alive):
            return WhyNone.ALL_DRAINING
        left = [node for node in alive if not node.draining and node.load < self.policy.top]
        return WhyNone.ALL_AVOIDED if left else WhyNone.ALL_FULL

    def _in(self, region: str) -> list[Node]:
        return [self.nodes.nodes[id_] for id_ in self.nodes.edges.get(region, ())]

    def _usable(self, node: Node) -> bool:
        return not node.draining and node.alive(self.now, self.policy.expiry_s) and node.id not in self.wishes.avoided


class _Loads(Mapping[str, float]):
    """What edges have, and what is coming to them."""

    def __init__(self, nodes: Mapping[str, Node], coming: Mapping[str, float]) -> None:
        self._nodes, self._coming = nodes, coming

    def __getitem__(self, edge: str) -> float:
        return self._nodes[edge].load + self._coming.get(edge, 0.0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def mean(self, offering: Offering) -> float:
        """Over edges that take sessions."""
        coming = sum(load for edge, load in self._coming.items() if edge in offering.edges)
        return (offering.load + coming) / max(1, len(offering.edges))


def bound(offering: Offering, loads: "_Loads") -> float:
    """The load above which an edge of a region passes titles on."""
    return max(IDLE_LOAD, LOAD_FACTOR * loads.mean(offering))


def bound_of(
    nodes: NodeMap, region: str, now: float, policy: Policy, ranks: Ranks, coming: Mapping[str, float]
) -> float | None:
    """The bound among a region's eligible edges; None where it has none."""
    offering = ranks.offering(nodes, region, policy.eligible_load, False, now, policy.expiry_s)
    return bound(offering, _Loads(nodes.nodes, coming)) if offering.edges else None
