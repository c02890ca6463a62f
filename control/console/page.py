"""The console's documents: templates with places for the live sections and the forms."""

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from string import Template

from aiohttp import web

from control.console.markup import Html

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    """The page's files, read once."""

    def __init__(self) -> None:
        here = files("control.console")

        def template(name: str) -> Template:
            return Template(here.joinpath(name).read_text(encoding="utf-8"))

        self._css = here.joinpath("console.css").read_text(encoding="utf-8")
        self._script = here.joinpath("console.js").read_text(encoding="utf-8")
        self._console, self._login, self._confirm = map(template, ("console.html", "login.html", "confirm.html"))

    def routes(self) -> list[web.RouteDef]:
        """Style and script; they are the same for everybody."""

        async def css(_: web.Request) -> web.Response:
            return web.Response(text=self._css, content_type="text/css", headers=HEADERS)

        async def script(_: web.Request) -> web.Response:
            return web.Response(text=self._script, content_type="text/javascript", headers=HEADERS)

        return [web.get("/console.css", css), web.get("/console.js", script)]

    def console(self, sections: Mapping[str, Html], *, who: Html, said: str) -> str:
        """The page as it is now. `sections` fill the places of their names."""
        return self._console.substitute(sections, who=who, said=escape(said))

    def login(self, message: str = "") -> str:
        """The form that asks for a token."""
        return self._login.substitute(message=escape(message))

    def confirm(self, *, title: str, says: str, form: Html, problem: str = "") -> str:
        """Asks whether this is meant, or says why it could not be done."""
        return self._confirm.substitute(title=escape(title), says=escape(says), form=form, problem=escape(problem))


def html(text: str, status: int = 200) -> web.Response:
    """A page that no cache keeps and no other site frames."""
    return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)
