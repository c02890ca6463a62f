"""The forms of the page that do not change with the figures."""

from collections.abc import Mapping
from html import escape

from control.admin.access import LOOPBACK
from control.admin.roles import Principal
from control.console.markup import Html, join, tag, text


def who_line(who: Principal) -> Html:
    """Who is looking, and the way in or out."""
    if who is LOOPBACK:
        return join([text("Looking only. "), tag("a", text("Log in to act"), href="/login", id="login")])
    out = tag("form", tag("button", text("Log out"), id="logout"), method="post", action="/logout", class_="inline")
    return join([text(f"{who.name} ({who.role}) "), out])


def hidden(values: Mapping[str, str]) -> Html:
    """Fields that go along."""
    return join(
        Html(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">') for name, value in values.items()
    )


def forms(who: Principal, endpoints: set[str]) -> Html:
    """The forms whose endpoints there are."""
    del who, endpoints
    return Html("")
