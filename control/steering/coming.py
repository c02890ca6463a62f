"""What one control process has sent: load under way to edges (Coming), sessions of titles (Popular).

Without the first, a popular title would fill its first edge far beyond the bound before its heartbeats show anything.
"""

import math
from collections.abc import Mapping

from cachetools import LRUCache

from control.registry.model import Node

LAG_S = 10.0
"""Nodes smooth their load at this pace (node.embed): after it two thirds of a new session are in what they report."""
STEP_S = 0.1
_NOTHING = 0.01


class Coming:
    """Percent of load under way to each edge, as one control process has sent it; others send theirs. Bounded by the
    edges chosen lately: what is as good as reported is forgotten."""

    def __init__(self, session_mbps: float) -> None:
        """`session_mbps`: what one session adds to an edge's egress."""
        self._session_mbps = session_mbps
        self._load: dict[str, float] = {}
        self._at = -math.inf

    def sent(self, node: Node, now: float) -> None:
        """A session goes to `node`."""
        self.view(now)
        self._load[node.id] = self._load.get(node.id, 0.0) + self._session_mbps / node.capacity_mbps * 100

    def view(self, now: float) -> Mapping[str, float]:
        """Edge id -> percent. The part that heartbeats show by now is taken off, every STEP_S."""
        if now - self._at >= STEP_S:
            left = math.exp(-(now - self._at) / LAG_S)
            self._load = {id_: rest for id_, load in self._load.items() if (rest := load * left) > _NOTHING}
            self._at = now
        return self._load


TITLES = 50_000
VIEWING_S = 1800.0
"""A session is counted for about so long: what it goes on for is not known here."""
WARM = 0.1
"""A title is warm when its sessions take this share of an edge."""


class Popular:
    """How many sessions of each title began lately, as one control process has sent them. Bounded: TITLES."""

    def __init__(self, session_mbps: float, titles: int = TITLES) -> None:
        self._session_mbps = session_mbps
        self._counts: LRUCache[str, tuple[float, float]] = LRUCache(titles)

    def __len__(self) -> int:
        return len(self._counts)

    def sent(self, title: str, now: float) -> None:
        """A session of `title` begins."""
        count, at = self._counts.get(title, (0.0, now))
        self._counts[title] = 1.0 + count * math.exp((at - now) / VIEWING_S), now

    def warm(self, title: str, edge: Node) -> bool:
        """Whether the title is more than a small part of what `edge` can carry."""
        count, _ = self._counts.get(title, (0.0, 0.0))
        return count * self._session_mbps > WARM * edge.capacity_mbps
