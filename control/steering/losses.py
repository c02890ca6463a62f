"""Which share of its sessions an edge loses to the others of its region: for what its players see, or while degraded.

A share, not a yes or no: there is always one network that would tip a yes. A network moves the complaint of each edge
by 1/80 at most (observed.quality), so the distance between edges by 1/40, and a share by a twentieth (issue 5, part 6);
all that comes behind keeps that bound. Edges are compared with the middle one of their region, so that what all of it
suffers from moves nobody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median_low

from control.registry.model import Node, NodeMap
from kit.hashing import draw

SLOPE = 2.0
"""Share that an edge loses for its complaint being so far above the middle one's."""
DEGRADED = 0.6
"""Share for being degraded, where most of the region is not."""
RELIEF = 2.0
"""A degraded edge loses so much less for its complaint: where players' word made it degraded (TELLING) the complaint
alone counts, so that the step from one state to the next moves nobody."""
TELLING = DEGRADED / RELIEF
"""The least complaint that may call an edge degraded."""
PLAY = 0.05
"""Hysteresis: a share follows what it should be at this distance, whichever way that goes, and the first so much is
none. So it begins at twice this, and what swings by less than that moves nobody."""
RISE_S = 600.0
"""What running sessions lose takes so long from nothing to all: caches elsewhere shall have time."""


@dataclass(slots=True)
class _Edge:
    held: float = 0.0
    running: float = 0.0


class Losses:
    """The shares of all edges, above 0 alone, by edge id. Bounded by the map. A share is at most `most`, below 1: who
    stays tells whether it is better."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._edges: dict[str, _Edge] = {}
        self._at: float | None = None
        self.new: Mapping[str, float] = {}
        """Of sessions that begin."""
        self.running: Mapping[str, float] = {}
        """Of sessions that play; rises slowly, falls at once."""

    def look(self, nodes: NodeMap, complaints: Mapping[str, float], now: float, expiry_s: float) -> None:
        """Take in how edges are now (monotonic seconds): those without a complaint have none."""
        wanted: dict[str, float] = {}
        for region in nodes.edges.values():
            wanted |= shares([node for id_ in region if _counts(node := nodes.nodes[id_], now, expiry_s)], complaints)
        rise = 0.0 if self._at is None else (now - self._at) / RISE_S
        self._at = now
        self._edges = {id_: self._next(self._edges.get(id_), share, rise) for id_, share in wanted.items()}
        self.new = {id_: share for id_, edge in self._edges.items() if (share := self._share(edge)) > 0}
        self.running = {id_: edge.running for id_, edge in self._edges.items() if edge.running > 0}

    def _next(self, before: _Edge | None, wanted: float, rise: float) -> _Edge:
        edge = before or _Edge()
        edge.held = min(max(edge.held, wanted - PLAY), wanted + PLAY)
        edge.running = min(self._share(edge), edge.running + rise)
        return edge

    def _share(self, edge: _Edge) -> float:
        return min(self._most, max(0.0, edge.held - PLAY))


def shares(edges: Iterable[Node], complaints: Mapping[str, float]) -> dict[str, float]:
    """What each of a region's edges should lose, 0 to 1; at most half of them anything. `complaints` are 0 to 1."""
    told = {edge.id: complaints.get(edge.id, 0.0) for edge in edges}
    if not told:
        return {}
    marks = {edge.id: max(0.0, DEGRADED - RELIEF * told[edge.id]) * (edge.state == "degraded") for edge in edges}
    usual, mark = median_low(told.values()), median_low(marks.values())
    return {id_: min(1.0, max(0.0, SLOPE * (told[id_] - usual), marks[id_] - mark)) for id_ in told}


def turned_away(session: str, edge: str, losses: Mapping[str, float]) -> bool:
    """Whether `session` is of the share that `edge` loses. Stable: while a share rises the same ones stay in it."""
    share = losses.get(edge, 0.0)
    return share > 0 and draw(session, edge, "quality") < share


def _counts(node: Node, now: float, expiry_s: float) -> bool:
    return not node.draining and not node.reserve and node.alive(now, expiry_s)
