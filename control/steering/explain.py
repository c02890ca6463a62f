"""Why a session goes where it goes: for each edge of the map whether it is in, its place, and what keeps it out.

`choose` decides; this only asks it and words the rest, so that what is explained is what happens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from control.registry.model import Node, NodeMap
from control.steering.choose import NOTHING, Candidates, Choice, Latency, Policy, bound_of, choose
from control.steering.overrides import Override, Wishes, wishes
from control.steering.ranks import Ranks


class Out(StrEnum):
    """Why an edge is no candidate; the first that applies."""

    DOWN = "down"
    DRAINING = "draining"
    AVOIDED = "avoided"
    FAR = "far"
    """Neither the client's region nor one of its neighbours."""
    LOAD = "load"
    RESERVE = "reserve"
    NEXT_REGION = "next_region"
    """Good, in a neighbour of the region, and the places were taken before it."""
    BEYOND = "beyond"
    """Good, but behind the last place."""


@dataclass(frozen=True, slots=True)
class Row:
    """One edge. Loads in percent; `rank` counts from 1 in the title's order of the edge's own region; `place` from 1
    among the candidates, None when it is none; `why` is a word of choose.Why or Out."""

    id: str
    region: str
    url: str
    place: int | None
    why: str
    rank: int
    load: float
    coming: float
    above_bound: bool
    """Its load is above the region's bound: it comes behind those that are not."""
    capacity_mbps: int
    latency_ms: float | None
    samples: int
    state: str
    """As the health monitor judges it: up, degraded or down."""
    loss: float
    """Share of its sessions, 0 to 1, that it loses: its players fare worse than its neighbours', or it is degraded."""
    override: str | None
    """Id of the override that pinned it or keeps it away."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of one decision; JSON-able by dataclasses.asdict. `none`: a word of choose.WhyNone where nobody can take the
    session. `rows`: candidates in their order, then the others by region and rank."""

    region: str
    title: str
    session: str
    map_version: int
    next_regions: tuple[str, ...]
    eligible_load: float
    bounds: dict[str, float]
    """Per region: the load above which an edge passes titles on."""
    none: str | None
    rows: tuple[Row, ...]


def explain(
    nodes: NodeMap,
    region: str,
    title: str,
    now: float,
    policy: Policy,
    ranks: Ranks,
    latency: Mapping[str, Latency],
    *,
    session: str = "",
    overrides: Sequence[Override] = (),
    coming: Mapping[str, float] = NOTHING,
    losses: Mapping[str, float] = NOTHING,
) -> Explanation:
    """The decision that `choose` takes on the same arguments, and why."""
    choice = choose(
        nodes,
        region,
        title,
        now,
        policy,
        ranks,
        latency,
        session=session,
        overrides=overrides,
        coming=coming,
        losses=losses,
    )
    said = wishes(overrides, title, region, session)
    asked = _Asked(nodes, region, title, now, policy, ranks, latency, said, coming, losses)
    rows = [asked.row(node, choice) for node in nodes.nodes.values() if node.role == "edge"]
    rows.sort(key=lambda row: (row.place is None, row.place or 0, row.region != region, row.region, row.rank))
    return Explanation(
        region=region,
        title=title,
        session=session,
        map_version=nodes.version,
        next_regions=tuple(policy.next.get(region, ())),
        eligible_load=policy.eligible_load,
        bounds=asked.bounds,
        none=None if isinstance(choice, Candidates) else str(choice.why),
        rows=tuple(rows),
    )


@dataclass(frozen=True)
class _Asked:
    nodes: NodeMap
    region: str
    title: str
    now: float
    policy: Policy
    ranks: Ranks
    latency: Mapping[str, Latency]
    wishes: Wishes
    coming: Mapping[str, float]
    losses: Mapping[str, float]

    def row(self, node: Node, choice: Choice) -> Row:
        found = choice.edges if isinstance(choice, Candidates) else ()
        place, why = next(
            ((at, str(each.why)) for at, each in enumerate(found, 1) if each.node.id == node.id), (None, "")
        )
        known = self.latency.get(node.id)
        said = self.wishes.pinned.get(node.id) or self.wishes.avoided.get(node.id)
        limit = self.bounds.get(node.region, 0.0)
        return Row(
            id=node.id,
            region=node.region,
            url=node.url,
            place=place,
            why=why or str(self._out(node)),
            rank=self.ranks.of(self.nodes, node.region, self.title).index(node.id) + 1,
            load=node.load,
            coming=self.coming.get(node.id, 0.0),
            above_bound=self._load(node) > limit > 0,
            capacity_mbps=node.capacity_mbps,
            latency_ms=known.ms if known else None,
            samples=known.samples if known else 0,
            state=node.state,
            loss=round(self.losses.get(node.id, 0.0), 4),
            override=said.id if said else None,
        )

    @cached_property
    def bounds(self) -> dict[str, float]:
        """Of the regions that have an edge to offer."""
        regions = (self.region, *self.policy.next.get(self.region, ()))
        found = {each: bound_of(self.nodes, each, self.now, self.policy, self.ranks, self.coming) for each in regions}
        return {region: round(level, 3) for region, level in found.items() if level is not None}

    def _load(self, node: Node) -> float:
        return node.load + self.coming.get(node.id, 0.0)

    def _out(self, node: Node) -> Out:
        if not node.alive(self.now, self.policy.expiry_s):
            return Out.DOWN
        if node.draining:
            return Out.DRAINING
        if node.id in self.wishes.avoided:
            return Out.AVOIDED
        if node.region != self.region and node.region not in self.policy.next.get(self.region, ()):
            return Out.FAR
        if node.load >= self.policy.eligible_load:
            return Out.LOAD
        if node.reserve:
            return Out.RESERVE
        return Out.BEYOND if node.region == self.region else Out.NEXT_REGION
