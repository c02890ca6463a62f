"""The console's HTML, made from the roster; every value is escaped."""

from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from string import Template

SIGNS = {"ok": "●", "reserve": "◌", "busy": "▲", "full": "■", "draining": "▽", "held": "?", "silent": "✕"}
"""Beside the word, so that colour is never the only sign."""
_COLUMNS = ("id", "role", "region", "load", "connections", "egressMbps", "ageS")


class Pages:
    """The page's files, read once."""

    def __init__(self) -> None:
        here = files("control.console")
        self.css = here.joinpath("console.css").read_text(encoding="utf-8")
        self.script = here.joinpath("console.js").read_text(encoding="utf-8")
        self._page = Template(here.joinpath("console.html").read_text(encoding="utf-8"))
        self._login = Template(here.joinpath("login.html").read_text(encoding="utf-8"))

    def nodes(self, rows: Iterable[Mapping[str, object]], *, version: int, registry: str) -> str:
        """The page with the table as it is now."""
        return self._page.substitute(
            rows="\n".join(_row(row) for row in rows), version=version, registry=escape(registry)
        )

    def login(self, message: str = "") -> str:
        """The form that asks for the token."""
        return self._login.substitute(message=escape(message))


def _row(row: Mapping[str, object]) -> str:
    state = str(row["state"])
    cells = [f"<td>{escape(str(row[name]))}</td>" for name in _COLUMNS]
    cells.insert(1, f'<td class="{escape(state)}">{SIGNS[state]} {escape(state)}</td>')
    return f"<tr>{''.join(cells)}</tr>"
