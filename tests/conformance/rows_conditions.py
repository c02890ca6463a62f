"""A viewer's conditions, answered from what is stored (RFC 9110 13, RFC 9111 4.3.2)."""

from tests.conformance.case import Case, Public, check, differs, optimal, required, row
from tests.conformance.steps import (
    WHILE_S,
    ages,
    asking,
    fresh,
    hit,
    told,
    validated,
    with_method,
)

_TAG = 'ETag: "abcdef"'
_EMPTY = b""
_UNQUOTED = "What is no entity-tag (RFC 9110 8.8.3) is compared and passed on as it stands, never repaired."


def _matched(name: str, public: Public | None, tag: str, asked: str, section: str = "9111 4.3.2") -> Case:
    return row(
        name,
        section,
        fresh(f"ETag: {tag}"),
        hit(f"If-None-Match: {asked}", status=304, text=_EMPTY, shows=(f"ETag: {tag}",)),
        public=public,
    )


def _unmatched(name: str, public: Public | None, tag: str, asked: str) -> Case:
    return row(
        name,
        "9111 4.3.2",
        fresh(f"ETag: {tag}"),
        hit(f"If-None-Match: {asked}", status=304),
        public=public,
        differs=differs(_UNQUOTED, "2: status 200, not 304"),
    )


NONE_MATCH = (
    row(
        "If-None-Match, strong",
        "9111 4.3.2",
        fresh(_TAG),
        hit('If-None-Match: "abcdef"', status=304),
        public=optimal("conditional-etag-strong-respond"),
    ),
    row(
        "a 304 has ETag and Date",
        "9110 15.4.5",
        fresh(_TAG, "Vary: A", "Content-Location: /x", "Content-Type: text/plain"),
        hit(
            'If-None-Match: "abcdef"',
            status=304,
            text=_EMPTY,
            shows=(_TAG, "Date: {-3}", "Vary: A", "Content-Location: /x", "Cache-Control: max-age=100000", "Age: 3"),
            hides=("Content-Type", "Content-Length"),
        ),
        public=required("conditional-304-etag"),
    ),
    row(
        "If-None-Match before If-Modified-Since",
        "9110 13.2.2",
        fresh("Last-Modified: {-5000}", _TAG),
        hit('If-None-Match: "abcdef"', "If-Modified-Since: {-5001}", status=304),
        public=required("conditional-etag-precedence"),
    ),
    row(
        "If-None-Match that fails before If-Modified-Since",
        "9110 13.2.2",
        fresh("Last-Modified: {-5000}", _TAG),
        hit('If-None-Match: "x"', "If-Modified-Since: {0}", status=200),
    ),
    _matched(
        "obs-text in a tag", check("conditional-etag-strong-respond-obs-text"), '"abcdef\u00fc"', '"abcdef\u00fc"'
    ),
    _unmatched(
        "a tag without quotes asked for", check("conditional-etag-quoted-respond-unquoted"), '"abcdef"', "abcdef"
    ),
    _matched("no tag has quotes", check("conditional-etag-unquoted-respond-unquoted"), "abcdef", "abcdef"),
    _unmatched("a tag with quotes asked for", check("conditional-etag-unquoted-respond-quoted"), "abcdef", '"abcdef"'),
    _matched("If-None-Match, weak", optimal("conditional-etag-weak-respond"), 'W/"abcdef"', 'W/"abcdef"'),
    _matched("weak asked, strong stored", None, '"abcdef"', 'W/"abcdef"', "9110 13.1.2"),
    _matched("strong asked, weak stored", None, 'W/"abcdef"', '"abcdef"', "9110 13.1.2"),
    _matched("w/ instead of W/", check("conditional-etag-weak-respond-lowercase"), 'w/"abcdef"', 'w/"abcdef"'),
    _matched("W\\ instead of W/", check("conditional-etag-weak-respond-backslash"), 'W\\"abcdef"', 'W\\"abcdef"'),
    _matched("W instead of W/", check("conditional-etag-weak-respond-omit-slash"), 'W"abcdef"', 'W"abcdef"'),
    _matched(
        "the first of several",
        optimal("conditional-etag-strong-respond-multiple-first"),
        '"abcdef"',
        '"abcdef", "1234", "5678"',
    ),
    _matched(
        "the second of several",
        optimal("conditional-etag-strong-respond-multiple-second"),
        '"abcdef"',
        '"1234", "abcdef", "5678"',
    ),
    _matched(
        "the last of several",
        optimal("conditional-etag-strong-respond-multiple-last"),
        '"abcdef"',
        '"1234", "5678", "abcdef"',
    ),
    _matched("a comma in a tag", None, '"a,b"', '"x", "a,b"'),
    _matched("any", None, '"abcdef"', "*", "9110 13.1.2"),
    row("two lines of tags", "9110 5.3", fresh(_TAG), hit('If-None-Match: "x"', 'If-None-Match: "abcdef"', status=304)),
    row("another tag", "9110 13.1.2", fresh(_TAG), hit('If-None-Match: "x"', status=200)),
    row("conditions are for 200", "9110 13.2.1", fresh(_TAG, status=404), hit('If-None-Match: "abcdef"', status=404)),
    row(
        "HEAD is conditional too",
        "9110 13.1.2",
        fresh(_TAG),
        with_method("HEAD", hit('If-None-Match: "abcdef"', status=304)),
    ),
    row("If-None-Match: the first answer", "9110 13.1.2", asking(fresh(_TAG, status=200), 'If-None-Match: "x"'), hit()),
    row(
        "If-Match",
        "9110 13.1.1",
        fresh(_TAG),
        hit('If-Match: "x"', status=412, text=_EMPTY),
        hit('If-Match: "abcdef"', status=200),
        hit("If-Match: *", status=200),
    ),
    row("If-Match is strong", "9110 13.1.1", fresh('ETag: W/"a"'), hit('If-Match: W/"a"', status=412)),
    row(
        "If-Unmodified-Since",
        "9110 13.1.4",
        fresh("Last-Modified: {-100}"),
        hit("If-Unmodified-Since: {-200}", status=412),
        hit("If-Unmodified-Since: {0}", status=200),
    ),
)

