"""Which edges a session's master names beside its first: where its player turns when that one is lost.

A player turns before anybody can tell it where to, so the sessions of one edge must not all have the same second: it
would get the whole load of the lost one at once.
"""

from collections.abc import Mapping
from itertools import chain, islice

from control.registry.model import Node, NodeMap
from control.steering.choose import NOTHING, Candidates, Policy, Why
from control.steering.losses import turned_away
from control.steering.overrides import NO_WISHES, Wishes
from control.steering.ranks import Ranks
from kit.hashing import draw

MORE = 3
"""So many edges are drawn from at least, where they are drawn."""
HOLDERS = 64
"""Edges before the first in a title's order that are looked at, at most."""


def pathways(
    chosen: Candidates,
    nodes: NodeMap,
    title: str,
    session: str,
    now: float,
    policy: Policy,
    ranks: Ranks,
    count: int,
    *,
    warm: bool = False,
    said: Wishes = NO_WISHES,
    losses: Mapping[str, float] = NOTHING,
) -> tuple[Node, ...]:
    """At most `count` edges, the first candidate first, those of its region before others.

    Where the title has outgrown the edges before it, those have the title too: the next are drawn from them by session,
    which spreads without filling new caches. A `warm` title's sessions are drawn over the next few edges. Those of any
    other title turn to the same edge: so few of them do not outweigh a second cache that is filled with it. Edges that
    lose the session (`losses`) come behind.
    """

    def takes(node: Node) -> bool:
        return _takes(node, now, policy, said)

    first, *rest = [each.node for each in chosen.edges]
    if chosen.edges[0].why is Why.PINNED:
        return (first, *rest)[:count]
    order = ranks.of(nodes, first.region, title)
    at = order.index(first.id)
    holders = [node for node in map(nodes.nodes.__getitem__, order[max(0, at - HOLDERS) : at]) if takes(node)]
    behind = islice(filter(takes, map(nodes.nodes.__getitem__, order[at + 1 :])), max(count, MORE))
    wanted = MORE if holders or warm else 0
    drawn = holders + list(islice(behind, max(0, wanted - len(holders))))
    drawn.sort(key=lambda node: draw(session, node.id))
    far = (node for node in rest if node.region != first.region)
    near = sorted([*drawn, *behind], key=lambda node: turned_away(session, node.id, losses))
    return (first, *islice(chain(near, far), count - 1))


def _takes(node: Node, now: float, policy: Policy, said: Wishes) -> bool:
    free = not node.draining and not node.reserve and node.load < policy.eligible_load
    return free and node.alive(now, policy.expiry_s) and node.id not in said.avoided
