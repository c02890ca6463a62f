"""The forms of the page that do not change with the figures."""

from collections.abc import Iterable, Mapping
from html import escape

from control.admin.access import LOOPBACK
from control.admin.roles import Area, Principal, Role
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


def forms(who: Principal, regions: Iterable[str]) -> tuple[Html, Html]:
    """The purge form and the override form, as far as this role may send them."""
    return (
        _purge() if who.may(Role.OPERATOR, Area.ORDERS) else Html(""),
        _override(regions) if who.may(Role.OPERATOR, Area.STEERING) else Html(""),
    )


def _purge() -> Html:
    return tag(
        "form",
        hidden({"action": "orders.purge"}),
        tag("label", text("By"), _select("by", {"tag": "tag", "prefix": "prefix", "url": "URL"})),
        tag("label", text("What"), _input("what", placeholder="title:film, or /content/film/", required="")),
        Html('<label class="tick"><input type="checkbox" name="soft" value="1">soft</label>'),
        tag("button", text("Purge"), id="purge"),
        action="/confirm",
        class_="row",
        aria_label="Purge",
    )


def _override(regions: Iterable[str]) -> Html:
    kinds = {"avoid": "avoid", "pin": "pin", "canary": "canary"}
    return tag(
        "form",
        hidden({"action": "steering.override"}),
        tag("label", text("What"), _select("kind", kinds)),
        tag("label", text("Edge"), _input("edge", required="", size=12)),
        tag("label", text("Minutes"), _input("minutes", type="number", min=1, max=43200, value=60)),
        tag("label", text("% of sessions"), _input("percent", type="number", min=0, max=100, value=100)),
        tag("label", text("Region"), _select("region", {"": "all", **{name: name for name in regions}})),
        tag("label", text("Title"), _input("title", placeholder="all", size=12)),
        tag("label", text("Reason"), _input("reason", maxlength=200)),
        tag("button", text("Override"), id="override"),
        action="/confirm",
        class_="row",
        aria_label="Override steering",
    )


def _input(name: str, **attributes: object) -> Html:
    given = "".join(f' {key}="{escape(str(value))}"' for key, value in attributes.items())
    return Html(f'<input name="{escape(name)}" autocomplete="off"{given}>')


def _select(name: str, options: Mapping[str, str]) -> Html:
    return tag("select", join(tag("option", text(label), value=value) for value, label in options.items()), name=name)
