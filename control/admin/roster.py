"""The nodes as operators see them; pure."""

from typing import Literal

from control.admin.endpoint import Names
from control.contract.messages import Id, Message
from control.registry.model import Node, NodeMap
from control.steering.choose import Policy

State = Literal["ok", "busy", "full", "draining", "reserve", "held", "silent", "down", "degraded"]


class NodeRow(Message):
    """One node, from its last heartbeat."""

    id: str
    role: str
    region: str
    url: str
    load: float
    """0-100: the worst of CPU, connections, egress and disk, in percent of capacity."""
    connections: int
    egress_mbps: float
    capacity_mbps: int
    answers_per_s: float
    hit_ratio: float | None
    """Of its answers that came from its cache or from upstream; null: there were none lately."""
    error_ratio: float | None
    """Of its answers, those with 5xx; null: there were none lately."""
    version: str
    started: float
    """Seconds since the epoch."""
    age_s: float
    """Since the last heartbeat."""
    state: State


class NodeList(Message):
    """All nodes by region, role and id."""

    nodes: tuple[NodeRow, ...]
    map_version: int
    registry: str
    """Where the map is kept, in words."""


class NodeName(Names):
    """Which node."""

    id: Id
    """The node's id."""


def rows(nodes: NodeMap, now: float, policy: Policy) -> tuple[NodeRow, ...]:
    """All nodes by region, role and id."""
    ordered = sorted(nodes.nodes.values(), key=lambda node: (node.region, node.role, node.id))
    return tuple(row(node, now, policy) for node in ordered)


def state(node: Node, now: float, policy: Policy) -> State:
    """One word: down (found so), silent, held, draining, full (no session goes there), busy (above the eligible load),
    degraded (found so), reserve, ok."""
    if node.state == "down":
        return "down"
    if not node.alive(now, policy.expiry_s):
        return "silent"
    if node.held:
        return "held"
    if node.draining:
        return "draining"
    if node.load >= max((policy.eligible_load, *policy.bands)):
        return "full"
    if node.load >= policy.eligible_load:
        return "busy"
    if node.state == "degraded":
        return "degraded"
    return "reserve" if node.reserve else "ok"


def ratio(part: float, whole: float) -> float | None:
    """Part of whole; None of nothing."""
    return round(part / whole, 4) if whole > 0 else None


def row(node: Node, now: float, policy: Policy) -> NodeRow:
    """One node's row."""
    return NodeRow(
        id=node.id,
        role=node.role,
        region=node.region,
        url=node.url,
        load=round(node.load, 1),
        connections=node.connections,
        egress_mbps=round(node.egress_mbps, 1),
        capacity_mbps=node.capacity_mbps,
        answers_per_s=round(node.answers.all, 1),
        hit_ratio=ratio(node.answers.hits, node.answers.hits + node.answers.misses),
        error_ratio=ratio(node.answers.errors, node.answers.all),
        version=node.version,
        started=node.started,
        age_s=round(max(0.0, now - node.seen), 1),
        state=state(node, now, policy),
    )
