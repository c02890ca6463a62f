"""What every intermediary owes a message that it passes on, and what ours says of itself (RFC 9110 6.6.1, 7.6, 13.2.1,
14.4, 15.2; RFC 8586, 9209, 9211)."""

from tests.conformance.case import row
from tests.conformance.steps import (
    WHILE_S,
    ages,
    asking,
    at,
    fetched,
    fresh,
    hit,
    says,
    stale,
    told,
    validated,
    with_method,
)

_HOUR = "Cache-Control: max-age=3600"
_NEVER = "Cache-Control: no-store"
_PART = b"01"
_FAILED = b'{"error":"upstream_failed"}\n'
_DIRECTIVES = 'Cache-Control: max-age=9, foo, bar="a, b"'
_WRITE = ('If-Match: "a"', "If-Unmodified-Since: {0}", "Range: bytes=0-1")


def _part(content_range: str) -> tuple[str, ...]:
    return (_HOUR, 'ETag: "a"', f"Content-Range: {content_range}")


FIELDS = (
    row("no Date: the time of its arrival", "9110 6.6.1", told(_NEVER, shows=("Date: {0}",))),
    row("a Date stays", "9110 6.6.1", told(_NEVER, "Date: {-50}", shows=("Date: {-50}",))),
    row(
        "directives that we do not know", "9111 5.2", told(_DIRECTIVES, shows=(_DIRECTIVES,)), hit(shows=(_DIRECTIVES,))
    ),
    row(
        "directives of a request that we do not know",
        "9111 5.2",
        asking(told(sends=("Cache-Control: foo, no-cache",)), "Cache-Control: foo, no-cache"),
    ),
    row(
        "fields that we do not know", "9110 5.1", asking(told("X-Y: 1", sends=("X-Z: 2",), shows=("X-Y: 1",)), "X-Z: 2")
    ),
    row("obs-text", "9110 5.5", told("X: \u00e9", shows=("X: \u00e9",))),
    row(
        "Via of an answer stays",
        "9110 7.6.3",
        told(_HOUR, "Via: 1.1 o", shows=("Via: 1.1 o",)),
        hit(shows=("Via: 1.1 o",)),
    ),
    row("Retry-After", "9110 10.2.3", told("Retry-After: 9", status=503, shows=("Retry-After: 9",))),
    row("100 of the origin is ours", "9110 15.2.1", told(interim=((100, ()),))),
)

METHODS = (
    row(
        "conditions of a write go on",
        "9110 13.2.1",
        fresh('ETag: "b"'),
        asking(with_method("PUT", fetched(says=says(status=412), sends=_WRITE), b"x"), *_WRITE),
    ),
    row(
        "Max-Forwards of TRACE",
        "9110 7.6.2",
        asking(with_method("TRACE", told(sends=("Max-Forwards: 4",))), "Max-Forwards: 5"),
    ),
    row(
        "Max-Forwards 0 of OPTIONS",
        "9110 7.6.2",
        with_method("OPTIONS", hit("Max-Forwards: 0", status=204, shows=("Allow",))),
    ),
    row("Max-Forwards of GET says nothing", "9110 7.6.2", asking(told(sends=("Max-Forwards: 0",)), "Max-Forwards: 0")),
    row("an error of a write", "9110 9.3.4", with_method("PUT", told(status=409, text=b"body 1"), b"x")),
)

PARTS = (
    row(
        "a part in another unit goes on",
        "9110 14.4",
        asking(told(*_part("items 0-1/5"), status=206, body=_PART, text=_PART), "Range: bytes=0-1"),
        fetched(says=says(_HOUR)),
    ),
    row(
        "a part that ends before it begins goes on",
        "9110 14.4",
        asking(told(*_part("bytes 9-0/10"), status=206, body=_PART, text=_PART), "Range: bytes=0-1"),
        fetched(says=says(_HOUR)),
    ),
    row(
        "a part beyond the whole goes on",
        "9110 14.4",
        asking(told(*_part("bytes 0-1/1"), status=206, body=_PART, text=_PART), "Range: bytes=0-1"),
        fetched(says=says(_HOUR)),
    ),
)

_LATEST = (
    asking(told(_HOUR, "Vary: A"), "A: 1", "B: 1"),
    fetched("A: 2", "B: 1", says=says(_HOUR, "Vary: B")),
)

CHOICE = (
    row("of two that fit the latest", "9111 4", *_LATEST, hit("A: 1", "B: 1", text=b"body 2")),
    row("another target", "9111 4", fresh(), at("/s", fetched())),
    row(
        "nothing but what is stored",
        "9111 4",
        fresh("A: 1", status=404),
        hit(status=404, text=b"body 1", shows=("A: 1",)),
    ),
)

_HIT = "Cache-Status: edge; hit; ttl=99997"

SAID = (
    row(
        "Cache-Status of a miss",
        "9211 2",
        told(_HOUR, shows=("Cache-Status: edge; fwd=uri-miss; fwd-status=200; stored",)),
    ),
    row("Cache-Status of a hit", "9211 2", fresh(), hit(shows=(_HIT,))),
    row(
        "Cache-Status behind that of the origin's",
        "9211 2",
        told(
            _HOUR, "Cache-Status: o; hit", shows=("Cache-Status: o; hit, edge; fwd=uri-miss; fwd-status=200; stored",)
        ),
    ),
    row("Cache-Status of the origin's is not stored", "9211 2", fresh("Cache-Status: o; hit"), hit(shows=(_HIT,))),
    row(
        "Cache-Status of a 304",
        "9211 2",
        ages('ETag: "a"'),
        validated(shows=("Cache-Status: edge; fwd=stale; fwd-status=304",)),
    ),
    row(
        "Cache-Status of another variant",
        "9211 2",
        fresh("Vary: A"),
        fetched("A: 1", shows=("Cache-Status: edge; fwd=vary-miss; fwd-status=200; detail=no-lifetime",)),
    ),
    row(
        "Cache-Status of what is stale",
        "9211 2",
        told("Cache-Control: max-age=1, stale-while-revalidate=60", then=WHILE_S),
        stale(shows=("Cache-Status: edge; hit; ttl=-2",)),
    ),
    row(
        "Cache-Status of a write",
        "9211 2",
        with_method("POST", told(shows=("Cache-Status: edge; fwd=method; fwd-status=200",)), b"x"),
    ),
    row("CDN-Loop", "8586 2", asking(told(sends=("CDN-Loop: other, edge",)), "CDN-Loop: other")),
    row(
        "a loop",
        "8586 2",
        hit("CDN-Loop: edge, other, edge", status=508, shows=("Proxy-Status: edge; error=proxy_loop_detected",)),
    ),
    row(
        "Proxy-Status where the origin gave no answer",
        "9209 2",
        told(dies=True, status=502, text=_FAILED, shows=("Proxy-Status: edge; error=connection_terminated",)),
    ),
    row("no Proxy-Status on an error of the origin's", "9209 2", told(status=502, hides=("Proxy-Status",))),
)

ROWS = (*FIELDS, *METHODS, *PARTS, *CHOICE, *SAID)
