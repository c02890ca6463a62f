"""Which region a client's address belongs to (CTL-04), and in which order the others lie (C-64).

The order: a network that the settings name; the region that names the client's country; the region nearest to the
client's place (great circle); the default region.
"""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cachetools import LRUCache

from geo.database import Place
from geo.distance import Point, by_distance
from geo.network import plain

REMEMBERED = 10_000
"""Points whose nearest region is remembered."""


class How(StrEnum):
    """What named the region."""

    NETWORK = "network"
    COUNTRY = "country"
    DISTANCE = "distance"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Standing:
    """A client's region, why, and what the database said of its address."""

    region: str
    how: How
    place: Place | None


@dataclass(frozen=True)
class Geography:
    """What lies where: `place` asks the database, `points` are the regions' coordinates, `countries` the region of a
    country where the settings name one."""

    place: Callable[[str], Place | None] = lambda _: None
    points: Mapping[str, Point] = field(default_factory=dict)
    countries: Mapping[str, str] = field(default_factory=dict)


class Places:
    """The region table. A look-up costs one dictionary access per prefix length in use, then one in the database."""

    def __init__(self, networks: Mapping[str, Sequence[str]], default: str, geography: Geography = Geography()) -> None:
        """`networks`: region -> CIDRs. ValueError when two regions claim the same network."""
        self._default, self._geography = default, geography
        self._near: LRUCache[Point, str] = LRUCache(REMEMBERED)
        self._table: dict[tuple[int, int, int], str] = {}
        for region, cidrs in networks.items():
            for cidr in cidrs:
                network = ipaddress.ip_network(cidr)
                key = (network.version, network.prefixlen, int(network.network_address))
                if self._table.setdefault(key, region) != region:
                    raise ValueError(f"{cidr} belongs to {self._table[key]} and {region}")
        self._lengths = sorted({key[:2] for key in self._table}, key=lambda each: -each[1])

    def region(self, client: str) -> str:
        """The region of an address. ValueError when it is none."""
        return self._named(client) or self._placed(self._geography.place(client)).region

    def standing(self, client: str) -> Standing:
        """The region of an address, and why it is that one. ValueError when it is none."""
        named, place = self._named(client), self._geography.place(client)
        return self._placed(place) if named is None else Standing(named, How.NETWORK, place)

    def _placed(self, place: Place | None) -> Standing:
        if place is not None:
            if region := self._geography.countries.get(place.country or ""):
                return Standing(region, How.COUNTRY, place)
            if place.point is not None and self._geography.points:
                return Standing(self._nearest(place.point), How.DISTANCE, place)
        return Standing(self._default, How.DEFAULT, place)

    def _nearest(self, point: Point) -> str:
        """Remembered: half a microsecond a region, and most clients come from few points."""
        found = self._near.get(point)
        if found is None:
            found = self._near[point] = by_distance(point, self._geography.points)[0]
        return found

    def _named(self, client: str) -> str | None:
        """Longest prefix wins."""
        address = plain(ipaddress.ip_address(client))
        number, bits = int(address), address.max_prefixlen
        for version, length in self._lengths:
            if version == address.version:
                found = self._table.get((version, length, number >> (bits - length) << (bits - length)))
                if found:
                    return found
        return None


def nearest_first(points: Mapping[str, Point]) -> dict[str, tuple[str, ...]]:
    """For each region that has coordinates, the others that have, nearest first: who takes over (C-64)."""
    return {name: tuple(by_distance(here, points)[1:]) for name, here in points.items()}
