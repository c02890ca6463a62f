"""`GET /steer/<token>`: where a running session goes; asked by players, from pages of any origin."""

from aiohttp import web

from control.api.service import Service
from control.steering.live import PATH

FIELDS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store", "Content-Type": "application/json"}


def routes(service: Service) -> list[web.RouteDef]:
    """The endpoint of players."""

    async def answer(request: web.Request) -> web.Response:
        token, query = request.match_info["token"], request.rel_url.raw_query_string
        body = service.live.answer(token, query, service.clock.monotonic())
        return web.Response(body=body, headers=FIELDS)

    return [web.get(PATH + "{token}", answer)]
