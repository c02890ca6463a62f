"""What to do with a request, given what is stored: a closed union, exhausted by whoever acts on it."""

from dataclasses import dataclass

from proxy.http.fields import Fields, single
from proxy.rules.freshness import age, freshness
from proxy.rules.meta import Meta, matches


@dataclass(frozen=True, slots=True)
class Fresh:
    """Serve it. `age` and `ttl` (what is left) in seconds."""

    age: float
    ttl: float


@dataclass(frozen=True, slots=True)
class Revalidate:
    """Ask upstream with these conditional fields; `if_error`: on failure it may be served stale (RFC 5861 4)."""

    conditions: Fields
    if_error: bool
    age: float
    ttl: float


@dataclass(frozen=True, slots=True)
class StaleWhileRevalidate:
    """Serve it, and do `refresh` behind the viewer's back (RFC 5861 3). `ttl` is negative."""

    age: float
    ttl: float
    refresh: Revalidate


@dataclass(frozen=True, slots=True)
class Miss:
    """Nothing usable is stored; `vary` when an answer for other selecting fields is."""

    vary: bool


Decision = Fresh | StaleWhileRevalidate | Revalidate | Miss


def decide(stored: Meta | None, request: Fields, now: float, *, grace: bool = True, anew: bool = False) -> Decision:
    """RFC 9111 4, for GET and HEAD. Request directives are advisory (5.2.1) and not honoured: a viewer must not be able
    to send a shared cache to its origin at will.

    Without `grace` nothing stale serves while it is refreshed: towards another cache, whose own grace begins when ours
    would end, it would hand on what is over already.

    With `anew` nothing serves that upstream has not confirmed: an invalidation is known that did not reach this store.
    """
    if stored is None:
        return Miss(vary=False)
    if not matches(stored, request):
        return Miss(vary=True)
    known = freshness(stored)
    current = age(stored, now)
    left = known.lifetime - current
    if anew:
        return Revalidate(_conditions(stored), False, current, left)
    if left > 0:
        return Fresh(current, left)
    revalidate = Revalidate(_conditions(stored), -left < known.if_error, current, left)
    if grace and -left < known.while_revalidate:
        return StaleWhileRevalidate(current, left, revalidate)
    return revalidate


def _conditions(stored: Meta) -> Fields:
    """RFC 9111 4.3.1."""
    conditions: Fields = ()
    if stored.validators.etag is not None:
        conditions += (("If-None-Match", stored.validators.etag),)
    changed = single(stored.fields, "Last-Modified")
    if changed is not None:
        conditions += (("If-Modified-Since", changed),)
    return conditions
