"""Cache-Control (RFC 9111 5.2): directives as a mapping, times read the way the RFC wants malformed ones read."""

from collections.abc import Mapping

from proxy.http.fields import members

DELTA_MAX = 2**31
"""A larger delta-seconds means this (RFC 9111 1.2.2)."""


def parse(value: str | None) -> dict[str, str | None]:
    """Directives by lower-case name; a repeated one keeps its first value (RFC 9111 4.2.1 allows that or staleness).
    White space beside `=`, which the grammar has not, makes the argument malformed: it stays there for `seconds`."""
    directives: dict[str, str | None] = {}
    for member in members(value):
        name, equals, argument = member.partition("=")
        spaced = name != name.rstrip()
        directives.setdefault(name.rstrip().lower(), (" " * spaced + _unquote(argument)) if equals else None)
    return directives


def seconds(directives: Mapping[str, str | None], name: str) -> int | None:
    """The delta-seconds of a directive: None when absent, 0 when malformed (invalid freshness is staleness)."""
    if name not in directives:
        return None
    text = directives[name] or ""
    if not text.isascii() or not text.isdigit():
        return 0
    return min(int(text), DELTA_MAX) if len(text) < 20 else DELTA_MAX


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace("\\", "")
    return text
