"""The page itself, and what may be done from it: each action is asked back on a page of its own, then goes through the
same gate as the API, with an idempotency key made when it was asked back: a button pressed twice acts once."""

import secrets
from collections.abc import Mapping

import orjson
from aiohttp import web

from control.admin.endpoint import PREFIX, Endpoint
from control.admin.errors import NoCredential
from control.admin.gate import Come
from control.admin.parts import Admin
from control.admin.roles import Principal
from control.admin.routes import client
from control.api.bodies import read
from control.api.errors import ID
from control.console.deeds import DEEDS, Deed
from control.console.figures import Figures
from control.console.forms import forms, hidden, who_line
from control.console.login import Login, fields
from control.console.markup import join, tag, text
from control.console.page import HEADERS, Pages, html
from control.console.sections import SECTIONS
from control.console.session import COOKIE
from kit.errors import NotFound

_SAID = "Done. It is on record below."


class Actions:
    """One per process."""

    def __init__(self, admin: Admin, login: Login, pages: Pages, figures: Figures) -> None:
        self._admin, self._login, self._pages, self._figures = admin, login, pages, figures
        self._endpoints: Mapping[str, Endpoint] = {row.id: row for row in admin.endpoints}

    def routes(self) -> list[web.RouteDef]:
        """The page, the question, the deed."""
        return [web.get("/", self._page), web.get("/confirm", self._ask), web.post("/act", self._act)]

    async def _page(self, request: web.Request) -> web.Response:
        who = await self._whoever(request)
        picture = await self._figures.now()
        sections = {name: render(picture, who) for name, render in SECTIONS.items()}
        purge, override = forms(who, self._admin.service.settings.regions)
        sections |= {"purge_form": purge, "override_form": override}
        said = _SAID if request.query_string == "done" else ""
        return html(self._pages.console(sections, who=who_line(who), said=said))

    async def _ask(self, request: web.Request) -> web.Response:
        await self._whoever(request)
        given = dict(request.query)
        return html(self._question(request, _deed(given), given))

    async def _act(self, request: web.Request) -> web.Response:
        given = fields(await read(request))
        deed = _deed(given)
        cookie = request.cookies.get(COOKIE, "")
        if not self._login.sessions.fits(cookie, given.get("form", "")):
            return html(self._question(request, deed, given, "The form was not of this session. Look again."), 403)

        async def who() -> Principal:
            return await self._login.who(request)

        come = _come(request, self._endpoints[deed.endpoint], deed, given)
        reply = await self._admin.gate.answer(self._endpoints[deed.endpoint], come, who)
        if reply.status >= 400:
            message = str(orjson.loads(reply.body)["message"])
            return html(self._question(request, deed, given, f"It was not done: {message}."), reply.status)
        self._figures.renew()
        return web.Response(status=303, headers={"Location": "/?done", **HEADERS})

    def _question(self, request: web.Request, deed: Deed, given: Mapping[str, str], problem: str = "") -> str:
        kept = {name: given.get(name, "") for name in ("action", *deed.fields)}
        kept |= {"key": secrets.token_hex(16), "form": self._login.sessions.form_token(request.cookies.get(COOKIE, ""))}
        form = tag(
            "form",
            hidden(kept),
            tag("button", text(deed.verb), id="yes"),
            tag("a", text("Back"), href="/"),
            method="post",
            action="/act",
            class_="question",
        )
        return self._pages.confirm(title=deed.title(given), says=deed.says, form=join([form]), problem=problem)

    async def _whoever(self, request: web.Request) -> Principal:
        try:
            return await self._login.who(request)
        except NoCredential:
            raise web.HTTPSeeOther("/login") from None


def _deed(given: Mapping[str, str]) -> Deed:
    deed = DEEDS.get(given.get("action", ""))
    if deed is None:
        raise NotFound("no such action")
    return deed


def _come(request: web.Request, endpoint: Endpoint, deed: Deed, given: Mapping[str, str]) -> Come:
    """The API call that the form stands for."""
    body = deed.body(given)
    in_path = {name: given.get(name, "") for name in deed.path}
    target = PREFIX + endpoint.path
    for name, value in in_path.items():
        target = target.replace(f"{{{name}}}", value[:100])
    return Come(
        target=target,
        path=in_path,
        query=[],
        body=b"" if body is None else orjson.dumps(body),
        headers={"Idempotency-Key": given.get("key", "")},
        request_id=request[ID],
        client=client(request),
    )
