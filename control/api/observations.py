"""What edges tell of their viewers: round trips and votes, by client network."""

from aiohttp import web

from control.api.bodies import RoleRefused, parsed, reply, sender
from control.api.service import Service
from control.contract.observations import OBSERVATIONS_PATH, Observations, ObservationsAnswer


def routes(service: Service) -> list[web.RouteDef]:
    """The route of observations."""

    async def take(request: web.Request) -> web.Response:
        node = await sender(request, service)
        if node.role != "edge":
            raise RoleRefused(f"{node.node_id!r} is {node.role}; only edges have viewers")
        seen = parsed(Observations, node.body)
        await service.history.note(node.node_id, seen.round_trips)
        service.votes.note(node.node_id, seen.quality)
        if service.shared is not None:
            await service.shared.share(node.node_id, seen.quality)
        service.metrics.trips.inc(len(seen.round_trips))
        for each in seen.quality:
            service.metrics.votes.labels(each.stream).inc(each.votes)
            service.metrics.stalled.labels(each.stream).inc(each.stalled)
        return reply(ObservationsAnswer(taken=len(seen.round_trips) + len(seen.quality)))

    return [web.post(OBSERVATIONS_PATH, take)]
