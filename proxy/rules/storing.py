"""May this answer be stored by a shared cache (RFC 9111 3)?"""

from enum import StrEnum

from proxy.http import cache_control, dates
from proxy.http.fields import Fields, combined, single, values
from proxy.rules.freshness import freshness
from proxy.rules.meta import Meta, storable_fields, vary_of


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


_FINAL = frozenset({200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 451, 501})
"""Status codes that this cache understands (RFC 9111 3: the response status code is final and understood)."""


def storing(
    *, key: str, method: str, request: Fields, status: int, response: Fields, request_time: float, response_time: float
) -> Meta | NotStored:
    """The metadata to store an answer under, or why it must not be."""
    directives = cache_control.parse(combined(response, "Cache-Control"))
    refusal = _forbidden(method, request, status, response, directives)
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


def _forbidden(
    method: str, request: Fields, status: int, response: Fields, directives: dict[str, str | None]
) -> NotStored | None:
    if method != "GET":
        return NotStored.METHOD
    if status == 206:
        return NotStored.PARTIAL
    if status not in _FINAL:
        return NotStored.STATUS
    if "no-store" in directives:
        return NotStored.NO_STORE
    if "private" in directives:
        return NotStored.PRIVATE
    explicit = any(name in directives for name in ("public", "s-maxage", "must-revalidate"))
    if values(request, "Authorization") and not explicit:
        return NotStored.AUTHORIZATION  # RFC 9111 3.5
    if values(response, "Set-Cookie"):
        return NotStored.SET_COOKIE  # stricter than 9111 7.3 asks: one viewer's session must not reach another
    return None


def _revalidates(meta: Meta) -> bool:
    """Worth keeping though stale at once: a validator lets the next request be answered by a 304."""
    directives = cache_control.parse(combined(meta.fields, "Cache-Control"))
    explicit = "no-cache" in directives or "max-age" in directives or "s-maxage" in directives
    return explicit and (
        meta.validators.etag is not None or dates.parse(single(meta.fields, "Last-Modified")) is not None
    )
