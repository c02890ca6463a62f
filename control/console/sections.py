"""The live parts of the page, each made from a picture and the role of who looks; the stream sends those that
changed."""

from collections.abc import Callable, Mapping

from control.admin.qoe import QoeRow
from control.admin.roles import Area, Principal, Role
from control.admin.roster import NodeRow, ratio
from control.admin.trail import when
from control.console import rollout as rollouts
from control.console.figures import Picture, Region
from control.console.markup import Html, action, join, meter, table, tag, text
from control.contract.orders import Command, Prefetch, Purge, Revoke, Targets
from control.orders.model import OrderStatus
from control.steering.overrides import Override

SIGNS = {
    "ok": "●",
    "reserve": "◌",
    "busy": "▲",
    "full": "■",
    "draining": "▽",
    "held": "?",
    "silent": "✕",
    "down": "✕",
    "degraded": "◐",
}
"""Beside the word, so that colour is never the only sign."""


def state(node: NodeRow) -> Html:
    """How a node stands, as sign and word."""
    return tag("span", text(f"{SIGNS[node.state]} {node.state}"), class_=node.state)


def head(picture: Picture, _: Principal) -> Html:
    """Where the map is kept, and what cannot be shown."""
    words = text(f"Map version {picture.nodes.map_version}, kept in {picture.nodes.registry}.")
    missing = [f"No {name}: {why}." for name, why in picture.missing.items()]
    return join([words, *(tag("span", text(f" {each}"), class_="stale") for each in missing)])


def totals(picture: Picture, _: Principal) -> Html:
    """The figures of the whole installation."""
    edges = picture.edges
    taking = sum(node.state in ("ok", "busy", "degraded", "reserve") for node in edges)
    cells = [
        ("Edges taking sessions", f"{taking} of {len(edges)}"),
        ("Egress", bits(sum(node.egress_mbps for node in edges))),
        ("Connections", f"{sum(node.connections for node in edges):,}"),
        ("Hit ratio", percent(ratio(picture.answers.hits, picture.answers.hits + picture.answers.misses))),
        ("Error ratio", percent(ratio(picture.answers.errors, picture.answers.all), 2)),
        ("Highest load", f"{max((node.load for node in edges), default=0):.0f} %"),
        *_seen(picture.qoe),
        ("Orders in flight", str(sum(order.waiting > 0 for order in picture.orders))),
    ]
    return join(tag("div", tag("dt", text(name)), tag("dd", text(value))) for name, value in cells)


def _seen(rows: tuple[QoeRow, ...]) -> list[tuple[str, str]]:
    """What players say of all edges together, weighted by votes."""
    votes = sum(row.votes for row in rows)
    if not votes:
        return [("Sessions with stalls", "-")]
    stalled = sum((row.stalled_share or 0.0) * row.votes for row in rows) / votes
    return [("Sessions with stalls", percent(stalled)), ("QoE", f"{sum(r.score * r.votes for r in rows) / votes:.2f}")]


def qoe(picture: Picture, _: Principal) -> Html:
    """What players saw, by edge."""
    heads = {"Edge": "", "Votes": "number", "Score": "number", "Start": "number", "With stalls": "number"}
    heads |= {"Rebuffering": "number", "Bitrate": "number", "Failed": "number"}
    rows = [
        [
            tag("b", text(row.name)),
            text(f"{row.votes:,.0f}"),
            text(f"{row.score:.2f}"),
            text("-" if row.startup_ms is None else f"{row.startup_ms:,.0f} ms"),
            text(percent(row.stalled_share)),
            text("-" if row.rebuffer_ms_per_vote is None else f"{row.rebuffer_ms_per_vote:,.0f} ms"),
            text("-" if row.kbps is None else f"{row.kbps:,.0f} kbit/s"),
            text(percent(row.failed_share)),
        ]
        for row in picture.qoe
    ]
    return table("What players saw", heads, rows, empty="No player has told anything yet.")


def regions(picture: Picture, _: Principal) -> Html:
    """The map: regions, and in each its nodes as tiles with load and state."""
    return join(_region(region) for region in picture.regions)


def nodes(picture: Picture, who: Principal) -> Html:
    """Every node, with what may be done to it."""
    acts = who.may(Role.OPERATOR, Area.NODES)
    heads = {"Node": "", "State": "", "Role": "", "Region": "", "Load": "load", "Connections": "number"}
    heads |= {"Mbit/s": "number", "Hits": "number", "Errors": "number", "Heartbeat": "number"}
    heads |= {"Action": ""} if acts else {}
    rows = [_node(node, acts) for node in picture.nodes.nodes]
    return table("Nodes", heads, rows, empty="No node reports. Start one: it appears here with its first heartbeat.")


def orders(picture: Picture, _: Principal) -> Html:
    """The newest orders, and how far they are."""
    heads = {
        "Order": "",
        "What": "",
        "By": "",
        "Done": "number",
        "Failed": "number",
        "Waiting": "number",
        "Slowest": "",
    }
    rows = [
        [
            tag("b", text(f"#{each.order.number}")),
            text(in_words(each.order.command, each.targets)),
            text(each.by),
            text(each.done),
            tag("span", text(each.failed), class_="full" if each.failed else None, title=_failures(each) or None),
            tag(
                "span",
                text(each.waiting),
                class_="busy" if each.waiting else None,
                title=", ".join(each.missing) or None,
            ),
            text(f"{each.slowest.seconds:.2f} s {each.slowest.node}" if each.slowest else "-"),
        ]
        for each in picture.orders
    ]
    return table("Orders, newest first", heads, rows, empty="No order was given yet.")


