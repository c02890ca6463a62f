"""Validation: what we ask the origin with, and what a 304 changes of what is stored (RFC 9111 4.3)."""

from tests.conformance.case import Case, Kind, Lines, Public, check, differs, optimal, required, row
from tests.conformance.reasons import COOKIES
from tests.conformance.steps import (
    WHILE_S,
    ages,
    asking,
    fetched,
    hit,
    not_modified,
    refetched,
    says,
    told,
    validated,
)

_TAG = 'ETag: "abcdef"'
_EMPTY = b""
_UNQUOTED = "What is no entity-tag (RFC 9110 8.8.3) is compared and passed on as it stands, never repaired."
_FORWARDED = "A fill asks for the whole, for all who wait; conditions are answered here."
_OTHER_TAG = "A variant is asked for without the tags of others (RFC 9111 4.1 allows either)."

ASKED = (
    row(
        "selecting fields stand in what we ask",
        "9111 4.3.1",
        asking(told("Expires: {1}", _TAG, "Date: {0}", "Vary: Abc", then=WHILE_S), "Abc: 123"),
        validated("Abc: 123", sends=("Abc: 123", 'If-None-Match: "abcdef"')),
        public=required("conditional-etag-vary-headers"),
    ),
    row(
        "the tag of another variant",
        "9111 4.1",
        asking(told("Expires: {10000}", _TAG, "Date: {0}", "Vary: Abc", then=WHILE_S), "Abc: 123"),
        validated("Abc: 456", text=b"body 1", sends=('If-None-Match: "abcdef"',)),
        public=check("conditional-etag-vary-headers-mismatch"),
        differs=differs(_OTHER_TAG, "2: fetched, not validated", '2: the request has If-None-Match [], not "abcdef"'),
    ),
    row(
        "a strong tag",
        "9111 4.3.1",
        ages(_TAG),
        validated(sends=('If-None-Match: "abcdef"',)),
        public=optimal("conditional-etag-strong-generate"),
    ),
    row(
        "a weak tag",
        "9111 4.3.1",
        ages('ETag: W/"abcdef"'),
        validated(sends=('If-None-Match: W/"abcdef"',)),
        public=optimal("conditional-etag-weak-generate-weak"),
    ),
    row(
        "a tag without quotes",
        "9111 4.3.1",
        ages("ETag: abcdef"),
        validated(sends=('If-None-Match: "abcdef"',)),
        public=check("conditional-etag-strong-generate-unquoted"),
        differs=differs(_UNQUOTED, "2: the request has If-None-Match ['abcdef'], not \"abcdef\""),
    ),
    row(
        "both validators",
        "9111 4.3.1",
        ages(_TAG, "Last-Modified: {-100}"),
        validated(sends=('If-None-Match: "abcdef"', "If-Modified-Since: {-103}")),
    ),
    row("no validator", "9111 4.3.1", ages(), fetched(omits=("If-None-Match", "If-Modified-Since"))),
    row(
        "If-None-Match of a viewer",
        "9111 4.3.2",
        asking(told(sends=('If-None-Match: "abcdef"',)), 'If-None-Match: "abcdef"'),
        public=check("conditional-etag-forward"),
        differs=differs(_FORWARDED, '1: the request has If-None-Match [], not "abcdef"'),
    ),
    row(
        "If-None-Match of a viewer without quotes",
        "9111 4.3.2",
        asking(told(sends=('If-None-Match: "abcdef"',)), "If-None-Match: abcdef"),
        public=check("conditional-etag-forward-unquoted"),
        differs=differs(_FORWARDED, '1: the request has If-None-Match [], not "abcdef"'),
    ),
    row(
        "a viewer's conditions are not ours",
        "9111 4.3.1",
        ages(_TAG),
        validated('If-None-Match: "x"', sends=('If-None-Match: "abcdef"',), status=200),
    ),
    row(
        "conditions of what is never kept go on",
        "9110 13.2.1",
        told("Cache-Control: no-store"),
        validated('If-None-Match: "x"', sends=('If-None-Match: "x"',), status=304, text=_EMPTY),
    ),
    row(
        "another answer replaces",
        "9111 4.3.3",
        ages(_TAG),
        validated(says=says("Cache-Control: max-age=60", 'ETag: "new"')),
        hit(),
    ),
    row(
        "an error of the origin is passed on",
        "9111 4.3.3",
        ages(_TAG),
        validated(says=says(status=503), status=503, text=b"body 2"),
    ),
)

_UPDATED = (
    ("Test-Header", "a", "b", Kind.REQUIRED),
    ("X-Test-Header", "a", "b", Kind.REQUIRED),
    ("Content-Foo", "a", "b", Kind.REQUIRED),
    ("X-Content-Foo", "a", "b", Kind.REQUIRED),
    ("Cache-Control", "max-age=1", "max-age=3600", Kind.REQUIRED),
    ("Content-Location", "/foo", "/bar", Kind.CHECK),
    ("Content-MD5", "rL0Y20zC+Fzt72VPzMSk2A==", "N7UdGUp1E+RbVvZSTy1R8g==", Kind.CHECK),
    ("Content-Security-Policy", "default-src 'self'", "default-src 'self' cdn.example.com", Kind.CHECK),
    ("Clear-Site-Data", "cache", "cookies", Kind.CHECK),
    ("Expires", "Fri, 01 Jan 2038 01:01:01 GMT", "Mon, 11 Jan 2038 11:11:11 GMT", Kind.CHECK),
    ("Public-Key-Pins", "a", "b", Kind.CHECK),
    ("Set-Cookie2", "a=b", "a=c", Kind.CHECK),
    ("X-Frame-Options", "deny", "sameorigin", Kind.CHECK),
    ("X-XSS-Protection", "1", "1; mode=block", Kind.CHECK),
)

