"""The rendezvous order of a region's edges for a title, remembered while the map's version stands."""

from cachetools import LRUCache

from control.registry.model import NodeMap
from kit.hashing import rank

REMEMBERED = 1_000_000
"""Ids in remembered orders at most, about 8 bytes each."""


class Ranks:
    """A bounded memory of orders. The order depends on membership and capacity alone, so loads may move meanwhile."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._orders: LRUCache[tuple[str, str], tuple[str, ...]] = LRUCache(remembered, getsizeof=len)
        self._for: tuple[int, int] = (-1, -1)
        self.misses = 0

    def __len__(self) -> int:
        return len(self._orders)

    def of(self, nodes: NodeMap, region: str, title: str) -> tuple[str, ...]:
        """All edges of `region`, best first for `title`; capacity is their weight."""
        if self._for != (nodes.epoch, nodes.version):
            self._orders.clear()
            self._for = (nodes.epoch, nodes.version)
        order = self._orders.get((region, title))
        if order is None:
            self.misses += 1
            edges = nodes.edges.get(region, ())
            order = tuple(rank(title, edges, {id_: float(nodes.nodes[id_].capacity_mbps) for id_ in edges}))
            if len(order) <= self._orders.maxsize:
                self._orders[region, title] = order
        return order
