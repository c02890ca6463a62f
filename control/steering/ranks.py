"""The rendezvous order of a region's edges for a title, remembered while the region's members stand."""

from dataclasses import dataclass

from cachetools import LRUCache

from control.registry.model import NodeMap
from kit.hashing import rank

REMEMBERED = 1_000_000
"""Ids in remembered orders at most, about 8 bytes each."""
ENTRY = 48
"""What an order costs beside its ids, in ids: that of a region without edges is not free, and anybody names titles."""
Members = tuple[tuple[str, int], ...]
"""Ids and capacities."""


@dataclass(frozen=True, slots=True)
class Offering:
    """The edges of a region that take sessions, and their load together."""

    edges: frozenset[str]
    load: float


class Ranks:
    """A bounded memory of orders. An order depends on membership and capacity alone: the map's version, which changes
    with every load that crosses a band, only says when to look whether those are still the same."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._orders: LRUCache[tuple[str, int, str], tuple[str, ...]] = LRUCache(remembered, getsizeof=_size)
        self._for: tuple[int, int] = (-1, -1)
        self._members: dict[str, Members] = {}
        self._generation: dict[str, int] = {}
        self._picture: NodeMap | None = None
        self._offerings: dict[tuple[str, float, bool], Offering] = {}
        self.misses = 0

    def __len__(self) -> int:
        return len(self._orders)

    def of(self, nodes: NodeMap, region: str, title: str) -> tuple[str, ...]:
        """All edges of `region`, best first for `title`; capacity is their weight."""
        if self._for != (nodes.epoch, nodes.version):
            self._look(nodes)
        key = region, self._generation.get(region, 0), title
        order = self._orders.get(key)
        if order is None:
            self.misses += 1
            members = self._members.get(region, ())
            order = tuple(rank(title, [id_ for id_, _ in members], {id_: float(mbps) for id_, mbps in members}))
            if _size(order) <= self._orders.maxsize:
                self._orders[key] = order
        return order

    def offering(
        self, nodes: NodeMap, region: str, limit: float, reserve: bool, now: float, expiry_s: float
    ) -> Offering:
        """The edges of `region` that take sessions below `limit`; looked up once a picture."""
        if self._picture is not nodes:
            self._picture, self._offerings = nodes, {}
        key = region, limit, reserve
        found = self._offerings.get(key)
        if found is None:
            able = [
                node
                for node in map(nodes.nodes.__getitem__, nodes.edges.get(region, ()))
                if node.reserve is reserve and node.load < limit and not node.draining and node.alive(now, expiry_s)
            ]
            found = Offering(frozenset(node.id for node in able), sum(node.load for node in able))
            self._offerings[key] = found
        return found

    def _look(self, nodes: NodeMap) -> None:
        """A region whose members changed begins a new generation; nobody asks for the orders of the old one again."""
        found = {
            region: tuple((id_, nodes.nodes[id_].capacity_mbps) for id_ in edges)
            for region, edges in nodes.edges.items()
        }
        for region in found.keys() | self._members.keys():
            if found.get(region) != self._members.get(region):
                self._generation[region] = self._generation.get(region, 0) + 1
        self._members = found
        self._for = (nodes.epoch, nodes.version)


def _size(order: tuple[str, ...]) -> int:
    return ENTRY + len(order)