_DESCRIBES = (
    ("Content-Encoding", "a", "b"),
    ("Content-Range", "a", "b"),
    ("Content-Type", "text/plain", "text/plain;charset=utf-8"),
)

_KEPT = "A 304 does not change what describes the stored bytes (RFC 9111 3.2 allows the exception)."
_ANOTHER = "A 304 with the strong tag of another answer says nothing of ours (RFC 9111 4.3.4): it is asked for anew."


def _merged(name: str, before: str, after: str, kind: Kind) -> Case:
    def said(value: str) -> Lines:
        lifetime = () if name == "Cache-Control" else ("Cache-Control: max-age=2",)
        return ("Date: {0}", f"{name}: {value}", *lifetime, 'ETag: "v"')

    return row(
        f"{name} of a 304",
        "9111 4.3.4",
        told(*said(before), then=WHILE_S),
        validated(says=not_modified(*said(after)), shows=(f"{name}: {after}",)),
        hit(shows=(f"{name}: {after}",)),
        public=Public(f"304-etag-update-response-{name}", kind),
    )


UPDATED = (
    row(
        "what a 304 leaves out stays",
        "9111 4.3.4",
        told(
            "Cache-Control: max-age=2",
            "Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT",
            "Date: {0}",
            "Test-Header: a",
            then=WHILE_S,
        ),
        validated(
            says=not_modified("Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT", "Date: {0}"), shows=("Test-Header: a",)
        ),
        public=required("304-lm-use-stored-Test-Header"),
    ),
    *(_merged(*each) for each in _UPDATED),
    *(
        row(
            f"{name} of a 304",
            "9111 3.2",
            ages(f"{name}: {before}", 'ETag: "v"'),
            validated(says=not_modified(f"{name}: {after}", 'ETag: "v"'), shows=(f"{name}: {after}",)),
            public=check(f"304-etag-update-response-{name}"),
            differs=differs(_KEPT, f"2: the answer has {name} ['{before}'], not {after}"),
        )
        for name, before, after in _DESCRIBES
    ),
    row(
        "Content-Length of a 304",
        "9111 3.2",
        ages('ETag: "v"', body=b"01234"),
        validated(says=not_modified("Content-Length: 10", 'ETag: "v"'), shows=("Content-Length: 5",)),
        public=required("304-etag-update-response-Content-Length"),
    ),
    row(
        "ETag of a 304",
        "9111 4.3.4",
        ages(_TAG),
        validated(says=not_modified("Cache-Control: max-age=2", 'ETag: "ghijkl"'), shows=('ETag: "ghijkl"',)),
        public=check("304-etag-update-response-ETag"),
        differs=differs(_ANOTHER, "2: asked for anew, not validated"),
    ),
    row(
        "Set-Cookie of a 304",
        "9111 7.3",
        ages(_TAG),
        validated(says=not_modified("Set-Cookie: a=c", _TAG), shows=("Set-Cookie: a=c",)),
        public=check("304-etag-update-response-Set-Cookie"),
        differs=differs(COOKIES, "2: asked for anew, not validated"),
    ),
    row(
        "a 304 without a validator",
        "9111 4.3.4",
        ages(_TAG),
        validated(says=not_modified("Cache-Control: max-age=60")),
        hit(shows=(_TAG,)),
    ),
    row(
        "a 304 with the weak form of our tag",
        "9111 4.3.4",
        ages(_TAG),
        validated(says=not_modified("Cache-Control: max-age=60", 'ETag: W/"abcdef"')),
        hit(),
    ),
    row(
        "a 304 with the strong form of our weak tag",
        "9111 4.3.4",
        ages('ETag: W/"abcdef"'),
        validated(says=not_modified("Cache-Control: max-age=60", _TAG), shows=('ETag: W/"abcdef"',)),
        hit(shows=('ETag: W/"abcdef"',)),
    ),
    row(
        "a 304 with another date",
        "9111 4.3.4",
        ages("Last-Modified: {-100}"),
        refetched(says=not_modified("Last-Modified: {-50}"), status=304, text=_EMPTY),
    ),
    row(
        "a 304 is fresh from its own Date",
        "9111 4.3.4",
        ages(_TAG, "Age: 1"),
        validated(says=not_modified("Cache-Control: max-age=60", "Date: {0}"), shows=("Age: 0",), then=WHILE_S),
        hit(shows=("Age: 3",)),
    ),
    row(
        "no-store of a 304",
        "9111 4.3.4",
        ages(_TAG),
        refetched(says=not_modified("Cache-Control: no-store"), status=304, text=_EMPTY),
    ),
    row(
        "hop-by-hop fields of a 304",
        "9111 3.1",
        ages(_TAG),
        validated(says=not_modified("Connection: A", "A: 1", "Keep-Alive: 5"), hides=("A", "Keep-Alive")),
    ),
    row(
        "a variant's 304 leaves the others",
        "9111 4.3.4",
        asking(ages(_TAG, "Vary: A"), "A: 1"),
        asking(told("Cache-Control: max-age=600", "Vary: A"), "A: 2"),
        validated("A: 1", text=b"body 1"),
        hit("A: 2", text=b"body 2"),
    ),
)


ROWS = (*ASKED, *UPDATED)
