"""Great-circle distance, and what is nearest."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

EARTH_KM = 6371.0088
"""Mean radius (IUGG)."""


@dataclass(frozen=True, slots=True)
class Point:
    """Degrees; north and east are positive."""

    latitude: float
    longitude: float


def kilometres(one: Point, other: Point) -> float:
    """Great-circle distance (haversine: exact to half a percent, well behaved for near points)."""
    north_one, north_other = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(other.longitude - one.longitude)
    half = math.sin((north_other - north_one) / 2) ** 2
    half += math.cos(north_one) * math.cos(north_other) * math.sin(east / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def by_distance(place: Point, points: Mapping[str, Point]) -> list[str]:
    """The names of `points`, nearest first; of two equally far ones the first by name."""
    return sorted(points, key=lambda name: (kilometres(place, points[name]), name))
