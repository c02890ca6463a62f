"""Preconditions (RFC 9110 13): what a GET or HEAD with If-* fields gets of an object with these validators."""

from dataclasses import dataclass
from enum import Enum, auto

from proxy.http import dates
from proxy.http.fields import Fields, combined, members, single


@dataclass(frozen=True, slots=True)
class Validators:
    """An object's ETag (as in the field, quotes and W/ included) and Last-Modified (as in the field)."""

    etag: str | None
    last_modified: str | None
    date: str | None = None
    """The Date that a cache stored it with; None for an origin's own, whose Last-Modified is strong by its word."""


class Verdict(Enum):
    """What the preconditions say."""

    SEND = auto()
    NOT_MODIFIED = auto()
    FAILED = auto()


def evaluate(request: Fields, validators: Validators) -> Verdict:
    """The verdict for a safe method, in the order of RFC 9110 13.2.2."""
    match = combined(request, "If-Match")
    if match is not None:
        if not _listed(match, validators.etag, weak=False):
            return Verdict.FAILED
    elif _modified_after(validators.last_modified, single(request, "If-Unmodified-Since")):
        return Verdict.FAILED
    none_match = combined(request, "If-None-Match")
    if none_match is not None:
        return Verdict.NOT_MODIFIED if _listed(none_match, validators.etag, weak=True) else Verdict.SEND
    changed = validators.last_modified or validators.date  # RFC 9111 4.3.2: a cache takes Date where it has no other
    if _modified_after(changed, single(request, "If-Modified-Since")) is False:
        return Verdict.NOT_MODIFIED
    return Verdict.SEND


def range_applies(request: Fields, validators: Validators) -> bool:
    """Whether Range counts: no If-Range, or one that matches strongly (RFC 9110 13.1.5)."""
    value = single(request, "If-Range")
    if value is None:
        return combined(request, "If-Range") is None
    if value.startswith(('"', "W/")):
        return strong_match(value, validators.etag)
    return dates.parse(value) is not None and value == validators.last_modified and _date_is_strong(validators)


def strong_match(one: str | None, other: str | None) -> bool:
    """RFC 9110 8.8.3.2: equal, and neither weak."""
    return one is not None and one == other and not one.startswith("W/")


def weak_match(one: str | None, other: str | None) -> bool:
    """RFC 9110 8.8.3.2: equal but for weakness."""
    return one is not None and other is not None and one.removeprefix("W/") == other.removeprefix("W/")


def _listed(value: str, etag: str | None, *, weak: bool) -> bool:
    if value.strip() == "*":
        return True
    compare = weak_match if weak else strong_match
    return any(compare(member, etag) for member in members(value))


def _modified_after(changed: str | None, since: str | None) -> bool | None:
    """Whether the object changed after `since`; None where either date is missing or no date."""
    then, last = dates.parse(since), dates.parse(changed)
    return None if then is None or last is None else last > then


def _date_is_strong(validators: Validators) -> bool:
    """Whether what a cache stored was last changed a second or more before it was sent: it can then not have changed
    again under the same Last-Modified (RFC 9110 8.8.2.2)."""
    if validators.date is None:
        return True
    changed, sent = dates.parse(validators.last_modified), dates.parse(validators.date)
    return changed is not None and sent is not None and sent - changed >= 1
