"""The candidates for one session (CDN-07, CDN-10, C-64, T-019, T-020; order as in contracts.md, Between processes).

Read `choose` from the top: it is the order. Origin is never an answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from control.registry.model import Node, NodeMap
from control.steering.ranks import Ranks
from kit.hashing import bound, within

MIN_SAMPLES = 3
"""A latency is believed from so many samples on (D-15)."""
MIN_GAIN_MS = 20.0
"""The second candidate wins only when it is at least this much quicker."""
IDLE_LOAD = 25.0
"""Up to this load the bound is not applied: among idle nodes a percent is noise, and moving titles costs hits."""


class Why(StrEnum):
    """Why a candidate is one."""

    REGION = "region"
    LATENCY = "latency"
    NEXT_REGION = "next_region"
    BAND = "band"
    RESERVE = "reserve"


class WhyNone(StrEnum):
    """Why there is no candidate."""

    NO_EDGE = "no_edge"
    ALL_DRAINING = "all_draining"
    ALL_FULL = "all_full"


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


def choose(
    nodes: NodeMap, region: str, title: str, now: float, policy: Policy, ranks: Ranks, latency: Mapping[str, Latency]
) -> Choice:
    """Candidates for `title` in `region`, `policy.candidates` at most. Never raises.

    The region's eligible edges come first and the next regions' fill up, so that a player has somewhere to turn when
    its edge dies. Higher bands, then reserve edges, are opened only when no edge is eligible anywhere.
    """
    seek = _Search(nodes, title, now, policy, ranks)
    regions = (region, *(each for each in policy.next.get(region, ()) if each != region))
    found = [Candidate(n, Why.REGION) for n in islice(seek.edges(region, policy.eligible_load), policy.candidates)]
    found = quicker(found, latency)
    for neighbour in regions[1:]:
        found += seek.some(neighbour, policy.eligible_load, Why.NEXT_REGION, policy.candidates - len(found))
    for limit in policy.bands if not found else ():
        for each in regions:
            found += seek.some(each, limit, Why.BAND, policy.candidates - len(found))
        if found:
            break
    if not found:
        top = max((policy.eligible_load, *policy.bands))
        for each in regions:
            found += seek.some(each, top, Why.RESERVE, policy.candidates - len(found))
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


@dataclass(frozen=True)
class _Search:
    """One title over one map at one moment."""

    nodes: NodeMap
    title: str
    now: float
    policy: Policy
    ranks: Ranks

    def some(self, region: str, limit: float, why: Why, count: int) -> list[Candidate]:
        reserve = why is Why.RESERVE
        return [Candidate(node, why) for node in islice(self.edges(region, limit, reserve=reserve), max(0, count))]

    def edges(self, region: str, limit: float, *, reserve: bool = False) -> Iterator[Node]:
        """The region's usable edges below `limit` (exclusive, T-019), in bounded-load order."""
        usable = {
            node.id: node
            for node in self._in(region)
            if node.reserve is reserve and node.load < limit and self._usable(node)
        }
        if not usable:
            return
        loads = {id_: node.load for id_, node in usable.items()}
        ranked = (id_ for id_ in self.ranks.of(self.nodes, region, self.title) if id_ in usable)
        for id_ in within(ranked, loads, max(IDLE_LOAD, bound(loads.values()))):
            yield usable[id_]

    def why_none(self, regions: Iterable[str]) -> WhyNone:
        alive = [n for r in regions for n in self._in(r) if n.alive(self.now, self.policy.expiry_s)]
        if not alive:
            return WhyNone.NO_EDGE
        return WhyNone.ALL_DRAINING if all(node.draining for node in alive) else WhyNone.ALL_FULL

    def _in(self, region: str) -> list[Node]:
        return [self.nodes.nodes[id_] for id_ in self.nodes.edges.get(region, ())]

    def _usable(self, node: Node) -> bool:
        return not node.draining and node.alive(self.now, self.policy.expiry_s)
