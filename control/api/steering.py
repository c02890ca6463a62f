"""Where a session goes: asked by origin when playback starts (CDN-04, CDN-07)."""

from aiohttp import web

from control.api.bodies import RoleRefused, parsed, reply, signed
from control.api.service import Service
from control.contract.errors import NoEdgeLeft
from control.contract.messages import CHOOSE_PATH, ChooseAnswer, ChooseRequest, Edge
from control.steering.choose import Candidates, NoEdge, choose
from control.steering.overrides import wishes
from control.steering.pathways import pathways
from control.steering.session import Session
from geo.network import client_network


def routes(service: Service) -> list[web.RouteDef]:
    """The steering API."""

    async def answer(request: web.Request) -> web.Response:
        asker = await signed(request, service)
        if asker.role != "origin":
            raise RoleRefused(f"{asker.node_id!r} is {asker.role}; only origin asks for edges")
        return reply(steer(service, parsed(ChooseRequest, asker.body)))

    return [web.post(CHOOSE_PATH, answer)]


def steer(service: Service, asked: ChooseRequest, *, counts: bool = True) -> ChooseAnswer:
    """The answer to one question; NoEdgeLeft when there is none. `counts`: a session begins, as origin says; what a
    stranger asks for must not move those of others."""
    nodes = service.registry.map()
    region = service.places.region(asked.client)
    now, coming = service.clock.monotonic(), service.coming
    title, who, said = asked.content_id, asked.session_id, service.overrides.in_force()
    losses = service.opinions.losses.new
    network = client_network(asked.client)
    latency = service.history.latency(network)
    chosen = choose(
        nodes,
        region,
        title,
        now,
        service.policy,
        service.ranks,
        latency,
        session=who,
        overrides=said,
        coming=coming.view(now),
        losses=losses,
    )
    match chosen:
        case Candidates(edges):
            service.metrics.choices.labels(edges[0].why).inc()
            count, told = service.settings.pathways, wishes(said, title, region, who)
            if counts:
                service.popular.sent(title, now)
            warm = service.popular.warm(title, edges[0].node)
            ways = pathways(
                chosen,
                nodes,
                title,
                who,
                now,
                service.policy,
                service.ranks,
                count,
                warm=warm,
                said=told,
                losses=losses,
            )
            if counts:
                coming.sent(ways[0], now)
            session = Session(who, title, region, network, tuple(each.id for each in ways))
            found = {each.id: each for each in (*ways, *(each.node for each in edges))}.values()
            return ChooseAnswer(
                edges=tuple(Edge(id=each.id, url=each.url) for each in found),
                map_version=nodes.version,
                pathways=len(ways),
                steering=service.live.url(session),
            )
        case NoEdge(why):
            service.metrics.choices.labels(why).inc()
            raise NoEdgeLeft(f"no edge for region {region}: {why}")
