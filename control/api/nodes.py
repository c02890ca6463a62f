"""Heartbeats and farewells of nodes. A node that starts anew just reports again: a heartbeat registers."""

from aiohttp import web

from control.api.bodies import RoleRefused, parsed, reply, sender
from control.api.service import Service
from control.contract.messages import HEARTBEAT_PATH, LEAVE_PATH, HeartbeatAnswer, Report
from kit.errors import Unprocessable


def routes(service: Service) -> list[web.RouteDef]:
    """The node API."""

    async def heartbeat(request: web.Request) -> web.Response:
        node = await sender(request, service)
        report = parsed(Report, node.body)
        if report.role != node.role:
            raise RoleRefused(f"{node.node_id!r} is {node.role}, not {report.role}")
        if report.region not in service.settings.regions:
            known = ", ".join(service.settings.regions)
            raise Unprocessable(f"region: control knows no {report.region!r}; known: {known}")
        version = await service.registry.beat(node.node_id, report)
        service.metrics.heartbeats.labels(report.role).inc()
        return _answer(service, version, service.rollout.wanted(node.node_id))

    async def leave(request: web.Request) -> web.Response:
        node = await sender(request, service)
        return _answer(service, await service.registry.leave(node.node_id))

    return [web.post(HEARTBEAT_PATH, heartbeat), web.post(LEAVE_PATH, leave)]


def _answer(service: Service, version: int, snapshot: int = 0) -> web.Response:
    settings = service.settings
    return reply(
        HeartbeatAnswer(
            map_version=version, expiry_s=settings.expiry_s, interval_s=settings.interval_s, snapshot=snapshot
        )
    )
