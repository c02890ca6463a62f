"""CDN-Loop (RFC 8586) and Max-Forwards (RFC 9110 7.6.2): no request goes round for ever."""

from proxy.http.fields import Fields, combined, members, single, without

_LIMITED = frozenset({"OPTIONS", "TRACE"})


def passes(fields: Fields, name: str) -> int:
    """How often a request has been through a cache of this name before; parameters do not count (RFC 8586 2)."""
    found = (member.partition(";")[0].strip() for member in members(combined(fields, "CDN-Loop")))
    return sum(each.lower() == name.lower() for each in found)


def appended(fields: Fields, name: str) -> tuple[str, str]:
    """The CDN-Loop field of a request that we pass on: what came, and us."""
    before = combined(fields, "CDN-Loop")
    return "CDN-Loop", f"{before}, {name}" if before else name


def forwards_left(method: str, fields: Fields) -> int | None:
    """How many more times a request may be passed on; None when it does not say, or its method does not care."""
    value = single(fields, "Max-Forwards") if method in _LIMITED else None
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 10 else None


def forwarded_once(fields: Fields, left: int | None) -> Fields:
    """The fields of a request that is passed on with `left` forwards left before."""
    return fields if left is None else (*without(fields, ("Max-Forwards",)), ("Max-Forwards", str(left - 1)))
