"""What operators say over the order: a title or region pinned to an edge or kept away from it, an edge for a few only.

Pure: who keeps overrides hands over those in force. A session's draw is stable, so that the same sessions stay chosen
while a percentage rises.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kit.hashing import draw


class Kind(StrEnum):
    """What an override does with its edge."""

    PIN = "pin"
    """The edge comes first, from wherever it stands, as long as it is up, not draining and below the last band."""
    AVOID = "avoid"
    """The edge is no candidate, not even where nobody else is left."""
    CANARY = "canary"
    """The edge is a candidate for `percent` of the sessions only."""


@dataclass(frozen=True, slots=True)
class Override:
    """One operator's order. `title`, `region` (the client's) None: all. `until`: wall-clock seconds, exclusive."""

    id: str
    kind: Kind
    edge: str
    until: float
    title: str | None = None
    region: str | None = None
    percent: float = 100.0
    """Share of the sessions that it is for, 0 to 100."""
    by: str = ""
    reason: str = ""

    def concerns(self, title: str, region: str) -> bool:
        """Whether it is about sessions of `title` by clients in `region`."""
        return self.title in (None, title) and self.region in (None, region)

    def drawn(self, session: str) -> bool:
        """Whether `session` is among its percent."""
        return draw(self.id, session) * 100 < self.percent


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the overrides come to for one session: edge id -> the override that says so."""

    pinned: dict[str, Override]
    """In the order of the overrides."""
    avoided: dict[str, Override]


NO_WISHES = Wishes({}, {})


def in_force(overrides: Iterable[Override], wall: float) -> tuple[Override, ...]:
    """Those whose end has not come."""
    return tuple(each for each in overrides if wall < each.until)


def wishes(overrides: Sequence[Override], title: str, region: str, session: str) -> Wishes:
    """What overrides in force say about one session. Keeping away beats pinning."""
    if not overrides:
        return NO_WISHES
    pinned: dict[str, Override] = {}
    avoided: dict[str, Override] = {}
    for each in overrides:
        if not each.concerns(title, region):
            continue
        drawn = each.drawn(session)
        if each.kind is Kind.PIN and drawn:
            pinned.setdefault(each.edge, each)
        elif (each.kind is Kind.AVOID and drawn) or (each.kind is Kind.CANARY and not drawn):
            avoided.setdefault(each.edge, each)
    return Wishes({edge: each for edge, each in pinned.items() if edge not in avoided}, avoided)
