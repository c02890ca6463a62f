"""Field lines: an ordered tuple of (name, value), names as received, compared without case."""

from collections.abc import Iterable

Fields = tuple[tuple[str, str], ...]

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def values(fields: Iterable[tuple[str, str]], name: str) -> list[str]:
    """Every value of a field, in order."""
    wanted = name.lower()
    return [value for key, value in fields if key.lower() == wanted]


def combined(fields: Iterable[tuple[str, str]], name: str) -> str | None:
    """All values of a list field as one (RFC 9110 5.3), None when absent."""
    found = values(fields, name)
    return ", ".join(found) if found else None


def single(fields: Iterable[tuple[str, str]], name: str) -> str | None:
    """The value of a field that may stand once; None when absent or when it stands twice with two values."""
    found = set(values(fields, name))
    return found.pop() if len(found) == 1 else None


def members(value: str | None) -> list[str]:
    """The members of a comma-separated list, quoted strings kept whole (RFC 9110 5.6.1)."""
    if not value:
        return []
    found: list[str] = []
    start, quoted, escaped = 0, False, False
    for at, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            found.append(value[start:at].strip())
            start = at + 1
    found.append(value[start:].strip())
    return [member for member in found if member]


def end_to_end(fields: Iterable[tuple[str, str]]) -> Fields:
    """The fields that a proxy passes on: without hop-by-hop ones and those that Connection names (RFC 9110 7.6.1)."""
    kept = tuple(fields)
    dropped = {name.lower() for name in members(combined(kept, "Connection"))} | _HOP_BY_HOP
    return tuple((name, value) for name, value in kept if name.lower() not in dropped)


def without(fields: Iterable[tuple[str, str]], names: Iterable[str]) -> Fields:
    """The fields less those named."""
    dropped = {name.lower() for name in names}
    return tuple((name, value) for name, value in fields if name.lower() not in dropped)
