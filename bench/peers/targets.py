"""What issue 4 wants of the hit path, and what of it was missed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.peers import many
from bench.peers.compared import Compared
from bench.peers.lineup import BARE, LANE, NGINX, VARNISH

PLAIN, ONE = "plain", "one"
"""Baselines of our own: the plain hit of that size; one object, or one worker."""
_MOST = {
    ("2 KB", NGINX): 1 / 1.0,
    ("2 KB", VARNISH): 1 / 1.2,
    ("64 KB", NGINX): 1 / 0.95,
    ("1 MiB", NGINX): 0.5,
    ("4 MiB", NGINX): 0.85,
    ("1 MiB", BARE): 1.15,
    ("4 MiB", BARE): 1.15,
}
"""The CPU a request over a peer's, at most."""
_MOST_BESIDE_PLAIN = 1.2
"""A range's or a 304's CPU over the plain hit's, at most."""
_MOST_OF_ONE = 1 / 0.9
"""The CPU a request of many objects, or of two workers, over that of one, at most."""
_MOST_A_MISS_S = 0.0015
_MOST_BESIDE_SLOW_S = 0.005
"""The p99 of a quick viewer."""


@dataclass(frozen=True, slots=True)
class Target:
    """What was wanted of a case. `of`: a peer's name or a baseline, or for times what they are of; `unit` is empty for
    ratios of CPU."""

    case: str
    of: str
    value: float
    most: float
    unit: str = ""

    @property
    def missed(self) -> bool:
        """Whether more was measured."""
        return self.value > self.most

    @property
    def text(self) -> str:
        """In words."""
        unit = f" {self.unit}" if self.unit else " times the CPU a request"
        most = f"{self.most:g} {self.unit}" if self.unit else f"{self.most:.2f}"
        return f"{self.case} / {self.of}: {self.value:.2f}{unit}, at most {most} wanted"

    def line(self) -> dict[str, Any]:
        """As it is printed."""
        return {"case": self.case, "of": self.of, "is": self.value, "most": self.most, "missed": self.missed}


def targets(ratios: Mapping[str, float], compared: Sequence[Compared]) -> list[Target]:
    """Those of the issue that were measured. `ratios` by "case / whose CPU"."""
    found = []
    for name, ratio in ratios.items():
        case, _, of = name.rpartition(" / ")
        if most := _most(case, of):
            found.append(Target(case, of, ratio, most))
    for each in compared:
        if each.peer == LANE and each.case == many.MISS:
            found.append(Target(each.case, "added at p50", each.added_p50_s * 1e3, _MOST_A_MISS_S * 1e3, "ms"))
        if each.peer == LANE and each.case == many.SLOW:
            found.append(Target(each.case, "p99 of a quick one", each.p99_s * 1e3, _MOST_BESIDE_SLOW_S * 1e3, "ms"))
    return found


def _most(case: str, of: str) -> float | None:
    if of == ONE:
        return _MOST_OF_ONE
    if of == PLAIN:
        return _MOST_BESIDE_PLAIN if re.search(r", (Range|If-)", case) else None
    return _MOST.get((case, of))
