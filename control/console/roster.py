"""The rows that operators see; pure."""

from control.registry.model import Node, NodeMap
from control.steering.choose import Policy


def rows(nodes: NodeMap, now: float, policy: Policy) -> list[dict[str, object]]:
    """All nodes by region, role and id, as `/api/v1/admin/nodes` gives them. Ages in seconds."""
    ordered = sorted(nodes.nodes.values(), key=lambda node: (node.region, node.role, node.id))
    return [_row(node, now, policy) for node in ordered]


def state(node: Node, now: float, policy: Policy) -> str:
    """One word: silent, held, draining, reserve, full (no session goes there), busy (above the eligible load), ok."""
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
    return "reserve" if node.reserve else "ok"


def _row(node: Node, now: float, policy: Policy) -> dict[str, object]:
    return {
        "id": node.id,
        "role": node.role,
        "region": node.region,
        "url": node.url,
        "load": round(node.load, 1),
        "connections": node.connections,
        "egressMbps": round(node.egress_mbps, 1),
        "capacityMbps": node.capacity_mbps,
        "version": node.version,
        "started": node.started,
        "ageS": round(max(0.0, now - node.seen), 1),
        "state": state(node, now, policy),
    }
