"""What is to be purged: a closed union, the same on a node's endpoint, on the command line and in orders."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Purge:
    """`what` names objects by their exact key, by the beginning of their keys, or by a tag that they carry.

    `soft` makes them stale (to be revalidated, and served meanwhile where RFC 5861 allows) instead of removing them.
    """

    by: Literal["key", "prefix", "tag"]
    what: str
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Purged:
    """How many objects it hit, and how long it took."""

    objects: int
    seconds: float
