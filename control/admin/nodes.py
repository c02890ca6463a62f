"""Endpoints on nodes."""

from control.admin.endpoint import Ask, Endpoint
from control.admin.roles import Role
from control.admin.roster import NodeList, NodeName, NodeRow, row, rows
from control.api.service import Service
from control.registry.model import RegistryState
from kit.errors import NotFound


def endpoints(service: Service) -> list[Endpoint]:
    """The rows."""

    async def listed(_: Ask) -> NodeList:
        return await roster(service)

    async def one(ask: Ask) -> NodeRow:
        nodes = await service.registry.roster()
        node = nodes.nodes.get(ask.path.id)
        if node is None:
            raise NotFound(f"no node {ask.path.id!r}")
        return row(node, service.clock.monotonic(), service.policy)

    return [
        Endpoint("nodes.list", "GET", "/nodes", Role.VIEWER, "All nodes, with load and state", NodeList, listed),
        Endpoint("nodes.show", "GET", "/nodes/{id}", Role.VIEWER, "One node", NodeRow, one, in_path=NodeName),
    ]


async def roster(service: Service) -> NodeList:
    """All nodes, every figure fresh."""
    nodes = await service.registry.roster()
    listed = rows(nodes, service.clock.monotonic(), service.policy)
    return NodeList(nodes=listed, map_version=nodes.version, registry=in_words(service.registry.state()))


def in_words(state: RegistryState) -> str:
    """Where the map is kept."""
    match state.redis:
        case None:
            return "this process only (no Redis configured)"
        case "up":
            return "Redis"
        case _:
            return f"last known map: Redis has been away for {state.away_s or 0:.0f} s"
