"""Whether it can be true that so many nodes fell silent: pure.

A monitor whose own network fails hears nobody. Were it believed, the map would be empty and no session could start;
so above a share of nodes that fall silent within a short time it abstains, and the last picture stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from control.registry.model import Node


@dataclass(frozen=True, slots=True)
class SightLimits:
    """More than `share` of at least `least` nodes that fall silent within `window_s` are not believed. While none is
    heard, that holds; once some are heard again the silent ones get `most_s` and are believed dead then."""

    expiry_s: float
    share: float = 0.5
    least: int = 4
    window_s: float = 5.0
    most_s: float = 60.0


@dataclass(frozen=True)
class Sight:
    """What was seen so far. `silent`: nodes that were heard once, and are not; `since`: when it began to abstain
    (monotonic seconds), None while it believes what it sees."""

    heard: Mapping[str, Node] = field(default_factory=dict)
    silent: Mapping[str, Node] = field(default_factory=dict)
    since: float | None = None

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes to steer to: those heard, and while it abstains the silent ones too, held."""
        if self.since is None:
            return dict(self.heard)
        return {id_: replace(node, held=True) for id_, node in self.silent.items()} | dict(self.heard)


def watch(before: Sight, picture: Mapping[str, Node], now: float, limits: SightLimits) -> Sight:
    """What is seen after one more picture. Who left in good order (gone from the picture before its time was over) is
    not silent."""
    heard = {id_: node for id_, node in picture.items() if node.alive(now, limits.expiry_s)}
    lost = {id_: node for id_, node in before.heard.items() if id_ not in heard and _expired(node, now, limits)}
    silent = {id_: node for id_, node in {**before.silent, **lost}.items() if id_ not in heard}
    if before.since is None:
        forgotten = limits.expiry_s + limits.window_s
        silent = {id_: node for id_, node in silent.items() if now - node.seen < forgotten}
        return Sight(heard, silent, now if _too_many(heard, silent, limits) else None)
    if not silent or (heard and now - before.since >= limits.most_s):
        return Sight(heard)
    return Sight(heard, silent, before.since if heard else now)


def _too_many(heard: Mapping[str, Node], silent: Mapping[str, Node], limits: SightLimits) -> bool:
    known = len(heard) + len(silent)
    return known >= limits.least and len(silent) > limits.share * known


def _expired(node: Node, now: float, limits: SightLimits) -> bool:
    """A node that says farewell spoke just before; one that fell silent did not for a while."""
    return not node.held and now - node.seen >= limits.expiry_s / 2
