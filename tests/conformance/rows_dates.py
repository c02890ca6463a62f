"""Freshness from dates: Age, Expires, Date, a guess from Last-Modified (RFC 9111 4.2, 5.1, 5.3)."""

from tests.conformance.case import check, differs, optimal, required, row
from tests.conformance.lifetimes import gone, kept
from tests.conformance.reasons import ERRORS
from tests.conformance.steps import WHILE_S, fetched, hit, told, validated


def _cc(value: str) -> str:
    return f"Cache-Control: {value}"


_HOUR = _cc("max-age=3600")
_NOW = "Date: {0}"
_AGED = (
    ("nonnumeric", "no number", "Age: abc", True),
    ("negative", "negative", "Age: -7200", True),
    ("float", "a fraction", "Age: 7200.0", True),
    ("large-minus-one", "2^31-1", "Age: 2147483647", False),
    ("large", "2^31", "Age: 2147483648", False),
    ("larger", "2^31+1", "Age: 2147483649", False),
    ("suffix", "the first of a list is old", "Age: 7200, 0", False),
    ("prefix", "the first of a list is not", "Age: 0, 7200", True),
    ("dup-0", "0 twice", "Age: 0, 0", True),
)

_AGED_TWICE = (
    ("suffix-twoline", "the first line is old", ("7200", "0"), False),
    ("prefix-twoline", "the first line is not", ("0", "7200"), True),
    ("dup-0-twoline", "0 in two lines", ("0", "0"), True),
)

_NO_AGE = "An Age with a parameter is no number and is ignored, as every invalid one (RFC 9111 5.1)."

AGE = (
    *(
        (kept if reused else gone)(f"Age: {name}", "9111 5.1", required(f"age-parse-{suffix}"), _NOW, _HOUR, line)
        for suffix, name, line, reused in _AGED
    ),
    *(
        (kept if reused else gone)(
            f"Age: {name}",
            "9111 5.1",
            required(f"age-parse-{suffix}"),
            _NOW,
            _HOUR,
            *(f"Age: {each}" for each in given),
        )
        for suffix, name, given, reused in _AGED_TWICE
    ),
    kept(
        "Age: young twice",
        "9111 5.1",
        required("age-parse-dup-old"),
        _NOW,
        _cc("max-age=10000"),
        "Age: 3600",
        "Age: 3600",
    ),
    *(
        row(
            f"Age: with {parameter}",
            "9111 5.1",
            told(_NOW, _HOUR, f"Age: 7200;{parameter}", then=WHILE_S),
            fetched(),
            public=check(f"age-parse-{suffix}"),
            differs=differs(_NO_AGE, "2: a hit, not fetched"),
        )
        for suffix, parameter in (("parameter", "foo=bar"), ("numeric-parameter", "foo=111"))
    ),
)

EXPIRES = (
    kept("Expires ahead", "9111 5.3", optimal("freshness-expires-future"), "Expires: {2592000}", _NOW),
    gone("Expires past", "9111 5.3", required("freshness-expires-past"), "Expires: {-2592000}", _NOW),
    row("Expires now", "9111 5.3", told("Expires: {0}", _NOW), fetched(), public=required("freshness-expires-present")),
    gone("Expires before Date", "9111 4.2.1", required("freshness-expires-old-date"), "Expires: {300}", "Date: {400}"),
    gone("Expires 0", "9111 5.3", required("freshness-expires-invalid"), "Expires: 0", _NOW),
    gone("Expires -1", "9111 5.3", None, "Expires: -1", _NOW),
    gone("Expires empty", "9111 5.3", None, "Expires: ", _NOW, "Last-Modified: {-100000}"),
    row(
        "Expires, Date invalid",
        "9111 4.2.1",
        told("Date: foo", "Expires: {10}"),
        hit(),
        public=optimal("freshness-expires-invalid-date"),
    ),
    row(
        "Age over Expires, Date slow",
        "9111 4.2.3",
        told("Date: {-10}", "Expires: {10}", "Age: 25"),
        fetched(),
        public=required("freshness-expires-age-slow-date"),
    ),
    row(
        "Age over Expires, Date fast",
        "9111 4.2.3",
        told("Date: {10}", "Expires: {20}", "Age: 15"),
        fetched(),
        public=required("freshness-expires-age-fast-date"),
    ),
    kept("Expires without Date counts from arrival", "9110 6.6.1", None, "Expires: {10}"),
    gone("two different Expires", "9111 5.3", None, "Expires: {10}", "Expires: {20}", _NOW),
)