_NEWER = "What is stored is newer than the date asked for (RFC 9110 13.1.3), so it is sent."

SINCE = (
    row(
        "the date of the change",
        "9111 4.3.2",
        fresh("Last-Modified: {-3000}"),
        hit("If-Modified-Since: {-3003}", status=304),
        public=optimal("conditional-lm-fresh"),
    ),
    row(
        "a later date",
        "9111 4.3.2",
        fresh("Last-Modified: {-3000}"),
        hit("If-Modified-Since: {-2003}", status=304),
        public=optimal("conditional-lm-fresh-earlier"),
    ),
    row(
        "stale, validated",
        "9111 4.3.2",
        ages("Last-Modified: {-3000}"),
        validated("If-Modified-Since: {-3003}", status=304),
        public=optimal("conditional-lm-stale"),
    ),
    row(
        "no Last-Modified, an older date",
        "9111 4.3.2",
        fresh(),
        hit("If-Modified-Since: {-3003}", status=304),
        public=optimal("conditional-lm-fresh-no-lm"),
        differs=differs(_NEWER, "2: status 200, not 304"),
    ),
    row(
        "a date of RFC 850",
        "9110 5.6.7",
        fresh("Last-Modified: Sunday, 06-Nov-94 08:49:37 GMT"),
        hit("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", status=304),
        hit("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", status=304),
        public=optimal("conditional-lm-fresh-rfc850"),
    ),
    row(
        "no Last-Modified: Date stands for it",
        "9111 4.3.2",
        fresh(),
        hit("If-Modified-Since: {-3}", status=304),
        hit("If-Modified-Since: {-4}", status=200),
    ),
    row(
        "neither Last-Modified nor Date: the arrival stands for it",
        "9111 4.3.2",
        told("Cache-Control: max-age=60", then=WHILE_S),
        hit("If-Modified-Since: {-3}", status=304),
    ),
    row(
        "an earlier date", "9110 13.1.3", fresh("Last-Modified: {-3000}"), hit("If-Modified-Since: {-4000}", status=200)
    ),
    row(
        "no date",
        "9110 13.1.3",
        fresh("Last-Modified: {-3000}"),
        hit("If-Modified-Since: yesterday", status=200),
        hit("If-Modified-Since: 0", status=200),
    ),
    row(
        "two dates",
        "9110 13.1.3",
        fresh("Last-Modified: {-3000}"),
        hit("If-Modified-Since: {0}", "If-Modified-Since: {-1}", status=200),
    ),
    row("a date ahead", "9110 13.1.3", fresh("Last-Modified: {-3000}"), hit("If-Modified-Since: {3000}", status=304)),
    row(
        "a 304 of Last-Modified alone keeps it",
        "9110 15.4.5",
        fresh("Last-Modified: {-3000}"),
        hit("If-Modified-Since: {0}", status=304, shows=("Last-Modified: {-3003}",)),
    ),
)


ROWS = (*NONE_MATCH, *SINCE)