def overrides(picture: Picture, who: Principal) -> Html:
    """The overrides in force, with the way to lift them."""
    acts = who.may(Role.OPERATOR, Area.STEERING)
    heads = {"Edge": "", "What": "", "For": "", "Until": "", "By": ""} | ({"Action": ""} if acts else {})
    rows = [
        [
            tag("b", text(each.edge)),
            text(each.kind),
            text(_scope(each)),
            text(when(each.until)[:16].replace("T", " ")),
            tag("span", text(each.by), title=each.reason or None),
            *([action("steering.lift", "Lift", f"Lift the override of {each.edge}", id=each.id)] if acts else []),
        ]
        for each in sorted(picture.overrides, key=lambda each: (each.until, each.id))
    ]
    return table("Overrides", heads, rows, empty="Nothing is said over steering.")


def rollout(picture: Picture, who: Principal) -> Html:
    """Versions of settings, and the canary under way."""
    return rollouts.rollout(picture.rollouts, who)


def audit(picture: Picture, who: Principal) -> Html:
    """The newest entries of the audit log."""
    if not who.may(Role.OPERATOR, Area.AUDIT):
        return tag("p", text("The audit log is for operators."), class_="empty")
    heads = {"When": "", "Who": "", "Action": "", "Outcome": "", "Request": ""}
    rows = [
        [
            tag("time", text(entry.at[:19].replace("T", " ")), datetime=entry.at),
            text(entry.actor_name),
            tag("span", text(f"{entry.action} {_object(entry.target)}"), title=entry.detail or None),
            tag("span", text(f"{entry.outcome} {entry.reason}".strip()), class_=_COLOURS.get(entry.outcome)),
            tag("code", text(entry.request_id[:12]), title=entry.request_id),
        ]
        for entry in picture.entries
    ]
    return table("Audit log, newest first", heads, rows, empty="Nothing was done yet.")


_COLOURS: Mapping[str, str] = {"refused": "full", "failed": "busy", "done": "ok", "replayed": "faint"}
SECTIONS: Mapping[str, Callable[[Picture, Principal], Html]] = {
    "head": head,
    "totals": totals,
    "regions": regions,
    "nodes": nodes,
    "qoe": qoe,
    "orders": orders,
    "overrides": overrides,
    "rollout": rollout,
    "audit": audit,
}
"""Element id -> what renders it."""


def percent(ratio: float | None, places: int = 1) -> str:
    """A ratio as text; a dash for none."""
    return "-" if ratio is None else f"{ratio * 100:.{places}f} %"


def bits(mbps: float) -> str:
    """A rate as text."""
    return f"{mbps / 1000:,.2f} Gbit/s" if mbps >= 1000 else f"{mbps:,.1f} Mbit/s"


def in_words(command: Command, targets: Targets) -> str:
    """An order, short."""
    match command:
        case Purge(by=by, what=what, soft=soft):
            said = f"{'soft purge' if soft else 'purge'} {by} {what}"
        case Prefetch(paths=paths):
            said = f"prefetch {paths[0]}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
        case Revoke(by=by, what=what):
            said = f"revoke {by} {what}"
        case _:
            said = command.kind
    where = targets.region or " ".join(targets.nodes[:3])
    return f"{said} {where}"[:120].strip()


def _failures(status: OrderStatus) -> str:
    return "; ".join(f"{each.node}: {each.detail}" for each in status.failures)


def _scope(override: Override) -> str:
    parts = [
        f"title {override.title}" if override.title else "",
        f"region {override.region}" if override.region else "",
    ]
    parts.append(f"{override.percent:g} % of sessions" if override.percent < 100 else "")
    return ", ".join(part for part in parts if part) or "all sessions"


def _object(target: str) -> str:
    """`POST /api/v1/admin/nodes/edge-1/drain` -> `/nodes/edge-1/drain`."""
    return target.partition(" ")[2].removeprefix("/api/v1/admin")[:80]


def _region(region: Region) -> Html:
    said = f"{len(region.nodes)} nodes, load {region.load:.0f} %, {region.egress_mbps:,.0f} Mbit/s"
    tiles = join(
        tag(
            "li",
            tag("span", text(SIGNS[node.state]), aria_hidden="true"),
            text(f" {node.id} "),
            tag("b", text(f"{node.load:.0f} %")),
            meter(node.load, node.state),
            class_=f"tile {node.state}",
            title=f"{node.role} {node.id}: {node.state}, load {node.load:.0f} %",
        )
        for node in region.nodes
    )
    return tag("section", tag("h3", text(region.name)), tag("p", text(said)), tag("ul", tiles), class_="region")


def _node(node: NodeRow, acts: bool) -> list[Html]:
    cells = [
        tag("b", text(node.id), title=node.url),
        state(node),
        text(node.role),
        text(node.region),
        join([text(f"{node.load:.1f} % "), meter(node.load, node.state)]),
        text(f"{node.connections:,}"),
        text(f"{node.egress_mbps:,.1f}"),
        text(percent(node.hit_ratio)),
        text(percent(node.error_ratio, 2)),
        text(f"{node.age_s:.0f} s ago"),
    ]
    if acts:
        cells.append(_drain(node))
    return cells


def _drain(node: NodeRow) -> Html:
    if node.role != "edge":
        return text("")
    if node.state == "draining":
        return action("nodes.undrain", "Undrain", f"Undrain {node.id}", id=node.id)
    return action("nodes.drain", "Drain", f"Drain {node.id}", id=node.id)
