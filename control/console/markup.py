"""Small pieces of HTML. Whatever is put into them is escaped here and nowhere else."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import NewType

Html = NewType("Html", str)
"""Text that is markup already."""


def text(value: object) -> Html:
    """A value as text."""
    return Html(escape(str(value)))


def join(parts: Iterable[Html]) -> Html:
    """Pieces one after the other."""
    return Html("".join(parts))


def tag(name: str, /, *inside: Html | str, **attributes: object) -> Html:
    """An element. `class_` and `for_` lose their underscore, others turn it into a hyphen; None leaves one out."""
    given = (
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{''.join(given)}>{''.join(inside)}</{name}>")


def table(caption: str, heads: Mapping[str, str], rows: Iterable[Iterable[Html]], *, empty: str) -> Html:
    """A table whose cells name their column, so that a narrow screen may stack them. `heads`: title -> class."""
    body = [_row(heads, row) for row in rows]
    if not body:
        return tag("p", text(empty), class_="empty")
    head = join(tag("th", text(title), scope="col", class_=kind or None) for title, kind in heads.items())
    return tag(
        "table",
        tag("caption", text(caption)),
        tag("thead", tag("tr", head)),
        tag("tbody", join(body)),
    )


def meter(percent: float, kind: str) -> Html:
    """A bar of 0 to 100; its figure stands beside it, so it is hidden from screen readers."""
    width = min(100.0, max(0.0, percent))
    return Html(
        f'<svg class="meter {escape(kind)}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="back" width="100" height="6"/><rect width="{width:.1f}" height="6"/></svg>'
    )


def action(name: str, label: str, say: str, **values: str) -> Html:
    """A button that leads to the page that asks whether this is meant. `say` is its name for screen readers."""
    hidden = join(
        Html(f'<input type="hidden" name="{escape(key)}" value="{escape(value)}">')
        for key, value in {"action": name, **values}.items()
    )
    where = "-".join((name.replace(".", "-"), *values.values()))
    return tag(
        "form",
        hidden,
        tag("button", text(label), id=f"do-{where}", aria_label=say),
        action="/confirm",
        class_="inline",
    )


def _row(heads: Mapping[str, str], cells: Iterable[Html]) -> Html:
    pairs = zip(heads.items(), cells, strict=True)
    return tag(
        "tr",
        join(tag("td", cell, data_label=title, class_=kind or None) for (title, kind), cell in pairs),
    )
