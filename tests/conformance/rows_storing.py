"""What is kept and what is not: directives, statuses, methods, Authorization (RFC 9111 3, 5.2.2)."""

from tests.conformance.case import Case, Public, check, differs, optimal, required, row
from tests.conformance.reasons import ERRORS
from tests.conformance.steps import (
    WHILE_S,
    asking,
    fetched,
    fresh,
    hit,
    says,
    told,
    validated,
    with_method,
)

_HOUR = "Cache-Control: max-age=3600"
_NOW = "Date: {0}"
_TAG = 'ETag: "abcd"'
_FIELDLESS = 'no-cache="..." is read as if it named no field: safe, and simpler.'
_CASE = "A method is read without its case: aiohttp's parser keeps none."
_POSTED = "Only answers to GET are kept."


def _cc(value: str) -> str:
    return f"Cache-Control: {value}"


def _never(name: str, section: str, public: Public | None, *lines: str) -> Case:
    return row(name, section, told(*lines), fetched(), public=public)


DIRECTIVES = (
    _never("private", "9111 5.2.2.7", required("cc-resp-private-shared"), _cc("private, max-age=3600")),
    _never("private with fields", "9111 5.2.2.7", None, _cc('private="x", max-age=3600')),
    _never("no-store", "9111 5.2.2.5", required("cc-resp-no-store"), _cc("no-store")),
    _never("No-StOrE", "9111 5.2.2.5", required("cc-resp-no-store-case-insensitive"), _cc("No-StOrE")),
    _never(
        "no-store over max-age and Expires",
        "9111 5.2.2.5",
        required("cc-resp-no-store-fresh"),
        _cc("max-age=10000, no-store"),
        "Expires: {10000}",
        _NOW,
    ),
    _never("no-store in a line of its own", "9110 5.3", None, _HOUR, _cc("no-store")),
    _never("no-store with an argument", "9111 5.2.2.5", None, _cc("no-store=1, max-age=3600")),
    row(
        "no-store later",
        "9111 5.2.2.5",
        fresh("A: 1"),
        hit(then=WHILE_S, shows=("A: 1",)),
        hit(shows=("A: 1",)),
        public=required("cc-resp-no-store-old-new"),
    ),
    row(
        "no-store, max-age=0 later",
        "9111 5.2.2.5",
        told(_cc("max-age=10000"), "A: 1", then=WHILE_S),
        hit(then=WHILE_S, shows=("A: 1",)),
        hit(shows=("A: 1",)),
        public=required("cc-resp-no-store-old-max-age"),
    ),
    row(
        "no-store in place of what is stale",
        "9111 5.2.2.5",
        told(_cc("max-age=1"), 'ETag: "a"', then=WHILE_S),
        validated(says=says(_cc("no-store"))),
        validated(text=b"body 1"),
    ),
    _never(
        "no-cache",
        "9111 5.2.2.4",
        required("cc-resp-no-cache"),
        _cc("max-age=10000, no-cache"),
        "Expires: {10000}",
        _NOW,
    ),
    _never(
        "No-CaChE",
        "9111 5.2.2.4",
        required("cc-resp-no-cache-case-insensitive"),
        _cc("max-age=10000, No-CaChE"),
        "Expires: {10000}",
        _NOW,
    ),
    row(
        "no-cache is asked about",
        "9111 5.2.2.4",
        told(_cc("no-cache"), _TAG),
        validated(sends=('If-None-Match: "abcd"',)),
        public=optimal("cc-resp-no-cache-revalidate"),
    ),
    row(
        "no-cache over max-age is asked about",
        "9111 5.2.2.4",
        told(_cc("max-age=10000, no-cache"), "Expires: {10000}", _NOW, _TAG),
        validated(),
        public=optimal("cc-resp-no-cache-revalidate-fresh"),
    ),
    row(
        "no-cache with a field",
        "9111 5.2.2.4",
        told(_cc('no-cache="a"'), "a: 1", "b: 2", _HOUR, _NOW, then=WHILE_S),
        hit(shows=("b: 2",), hides=("a",)),
        public=check("headers-omit-headers-listed-in-Cache-Control-no-cache-single"),
        differs=differs(_FIELDLESS, "2: fetched, not a hit", "2: the answer has b [], not 2"),
    ),
    row(
        "no-cache with fields",
        "9111 5.2.2.4",
        told(_cc('no-cache="a, b"'), "a: 1", "b: 2", "c: 3", _HOUR, _NOW, then=WHILE_S),
        hit(shows=("c: 3",), hides=("a", "b")),
        public=check("headers-omit-headers-listed-in-Cache-Control-no-cache"),
        differs=differs(_FIELDLESS, "2: fetched, not a hit", "2: the answer has c [], not 3"),
    ),
    row(
        "must-revalidate while fresh",
        "9111 5.2.2.2",
        told(_cc("max-age=10000, must-revalidate"), _TAG),
        hit(),
        public=optimal("cc-resp-must-revalidate-fresh"),
    ),
    row(
        "must-revalidate when stale",
        "9111 5.2.2.2",
        told(_cc("max-age=2, must-revalidate"), _TAG),
        hit(then=WHILE_S),
        validated(),
        public=required("cc-resp-must-revalidate-stale"),
    ),
    row(
        "immutable when stale",
        "8246 2",
        told(_cc("max-age=2, immutable"), _TAG, then=WHILE_S),
        validated(shows=(_cc("max-age=2, immutable"),)),
    ),
    row(
        "immutable while fresh",
        "8246 2",
        told(_cc("max-age=60, immutable"), _TAG, then=WHILE_S),
        hit(shows=(_cc("max-age=60, immutable"),)),
    ),
    row("public alone is no lifetime", "9111 5.2.2.9", told(_cc("public")), fetched()),
    row(
        "no-transform stays",
        "9110 7.7",
        told(_cc("max-age=9, no-transform")),
        hit(shows=(_cc("max-age=9, no-transform"),)),
    ),
)

