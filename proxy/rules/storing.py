"""May this answer be stored by a shared cache (RFC 9111 3)?"""

from enum import StrEnum

from proxy.http import dates
from proxy.http.fields import Fields, single, values
from proxy.rules.freshness import freshness
from proxy.rules.meta import Meta, storable_fields, vary_of
from proxy.rules.policy import UNDERSTOOD, Policy, policy

_NO_ERROR = frozenset(range(200, 400)) - {226, 304}
"""Final codes that an answer may be kept with where it says for how long, known to us or not (RFC 9111 3). Not 226: it
is made for caches that know deltas (RFC 3229 10.4.1). Other errors are not kept whatever they say: what one request
brings about must not become everybody's answer."""


class NotStored(StrEnum):
    """Why an answer is passed on and not kept; the words stand in Cache-Status and metrics."""

    METHOD = "method"
    STATUS = "status"
    NO_STORE = "no-store"
    PRIVATE = "private"
    AUTHORIZATION = "authorization"
    VARY_ALL = "vary-all"
    SET_COOKIE = "set-cookie"
    NO_LIFETIME = "no-lifetime"
    PARTIAL = "partial"


def storing(
    *, key: str, method: str, request: Fields, status: int, response: Fields, request_time: float, response_time: float
) -> Meta | NotStored:
    """The metadata to store an answer under, or why it must not be."""
    refusal = _forbidden(method, request, status, response, policy(response, status))
    if refusal:
        return refusal
    vary = vary_of(response, request)
    if vary is None:
        return NotStored.VARY_ALL
    meta = Meta(key, status, storable_fields(response, response_time), request_time, response_time, vary)
    known = freshness(meta)
    if known.lifetime <= 0 and not _revalidates(meta):
        return NotStored.NO_LIFETIME
    return meta


def _forbidden(method: str, request: Fields, status: int, response: Fields, known: Policy) -> NotStored | None:
    if method != "GET":
        return NotStored.METHOD
    if status == 206:
        return NotStored.PARTIAL
    if status not in UNDERSTOOD and (status not in _NO_ERROR or "must-understand" in known):
        return NotStored.STATUS
    if "no-store" in known:
        return NotStored.NO_STORE
    if "private" in known:
        return NotStored.PRIVATE
    explicit = any(name in known for name in ("public", "s-maxage", "must-revalidate"))
    if values(request, "Authorization") and not explicit:
        return NotStored.AUTHORIZATION  # RFC 9111 3.5
    if values(response, "Set-Cookie"):
        return NotStored.SET_COOKIE  # stricter than 9111 7.3 asks: one viewer's session must not reach another
    return None


def _revalidates(meta: Meta) -> bool:
    """Worth keeping though stale at once: a validator lets the next request be answered by a 304."""
    known = policy(meta.fields, meta.status)
    explicit = any(name in known for name in ("no-cache", "max-age", "s-maxage"))
    return explicit and (
        meta.validators.etag is not None or dates.parse(single(meta.fields, "Last-Modified")) is not None
    )
