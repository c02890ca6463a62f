"""Nodes ask what to do, and say when it is done. A node speaks for itself only."""

import re

from aiohttp import web

from control.api.bodies import parsed, reply, sender
from control.api.service import Service
from control.contract.orders import ACK_PATH, CURSOR_PATTERN, ORDERS_PATH, Ack, Acked
from kit.errors import BadRequest

MOST_NUMBER = 2**53


def routes(service: Service) -> list[web.RouteDef]:
    """The node API's part for orders."""

    async def after(request: web.Request) -> web.Response:
        node = await sender(request, service)

        def gone() -> bool:
            return request.transport is None or request.transport.is_closing()

        return reply(await service.orders.wait(node.node_id, node.role, _cursor(request), gone=gone))

    async def ack(request: web.Request) -> web.Response:
        node = await sender(request, service)
        number = _number(request.match_info["number"])
        said = parsed(Ack, node.body)
        await service.orders.ack(node.node_id, number, said)
        service.metrics.acks.labels(said.outcome).inc()
        return reply(Acked(number=number))

    return [web.get(ORDERS_PATH, after, allow_head=False), web.post(ACK_PATH, ack)]


def _cursor(request: web.Request) -> str | None:
    given = request.query.get("after")
    if given is not None and not re.match(CURSOR_PATTERN, given):
        raise BadRequest("after: not a cursor of ours")
    return given


def _number(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0
    if not 1 <= number <= MOST_NUMBER:
        raise BadRequest("number: not an order's number")
    return number