_KNOWN = (200, 203, 204, 301, 302, 303, 307, 308, 404, 410)

_OTHER = (299,)

_FAULTS = (400, 499, 500, 502, 503, 504, 599)

_STALE = ("Expires: {-5000}", "Last-Modified: {-100000}", _NOW)

STATUSES = (
    *(
        row(
            f"fresh {code}",
            "9111 3",
            fresh("Expires: {100000}", "Last-Modified: {0}", status=code),
            hit(status=code),
            public=optimal(f"status-{code}-fresh"),
        )
        for code in (*_KNOWN, *_OTHER)
    ),
    *(
        row(
            f"fresh {code}",
            "9111 3",
            fresh("Expires: {100000}", "Last-Modified: {0}", status=code),
            hit(status=code),
            public=optimal(f"status-{code}-fresh"),
            differs=differs(ERRORS, "2: fetched, not a hit"),
        )
        for code in _FAULTS
    ),
    *(
        row(f"stale {code}", "9111 3", told(*_STALE, status=code), fetched(), public=required(f"status-{code}-stale"))
        for code in (*_KNOWN, *_OTHER, *_FAULTS)
    ),
    row(
        "must-understand, not understood",
        "9111 5.2.2.3",
        told(_cc("max-age=3600, no-store, must-understand"), status=599),
        fetched(),
        public=required("status-599-must-understand"),
    ),
    row(
        "must-understand without no-store, not understood",
        "9111 3",
        told(_cc("max-age=3600, must-understand"), status=299),
        fetched(),
    ),
    row(
        "must-understand, understood",
        "9111 5.2.2.3",
        told(_cc("max-age=3600, no-store, must-understand")),
        hit(),
        public=optimal("status-200-must-understand"),
    ),
    row("no-store without must-understand", "9111 5.2.2.5", told(_cc("max-age=3600, no-store"), status=404), fetched()),
    *(
        row(f"fresh {code}", "9111 3", told(_HOUR, status=code), hit(status=code))
        for code in (201, 202, 300, 405, 414, 451, 501)
    ),
    row(
        "a guess needs a status that allows it",
        "9111 4.2.2",
        told("Last-Modified: {-100000}", _NOW, status=299),
        fetched(),
    ),
    row(
        "public allows a guess",
        "9111 4.2.2",
        told("Last-Modified: {-100000}", _NOW, _cc("public"), status=299),
        hit(status=299),
    ),
    row("a 304 that nobody asked for", "9111 3", told(_HOUR, status=304), fetched()),
)

METHODS = (
    row(
        "POST with its own Content-Location",
        "9110 9.3.3",
        with_method("POST", told("Expires: {2592000}", "Content-Location: /r", _NOW, then=WHILE_S), b"12345"),
        hit(),
        public=optimal("method-POST"),
        differs=differs(_POSTED, "2: fetched, not a hit"),
    ),
    row(
        "HEAD gets what GET brought",
        "9110 9.3.2",
        fresh("A: 1"),
        with_method("HEAD", hit(shows=("A: 1", "Content-Length: 6", "Age: 3"))),
    ),
    row("HEAD brings nothing", "9111 3", with_method("HEAD", told(_HOUR)), fetched()),
    row("HEAD of what is not kept goes on as HEAD", "9110 9.3.2", with_method("HEAD", told(_HOUR, shows=(_HOUR,)))),
    row(
        "OPTIONS is not kept",
        "9110 9.3.7",
        with_method("OPTIONS", told(_HOUR)),
        with_method("OPTIONS", fetched()),
        fetched(),
    ),
    row("GET does not answer OPTIONS", "9111 4", fresh(), with_method("OPTIONS", fetched())),
    row("GET does not answer POST", "9111 4", fresh(), with_method("POST", fetched(), b"x")),
    row("an unknown method goes on", "9110 9.1", fresh(), with_method("QUERY", fetched(), b"x")),
    row(
        "a method has its case",
        "9110 9.1",
        fresh(),
        with_method("get", fetched()),
        differs=differs(_CASE, "2: a hit, not fetched"),
    ),
)

_SECRET = ("Authorization: FOO",)

AUTHORIZATION = (
    row(
        "an answer to Authorization",
        "9111 3.5",
        asking(fresh(sends=_SECRET), *_SECRET),
        fetched(),
        public=required("other-authorization"),
    ),
    *(
        row(
            f"an answer to Authorization, {name}",
            "9111 3.5",
            asking(told(_cc(value), _NOW, sends=_SECRET, then=WHILE_S), *_SECRET),
            hit(),
            public=optimal(f"other-authorization-{suffix}"),
        )
        for suffix, name, value in (
            ("public", "public", "max-age=3600, public"),
            ("must-revalidate", "must-revalidate", "max-age=3600, must-revalidate"),
            ("smaxage", "s-maxage", "s-maxage=3600"),
        )
    ),
    row("Authorization gets what is kept for all", "9111 3.5", fresh(), hit(*_SECRET)),
    row(
        "an answer to Authorization does not displace",
        "9111 3.5",
        asking(fresh(), *_SECRET),
        fetched(says=says(_HOUR)),
        hit(*_SECRET),
    ),
)


ROWS = (*DIRECTIVES, *STATUSES, *METHODS, *AUTHORIZATION)
