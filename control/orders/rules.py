"""Whom an order is for and who is told first: pure."""

from collections.abc import Iterable

from control.contract.orders import Command, Drain, Prefetch, Purge, Revoke, Targets, Undrain
from control.orders.feed import STORING, Staged
from control.orders.model import Draft
from control.registry.model import Node, NodeMap
from kit.errors import Unprocessable

EVERYBODY = Targets()


def draft(command: Command, targets: Targets, nodes: NodeMap, *, issued: float, by: str, key: str) -> Draft:
    """The order that a command makes. Unprocessable when the targets do not fit the command."""
    check(command, targets)
    told, later = _roles(command, targets)
    meant = {role: frozenset(_meant(nodes, role, targets)) for role in (*told, *later)}
    if later and not meant[told[0]]:
        told, later = (*told, *later), ()  # no shield to wait for; one that comes back is told then
    return Draft(command, targets, issued, by, key, meant, told, later, everybody=targets == EVERYBODY)


def check(command: Command, targets: Targets) -> None:
    """A purge or a revocation that leaves nodes out would be none; a drain of all would leave no edge."""
    match command:
        case Purge() | Revoke() if targets != EVERYBODY:
            raise Unprocessable(f"targets: a {command.kind} is for all nodes")
        case Drain() | Undrain() if not targets.nodes or targets.region:
            raise Unprocessable(f"targets.nodes: a {command.kind} names its nodes")
        case Prefetch() if targets.nodes and targets.region:
            raise Unprocessable("targets: give nodes or a region, not both")
        case _:
            pass


def may_tell(staged: Staged, nodes: NodeMap, now: float, *, expiry_s: float, seconds: float, most_s: float) -> bool:
    """Whether edges are told of a purge: every shield has acknowledged or is down, or they had `most_s`.

    `now` is monotonic; `seconds` have gone by since the caller knows of it.
    """
    alive = {id_ for id_ in staged.waiting if id_ in nodes.nodes and nodes.nodes[id_].alive(now, expiry_s)}
    return not alive or seconds >= most_s


def _roles(command: Command, targets: Targets) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(told at once, told later)."""
    match command:
        case Purge():
            return ("shield",), ("edge",)
        case Revoke(by="node"):
            return ("shield", "origin"), ()  # edges check no node
        case Revoke():
            return ("edge",), ()  # shields see no play token
        case Prefetch() if not targets.nodes:
            return ("edge",), ()  # what edges ask for comes through the shields
        case _:
            return STORING, ()


def _meant(nodes: NodeMap, role: str, targets: Targets) -> Iterable[str]:
    if targets.nodes:
        known = {id_ for id_, node in nodes.nodes.items() if node.role != role}
        return (id_ for id_ in targets.nodes if (role == "edge" or id_ in nodes.nodes) and id_ not in known)
    return (id_ for id_, node in nodes.nodes.items() if node.role == role and _in(node, targets.region))


def _in(node: Node, region: str | None) -> bool:
    return region is None or node.region == region
