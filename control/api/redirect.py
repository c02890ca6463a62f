"""`GET /r/<content>/<file>?token=<play token>`: the router for clients that know no steering; a 302 to an edge.

Only where the play begins: relative URIs in what it leads to stay at that edge. The token is passed on, not looked
into: the edge checks it, and without one nothing is chosen.
"""

import hashlib
import re

from aiohttp import web

from control.api.service import Service
from control.api.steering import steer
from control.contract.messages import ChooseRequest
from kit.addresses import client_address
from kit.errors import BadRequest, Refused
from origin.contract import urls

_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,7}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,2048}")
_FIELDS = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}


def routes(service: Service) -> list[web.RouteDef]:
    """The router."""

    async def redirect(request: web.Request) -> web.Response:
        content_id, file = request.match_info["content"], request.match_info["file"]
        if not urls.is_id(content_id) or not _FILE.fullmatch(file):
            raise BadRequest("not a file of a title")
        tokens = request.query.getall("token", [])
        if len(tokens) != 1 or not _TOKEN.fullmatch(tokens[0]):
            raise Refused("no play token")
        client = client_address(request.remote or "", request.headers.getall("X-Forwarded-For", ()), service.trusted)
        edge = _edge(service, client, content_id, tokens[0])
        target = urls.with_token(tokens[0], urls.content_prefix(content_id) + file)
        return web.Response(status=302, headers={"Location": edge + target} | _FIELDS)

    return [web.get("/r/{content}/{file:.+}", redirect)]


def _edge(service: Service, client: str, content_id: str, token: str) -> str:
    """The base URL of the edge; the same token is the same session. NoEdgeLeft when there is none (T-020)."""
    session = hashlib.blake2b(token.encode(), digest_size=16).hexdigest()
    asked = ChooseRequest(client=client, content_id=content_id, session_id=session)
    return steer(service, asked, counts=False).edges[0].url
