"""Which fields are kept with an answer, and what an answer is kept under (RFC 9111 2, 3.1, 7.3)."""

from tests.conformance.case import Case, check, differs, optimal, required, row
from tests.conformance.reasons import COOKIES
from tests.conformance.steps import (
    WHILE_S,
    asking,
    at,
    fetched,
    fresh,
    hit,
    told,
)

_HOUR = "Cache-Control: max-age=3600"
_NOW = "Date: {0}"

SESSIONS = (
    row(
        "Set-Cookie",
        "9111 7.3",
        fresh("Set-Cookie: a=b"),
        hit(),
        public=optimal("other-set-cookie"),
        differs=differs(COOKIES, "2: fetched, not a hit"),
    ),
    row("Cookie", "9111 4", fresh(), hit("Cookie: a=b"), public=optimal("other-cookie")),
    row("Cookie goes on", "9110 7.6", asking(told(_HOUR, sends=("Cookie: a=b",)), "Cookie: a=b"), hit()),
)

_STORED = (
    ("Test-Header", "a"),
    ("X-Test-Header", "a"),
    ("Content-Foo", "a"),
    ("X-Content-Foo", "a"),
    ("Cache-Control", "max-age=3600"),
    ("Content-Encoding", "a"),
    ("Content-Location", "/bar"),
    ("Content-MD5", "N7UdGUp1E+RbVvZSTy1R8g=="),
    ("Content-Range", "a"),
    ("Content-Security-Policy", "default-src 'self' cdn.example.com"),
    ("Content-Type", "text/plain;charset=utf-8"),
    ("Clear-Site-Data", "cookies"),
    ("ETag", '"ghijkl"'),
    ("Expires", "Mon, 11 Jan 2038 11:11:11 GMT"),
    ("Public-Key-Pins", "a"),
    ("Set-Cookie2", "a=c"),
    ("X-Frame-Options", "sameorigin"),
    ("X-XSS-Protection", "1; mode=block"),
)

_DROPPED = (
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Upgrade",
)


def _stored(name: str, value: str) -> Case:
    lines = (_NOW, f"{name}: {value}", *(() if name == "Cache-Control" else (_HOUR,)))
    return row(
        f"{name} is kept",
        "9111 3.1",
        told(*lines, then=WHILE_S),
        hit(shows=(f"{name}: {value}",)),
        public=required(f"headers-store-{name}"),
    )


FIELDS = (
    row(
        "fields that Connection names",
        "9110 7.6.1",
        fresh("Connection: a, b", "a: 1", "b: 2", "c: 3", hides=("a", "b")),
        hit(shows=("c: 3",), hides=("a", "b", "Connection")),
        public=required("headers-omit-headers-listed-in-Connection"),
    ),
    *(_stored(name, value) for name, value in _STORED),
    *(
        row(
            f"{name} is not kept",
            "9111 3.1",
            told(_NOW, f"{name}: x-1", _HOUR, then=WHILE_S),
            hit(hides=(name,)),
            public=required(f"headers-store-{name}"),
        )
        for name in _DROPPED
    ),
    row(
        "Content-Length is kept",
        "9111 3.1",
        told(_NOW, _HOUR, body=b"0123456789", then=WHILE_S),
        hit(shows=("Content-Length: 10",)),
        public=required("headers-store-Content-Length"),
    ),
    row(
        "Set-Cookie is kept",
        "9111 7.3",
        told(_NOW, "Set-Cookie: a=c", _HOUR, then=WHILE_S),
        hit(shows=("Set-Cookie: a=c",)),
        public=required("headers-store-Set-Cookie"),
        differs=differs(COOKIES, "2: fetched, not a hit", "2: the answer has Set-Cookie [], not a=c"),
    ),
    row(
        "fresh Content-Disposition",
        "9111 3",
        fresh("Content-Disposition: attachment; filename=example.txt"),
        hit(),
        public=check("other-fresh-content-disposition-attachment"),
    ),
    row(
        "two lines of a field stay two values",
        "9110 5.3",
        fresh("Link: </a>", "Link: </b>"),
        hit(shows=("Link: </a>, </b>",)),
    ),
    row(
        "fields that a request's Connection names",
        "9110 7.6.1",
        asking(told(_HOUR, omits=("A", "Connection"), sends=("B: 2",)), "Connection: a", "A: 1", "B: 2"),
    ),
    row(
        "hop-by-hop fields of a request",
        "9110 7.6.1",
        asking(
            told(_HOUR, omits=("Keep-Alive", "TE", "Proxy-Authorization")),
            "Keep-Alive: 5",
            "TE: trailers",
            "Proxy-Authorization: x",
            "Connection: TE, Keep-Alive",
        ),
    ),
    row("Via", "9110 7.6.3", asking(told(_HOUR, sends=("Via: 1.0 a, 1.1 edge",)), "Via: 1.0 a")),
    row("Warning stays", "9111 5.5", fresh('Warning: 110 - "x"'), hit(shows=('Warning: 110 - "x"',))),
)

KEYS = (
    row(
        "another query",
        "9111 2",
        at("/r?test=1", fresh()),
        at("/r?test=2", fetched()),
        public=required("query-args-different"),
    ),
    row(
        "the same query", "9111 2", at("/r?test=1", fresh()), at("/r?test=1", hit()), public=optimal("query-args-same")
    ),
    row("no query", "9111 2", at("/r?test=1", fresh()), fetched()),
    row("the order of parameters", "9111 2", at("/r?a=1&b=2", fresh()), at("/r?b=2&a=1", fetched())),
    row("the case of a path", "9110 4.2.3", at("/r", fresh()), at("/R", fetched())),
    row("percent-encoding", "9110 4.2.3", at("/a%2Fb", fresh()), at("/a/b", fetched())),
    row("a player's report", "9111 2", at("/r?a=1", fresh()), at("/r?a=1&CMCD=x", hit(text=b"body 1"))),
    row("a viewer's Host", "9111 2", fresh(), hit("X-Forwarded-Host: other.test")),
)


ROWS = (*SESSIONS, *FIELDS, *KEYS)
