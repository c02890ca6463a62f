"""The route table over HTTP."""

import ipaddress
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from configs.schema.base import is_loopback
from control.admin.access import LOOPBACK, Access
from control.admin.endpoint import PREFIX, Endpoint
from control.admin.gate import Come, Gate, Reply
from control.admin.roles import Principal
from control.api.bodies import read
from control.api.errors import ID

MAX_BODY_BYTES = 64 * 1024


def routes(endpoints: Iterable[Endpoint], gate: Gate, access: Access) -> list[web.RouteDef]:
    """A route for each row."""
    return [web.route(row.method, PREFIX + row.path, _handler(row, gate, access), name=row.id) for row in endpoints]


async def come(request: web.Request) -> Come:
    """The call in a request, body and all; BadRequest and 413 as `read`."""
    return Come(
        target=request.path_qs,
        path=dict(request.match_info),
        query=list(request.query.items()),
        body=await read(request),
        headers=request.headers,
        request_id=request[ID],
        client=client(request),
    )


def client(request: web.Request) -> str:
    """The caller's address; of IPv6 the network of a household, so that one caller is one (RAT-08)."""
    try:
        address = ipaddress.ip_address(request.remote or "")
    except ValueError:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network(f"{address}/64", strict=False))
    return str(address)


def host(request: web.Request) -> str:
    """The host that was asked for; empty where the Host field cannot be one. A page elsewhere may have rebound its name
    to us, so that the caller's address says nothing."""
    try:
        return request.url.host or ""
    except ValueError:
        return ""


def respond(reply: Reply) -> web.Response:
    """A JSON answer that no cache keeps."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **reply.headers}
    return web.Response(status=reply.status, body=reply.body, content_type="application/json", headers=headers)


def _handler(endpoint: Endpoint, gate: Gate, access: Access) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        async def who() -> Principal:
            if access.token is None and "Authorization" not in request.headers and is_loopback(host(request)):
                return LOOPBACK
            return await access.bearer(request.headers)

        return respond(await gate.answer(endpoint, await come(request), who))

    return handle
