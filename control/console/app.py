"""The admin application: page, roster, login, health."""

from urllib.parse import parse_qs

from aiohttp import web

from control.api import errors, health
from control.api.bodies import read
from control.api.service import Service
from control.console.access import COOKIE, Access, AdminRefused
from control.console.page import Pages
from control.console.roster import rows
from control.registry.model import RegistryState

NODES_PATH = "/api/v1/admin/nodes"
FIELDS = 16
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def admin_app(service: Service, access: Access) -> web.Application:
    """What listens on `settings.admin`. Reads the page's files."""
    app = web.Application(middlewares=[errors.middleware(service.metrics), access.middleware()], client_max_size=4096)
    pages = Pages()
    app.add_routes([*_data(service, pages), *_login(access, pages, service), *health.routes(service)])
    return app


def _data(service: Service, pages: Pages) -> list[web.RouteDef]:
    async def nodes(_: web.Request) -> web.Response:
        roster = await service.registry.roster()
        listed = rows(roster, service.clock.monotonic(), service.policy)
        return errors.json({"nodes": listed, "mapVersion": roster.version, "registry": _word(service.registry.state())})

    async def page(_: web.Request) -> web.Response:
        roster = await service.registry.roster()
        listed = rows(roster, service.clock.monotonic(), service.policy)
        return _html(pages.nodes(listed, version=roster.version, registry=_word(service.registry.state())))

    async def css(_: web.Request) -> web.Response:
        return web.Response(text=pages.css, content_type="text/css", headers=_HEADERS)

    async def script(_: web.Request) -> web.Response:
        return web.Response(text=pages.script, content_type="text/javascript", headers=_HEADERS)

    return [
        web.get("/", page),
        web.get(NODES_PATH, nodes),
        web.get("/console.css", css),
        web.get("/console.js", script),
    ]


def _login(access: Access, pages: Pages, service: Service) -> list[web.RouteDef]:
    async def form(_: web.Request) -> web.Response:
        return _html(pages.login())

    async def enter(request: web.Request) -> web.Response:
        if not access.fits(_token(await read(request))):
            service.metrics.refused.labels(AdminRefused.kind).inc()
            return _html(pages.login("That is not the operators' token."), status=403)
        response = web.Response(status=303, headers={"Location": "/", **_HEADERS})
        response.set_cookie(COOKIE, access.ticket, httponly=True, samesite="Strict", secure=request.secure, path="/")
        return response

    return [web.get("/login", form), web.post("/login", enter)]


def _token(form: bytes) -> str:
    """The token in a form of our own page; empty where there is none."""
    try:
        fields = parse_qs(form.decode("ascii", "replace"), max_num_fields=FIELDS)
    except ValueError:
        return ""
    return fields.get("token", [""])[0].strip()


def _word(state: RegistryState) -> str:
    match state.redis:
        case None:
            return "this process only (no Redis configured)"
        case "up":
            return "Redis"
        case _:
            return f"last known map: Redis has been away for {state.away_s or 0:.0f} s"


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)
