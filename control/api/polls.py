"""`GET /steer/<token>`: where a running session goes; asked by players, from pages of any origin."""

from aiohttp import web

from control.api.service import Service
from control.steering.live import PATH
from origin.contract.headers import CMCD_REQUEST

FIELDS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store", "Content-Type": "application/json"}
PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": CMCD_REQUEST,
    "Access-Control-Max-Age": "86400",
}
"""A player may send CMCD in header fields here too (CTA-5004); its browser asks first."""


def routes(service: Service) -> list[web.RouteDef]:
    """The endpoint of players."""

    async def answer(request: web.Request) -> web.Response:
        token, query = request.match_info["token"], request.rel_url.raw_query_string
        body = service.live.answer(token, query, service.clock.monotonic())
        return web.Response(body=body, headers=FIELDS)

    async def preflight(_: web.Request) -> web.Response:
        return web.Response(status=204, headers=PREFLIGHT)

    return [web.get(PATH + "{token}", answer), web.options(PATH + "{token}", preflight)]
