"""Who sits before the browser: logging in, logging out, and what each request may see."""

from urllib.parse import parse_qsl

from aiohttp import web

from configs.schema.base import is_loopback
from control.admin.access import LOOPBACK
from control.admin.errors import NoCredential, TooMany
from control.admin.limit import Windows
from control.admin.parts import Admin
from control.admin.roles import Principal
from control.admin.routes import client, host
from control.api.bodies import read
from control.console.page import HEADERS, Pages, html
from control.console.session import COOKIE, LASTS_S, Sessions
from kit import log

FIELDS = 32


class Login:
    """One per process."""

    def __init__(self, admin: Admin, sessions: Sessions, pages: Pages) -> None:
        self._admin, self.sessions, self._pages = admin, sessions, pages
        self._failures = Windows()

    def routes(self) -> list[web.RouteDef]:
        """Login and logout."""
        return [
            web.get("/login", self._form),
            web.post("/login", self._enter),
            web.post("/logout", self._leave),
        ]

    async def who(self, request: web.Request) -> Principal:
        """Whose session this is; loopback may look without one where no token or `open_console` is configured.

        NoCredential otherwise.
        """
        cookie = request.cookies.get(COOKIE, "")
        if cookie:
            try:
                return await self.sessions.who(cookie)
            except NoCredential:
                if not self._open(request):
                    raise
        if self._open(request):
            return LOOPBACK
        raise NoCredential("no session")

    async def _form(self, _: web.Request) -> web.Response:
        return html(self._pages.login())

    async def _enter(self, request: web.Request) -> web.Response:
        try:
            principal = await self._admitted(request)
        except NoCredential as error:
            self._admin.service.metrics.refused.labels(error.kind).inc()
            return html(self._pages.login("That is not a token that works here."), status=403)
        except TooMany as error:
            return html(self._pages.login(f"Too many tries. The next fits in {error.after_s} s."), status=429)
        log.get("console").info("session opened", by=principal.name, client=client(request))
        response = web.Response(status=303, headers={"Location": "/", **HEADERS})
        cookie = self.sessions.open(principal)
        response.set_cookie(
            COOKIE, cookie, max_age=LASTS_S, httponly=True, samesite="Strict", secure=request.secure, path="/"
        )
        return response

    async def _admitted(self, request: web.Request) -> Principal:
        form = fields(await read(request))
        clock, settings = self._admin.service.clock, self._admin.service.settings.administration
        try:
            return await self._admin.access.principal(form.get("token", "").strip())
        except NoCredential:
            taken = self._failures.take(client(request), settings.failures_per_min, clock.monotonic())
            if not taken.allowed:
                raise TooMany(taken.reset_s) from None
            raise

    async def _leave(self, _: web.Request) -> web.Response:
        """Ends the session of this browser; whoever made it do so did no harm."""
        response = web.Response(status=303, headers={"Location": "/login", **HEADERS})
        response.del_cookie(COOKIE, path="/")
        return response

    def _open(self, request: web.Request) -> bool:
        unlocked = self._admin.access.token is None or self._admin.service.settings.administration.open_console
        return unlocked and is_loopback(host(request))


def fields(form: bytes) -> dict[str, str]:
    """The fields of a form of our own pages, the first of each name; empty where it is none."""
    try:
        pairs = parse_qsl(form.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        return {}
    return dict(reversed(pairs))
