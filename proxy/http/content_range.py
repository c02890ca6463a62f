"""Content-Range (RFC 9110 14.4), read strictly: what it says decides where bytes go in a file."""

import re
from dataclasses import dataclass

from proxy.http.fields import Fields, single

_SATISFIED = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes \*/([0-9]{1,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Bytes `start` to `end` (exclusive, never empty) of a representation of `total` bytes."""

    start: int
    end: int
    total: int


def content_range(fields: Fields) -> ContentRange | None:
    """What a 206 holds; None unless it is one range of bytes, in order and inside a total that is known."""
    match = _SATISFIED.fullmatch(single(fields, "Content-Range") or "")
    if not match:
        return None
    first, last, total = map(int, match.groups())
    return ContentRange(first, last + 1, total) if first <= last < total else None


def unsatisfied_total(fields: Fields) -> int | None:
    """The size that a 416 states (RFC 9110 15.5.17); None when it states none."""
    match = _UNSATISFIED.fullmatch(single(fields, "Content-Range") or "")
    return int(match[1]) if match else None
