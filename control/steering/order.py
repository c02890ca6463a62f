"""The order of a running session's pathways, and when its player asks again: pure rules over the map and the time.

A session stays where it is as long as that edge serves well enough; only what makes its edge worse moves it. So noise
moves nobody, an edge that comes back pulls nobody over, and the loss of an edge moves its own sessions alone.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from control.registry.model import Node, NodeMap
from control.steering.choose import NOTHING, Policy
from control.steering.losses import turned_away
from control.steering.overrides import NO_WISHES, Wishes
from control.steering.session import Session
from kit.hashing import draw

WINDOW_S = 60.0
"""Sessions draw anew this often who leaves an edge that is too full: longer than heartbeats take to show what left. Of
an edge that loses some for what players see, all ask again within it."""
JITTER = 0.1
"""Calm players ask up to this share earlier: they shall not come in step."""


class State(IntEnum):
    """How well an edge serves a session that knows it, best first."""

    GOOD = 0
    """It would be chosen for a new session."""
    WARM = 1
    """Its load is above that, but not so high that anybody should leave."""
    FULL = 2
    """Some of its sessions should leave."""
    DRAINING = 3
    """All of them should leave; it still serves."""
    DOWN = 4


class Why(StrEnum):
    """What became of a session at a poll: the label of a metric."""

    STAYS = "stays"
    FULL = "full"
    DRAINING = "draining"
    DOWN = "down"
    PINNED = "pinned"
    QUALITY = "quality"
    """It is of the share that its edge loses: players fare worse there than at its neighbours, or it is degraded."""
    LAST_KNOWN = "last_known"
    """No edge of the session is known to serve: the order that it had."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers. `leave_load`: percent from which an edge's sessions leave, a share of them, until it is back at the
    eligible load; the gap between the two is the hysteresis. The two times bound TTL, seconds."""

    leave_load: float = 90.0
    wrong_ttl_s: float = 5.0
    calm_ttl_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Order:
    """Positions in `Session.edges`, best first, all of them; the player asks again after `ttl_s`."""

    places: tuple[int, ...]
    ttl_s: int
    why: Why


def order(
    session: Session,
    current: int,
    nodes: NodeMap,
    now: float,
    policy: Policy,
    rules: Rules,
    last_change: Callable[[str], float],
    said: Wishes = NO_WISHES,
    losses: Mapping[str, float] = NOTHING,
) -> Order:
    """The order for a session that plays from `session.edges[current]`. Never raises.

    `last_change` tells when an edge's standing changed (monotonic, -inf: never seen). `said`: what operators want; an
    edge that they keep sessions away from counts as draining, one that is pinned comes first while it serves. `losses`:
    share of its running sessions that an edge loses to one that would be chosen for a new session.
    """
    found = [nodes.nodes.get(edge) for edge in session.edges]
    states = [_state(edge, node, now, policy, rules, said) for edge, node in zip(session.edges, found, strict=True)]
    away = [turned_away(session.id, edge, losses) for edge in session.edges]
    ranked = sorted(range(len(states)), key=lambda place: (states[place], away[place], place))
    best = ranked[0]
    pinned = [p for p in ranked if session.edges[p] in said.pinned and states[p] < State.FULL]
    if min(states) is State.DOWN:
        why = Why.LAST_KNOWN
    elif pinned and pinned[0] != current:
        current, why = pinned[0], Why.PINNED
    else:
        why = _leaves(session, states[current], found[current], states[best], now, policy)
        if why is Why.STAYS and away[current] and states[best] is State.GOOD and not (away[best] or pinned):
            why = Why.QUALITY
        current = current if why is Why.STAYS else best
    places = (current, *(place for place in ranked if place != current))
    calm = why is Why.STAYS and states[current] is State.GOOD
    if not calm:
        return Order(places, round(rules.wrong_ttl_s), why)
    ttl = _ttl(session, now, rules, last_change)
    return Order(places, min(ttl, round(WINDOW_S)) if session.edges[current] in losses else ttl, why)


def _state(edge: str, node: Node | None, now: float, policy: Policy, rules: Rules, said: Wishes) -> State:
    if node is None or not node.alive(now, policy.expiry_s):
        return State.DOWN
    if node.draining or edge in said.avoided:
        return State.DRAINING
    if node.load < policy.eligible_load:
        return State.GOOD
    return State.WARM if node.load < rules.leave_load else State.FULL


def _leaves(session: Session, state: State, node: Node | None, best: State, now: float, policy: Policy) -> Why:
    """Whether, and why, the session leaves its edge. Nobody leaves for an edge that is no better."""
    if state in (State.GOOD, State.WARM) or best >= state:
        return Why.STAYS
    if state is State.DOWN:
        return Why.DOWN
    if state is State.DRAINING:
        return Why.DRAINING
    assert node is not None
    surplus = (node.load - policy.eligible_load) / node.load
    return Why.FULL if best is State.GOOD and draw(session.id, node.id, str(now // WINDOW_S)) < surplus else Why.STAYS


def _ttl(session: Session, now: float, rules: Rules, last_change: Callable[[str], float]) -> int:
    """As long as all has been steady, within the bounds."""
    steady = now - max(map(last_change, session.edges))
    if steady <= rules.wrong_ttl_s:
        return round(rules.wrong_ttl_s)
    early = 1 - JITTER * (zlib.crc32(session.id.encode()) / 2**32)
    return max(round(rules.wrong_ttl_s), int(min(steady, rules.calm_ttl_s) * early))