_DATES = (
    ("32bit", "at the end of 31 bits", "Tue, 19 Jan 2038 14:14:08 GMT"),
    ("far-future", "in 2286", "Sun, 21 Nov 2286 04:46:39 GMT"),
    ("rfc850", "of RFC 850", "Thursday, 18-Aug-50 02:01:18 GMT"),
    ("ansi-c", "of asctime", "Thu Aug  8 02:01:18 2050"),
    ("wrong-case-weekday", "case of the day", "THU, 18 Aug 2050 02:01:18 GMT"),
    ("wrong-case-month", "case of the month", "Thu, 18 AUG 2050 02:01:18 GMT"),
    ("wrong-case-tz", "case of the zone", "Thu, 18 Aug 2050 02:01:18 gMT"),
)

_NO_DATES = (
    ("utc", "UTC", "Thu, 18 Aug 2050 02:01:18 UTC"),
    ("aest", "another zone", "Thu, 18 Aug 2050 02:01:18 AEST"),
    ("2-digit-year", "two digits of year", "Thu, 18 Aug 50 02:01:18 GMT"),
    ("no-comma", "no comma", "Thu 18 Aug 2050 02:01:18 GMT"),
    ("multiple-spaces", "spaces", "Thu, 18  Aug  2050 02:01:18 GMT"),
    ("date-dashes", "dashes", "Thu, 18-Aug-2050 02:01:18 GMT"),
    ("time-periods", "periods", "Thu, 18 Aug 2050 02.01.18 GMT"),
    ("1-digit-hour", "one digit of hour", "Thu, 18 Aug 2050 2:01:18 GMT"),
)

DATES = (
    *(
        kept(f"Expires: {name}", "9111 4.2", optimal(f"freshness-expires-{suffix}"), f"Expires: {date}", _NOW)
        for suffix, name, date in _DATES
    ),
    *(
        gone(f"Expires: {name}", "9111 4.2", required(f"freshness-expires-invalid-{suffix}"), f"Expires: {date}", _NOW)
        for suffix, name, date in _NO_DATES
    ),
    gone(
        "Expires: two invalid lines",
        "9111 4.2",
        required("freshness-expires-invalid-multiple-lines"),
        "Expires: Thu, 18 Aug 2050 2:01:18 GMT",
        "Expires: Thu, 18 Aug 2050 2:01:19 GMT",
        _NOW,
    ),
)

_GUESSED = (200, 203, 204, 404, 405, 410, 414, 501)

_NOT_GUESSED = (201, 202, 403, 502, 503, 504)

_DELTAS = (5, 10, 30, 60, 300, 600, 1200, 1800, 3600, 43200, 86400)

_SHORT = "A tenth of the time since the last change (RFC 9111 4.2.2) is over after 3 s."

HEURISTIC = (
    *(
        row(
            f"a guess for {code}",
            "9111 4.2.2",
            told("Last-Modified: {-86400}", _NOW, status=code),
            hit(status=code),
            public=optimal(f"heuristic-{code}-cached"),
        )
        for code in _GUESSED
    ),
    *(
        row(
            f"no guess for {code}",
            "9111 4.2.2",
            told("Last-Modified: {-86400}", _NOW, status=code),
            fetched(),
            public=required(f"heuristic-{code}-not_cached"),
        )
        for code in _NOT_GUESSED
    ),
    row(
        "no guess for 599",
        "9111 4.2.2",
        told("Last-Modified: {-86400}", _NOW, status=599),
        fetched(),
        public=required("heuristic-599-not_cached"),
    ),
    row(
        "599 and public",
        "9111 4.2.2",
        told("Last-Modified: {-86400}", _NOW, _cc("public"), status=599),
        hit(status=599),
        public=optimal("heuristic-599-cached"),
        differs=differs(ERRORS, "2: fetched, not a hit"),
    ),
    *(
        row(
            f"changed {delta} s ago",
            "9111 4.2.2",
            told(f"Last-Modified: {{-{delta}}}", _NOW, then=WHILE_S),
            hit(),
            public=check(f"heuristic-delta-{delta}"),
            differs=differs(_SHORT, "2: validated, not a hit") if delta <= 30 else None,
        )
        for delta in _DELTAS
    ),
    row("a guess is a tenth", "9111 4.2.2", told("Last-Modified: {-1000}", _NOW, then=99), hit(then=2), validated()),
    row(
        "a guess is a day at most",
        "9111 4.2.2",
        told("Last-Modified: {-100000000}", _NOW, then=86_399),
        hit(then=2),
        validated(),
    ),
    gone("no guess from a Last-Modified ahead", "9111 4.2.2", None, "Last-Modified: {1000}", _NOW),
    gone("no guess from what is no date", "9111 4.2.2", None, "Last-Modified: yesterday", _NOW),
    row(
        "a guess and Content-Disposition",
        "9111 4.2.2",
        told("Last-Modified: {-100000}", _NOW, "Content-Disposition: attachment; filename=example.txt"),
        hit(),
        public=check("other-heuristic-content-disposition-attachment"),
    ),
)


ROWS = (*AGE, *EXPIRES, *DATES, *HEURISTIC)
