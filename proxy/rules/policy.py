"""Which directives govern an answer for this cache: CDN-Cache-Control where it is there and well formed, else
Cache-Control (RFC 9213 2.2); and what `must-understand` does to `no-store` (RFC 9111 5.2.2.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import http_sf

from proxy.http import cache_control
from proxy.http.fields import Fields, combined

TARGET = "CDN-Cache-Control"
"""The one targeted field that this cache obeys."""

UNDERSTOOD = frozenset({200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 451, 501})
"""Status codes whose caching this cache knows (RFC 9111 3, 5.2.2.3)."""

_LONGEST = 8_192
"""A field longer than this is not parsed: no origin means it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Directives by lower-case name. `targeted`: they stand for Expires too, which then says nothing (RFC 9213 2.2)."""

    directives: Mapping[str, str | None]
    targeted: bool

    def __contains__(self, name: str) -> bool:
        return name in self.directives

    def seconds(self, name: str) -> int | None:
        """See cache_control.seconds."""
        return cache_control.seconds(self.directives, name)


def policy(fields: Fields, status: int) -> Policy:
    """What governs an answer with these fields and this status."""
    targeted = _targeted(combined(fields, TARGET) or "")
    directives = targeted if targeted is not None else _plain(combined(fields, "Cache-Control"))
    if "must-understand" in directives and "no-store" in directives and status in UNDERSTOOD:
        directives = {name: value for name, value in directives.items() if name != "no-store"}
    return Policy(directives, targeted is not None)


@lru_cache(1024)
def _plain(value: str | None) -> Mapping[str, str | None]:
    return cache_control.parse(value)


@lru_cache(1024)
def _targeted(value: str) -> Mapping[str, str | None] | None:
    """The members of a dictionary (RFC 9651 3.2), None when it is empty or none. A directive that is said to be false
    is not there; a value of another type than its directive wants reads as malformed (RFC 9213 2.1)."""
    if not value.strip() or len(value) > _LONGEST:
        return None
    try:
        parsed = http_sf.parse(value.encode("latin-1"), tltype="dictionary")
    except (http_sf.StructuredFieldError, UnicodeError):
        return None
    members = cast(dict[str, tuple[object, object]], parsed)
    return {name: _text(item) for name, (item, _) in members.items() if item is not False} if members else None


def _text(value: object) -> str | None:
    """A member's value as Cache-Control would have it: a flag has none, a delta is an integer not below 0."""
    if value is True:
        return None
    return str(value) if isinstance(value, int) else ""
