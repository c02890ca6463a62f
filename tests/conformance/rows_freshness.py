"""How long an answer is fresh: Cache-Control, Expires, Age, Date, a guess (RFC 9111 4.2, 5.1, 5.3)."""

from tests.conformance.case import Case, Public, check, differs, optimal, required, row
from tests.conformance.reasons import ERRORS
from tests.conformance.steps import WHILE_S, ages, fetched, fresh, hit, stale, told, validated

_A_LIFETIME = "9111 4.2.1"
_DIRECTIVES = "9111 5.2.2.1"
_MALFORMED = "A malformed number is staleness, as RFC 9111 4.2.1 encourages."
_FIRST = "Of several values of a directive the first counts (RFC 9111 4.2.1 allows it)."


def _kept(name: str, section: str, public: Public | None, *lines: str) -> Case:
    """Reused after a while."""
    return row(name, section, told(*lines, then=WHILE_S), hit(), public=public)


def _gone(name: str, section: str, public: Public | None, *lines: str) -> Case:
    """Not reused after a while."""
    return row(name, section, told(*lines, then=WHILE_S), fetched(), public=public)


def _unlike(name: str, section: str, public: Public, why: str, *lines: str) -> Case:
    """The public suite asks whether it is reused; with us it is not."""
    return row(
        name, section, told(*lines, then=WHILE_S), hit(), public=public, differs=differs(why, "2: fetched, not a hit")
    )


def _cc(value: str) -> str:
    return f"Cache-Control: {value}"


_HOUR = _cc("max-age=3600")
_NOW = "Date: {0}"

MAX_AGE = (
    _gone("nothing said", "9111 4.2.2", check("freshness-none")),
    _kept("max-age", _DIRECTIVES, optimal("freshness-max-age"), _HOUR),
    row("max-age over", _DIRECTIVES, ages(), fetched(), public=required("freshness-max-age-stale")),
    _gone("max-age 0", _DIRECTIVES, required("freshness-max-age-0"), _cc("max-age=0")),
    _kept("max-age 2^31-1", "9111 1.2.2", optimal("freshness-max-age-max-minus-1"), _cc("max-age=2147483647")),
    _kept("max-age 2^31", "9111 1.2.2", optimal("freshness-max-age-max"), _cc("max-age=2147483648")),
    _kept("max-age 2^31+1", "9111 1.2.2", optimal("freshness-max-age-max-plus-1"), _cc("max-age=2147483649")),
    _kept("max-age enormous", "9111 1.2.2", optimal("freshness-max-age-max-plus"), _cc("max-age=99999999999")),
    _kept("max-age of 40 digits", "9111 1.2.2", None, _cc("max-age=" + "9" * 40)),
    _gone("older than max-age by Age", "9111 4.2.3", required("freshness-max-age-age"), _NOW, _HOUR, "Age: 7200"),
    _gone("older than max-age by Date", "9111 4.2.3", check("freshness-max-age-date"), "Date: {-7200}", _HOUR),
    _kept("a Date ahead of ours is no age", "9111 4.2.3", None, "Date: {7200}", _HOUR),
    _kept(
        "max-age over a past Expires", "9111 5.3", optimal("freshness-max-age-expires"), _HOUR, "Expires: {-7200}", _NOW
    ),
    _kept(
        "max-age over no Expires", "9111 5.3", optimal("freshness-max-age-expires-invalid"), _HOUR, "Expires: 0", _NOW
    ),
    _gone(
        "max-age 0 over Expires",
        "9111 5.3",
        required("freshness-max-age-0-expires"),
        "Expires: {3600}",
        _cc("max-age=0"),
        _NOW,
    ),
    _kept(
        "beside an unknown directive", "9111 5.2.3", optimal("freshness-max-age-extension"), _cc("foobar, max-age=3600")
    ),
    _kept("beside an unknown directive with a value", "9111 5.2.3", None, _cc('foobar="a, b", max-age=3600')),
    _kept("case of the name", "9111 5.2", optimal("freshness-max-age-case-insenstive"), _cc("MaX-aGe=3600")),
    _gone("negative", _A_LIFETIME, required("freshness-max-age-negative"), _cc("max-age=-3600")),
    _kept("s-maxage", "9111 5.2.2.10", optimal("freshness-s-maxage-shared"), _cc("s-maxage=3600")),
    _gone(
        "s-maxage before max-age",
        "9111 4.2.1",
        required("freshness-max-age-s-maxage-shared-longer"),
        _cc("max-age=3600, s-maxage=1"),
    ),
    _gone(
        "s-maxage before max-age, the other way round",
        "9111 4.2.1",
        required("freshness-max-age-s-maxage-shared-longer-reversed"),
        _cc("s-maxage=1, max-age=3600"),
    ),
    _gone(
        "s-maxage before max-age, two lines",
        "9111 4.2.1",
        required("freshness-max-age-s-maxage-shared-longer-multiple"),
        _HOUR,
        _cc("s-maxage=1"),
    ),
    _kept(
        "longer s-maxage",
        "9111 4.2.1",
        optimal("freshness-max-age-s-maxage-shared-shorter"),
        _cc("max-age=1, s-maxage=3600"),
    ),
    _kept(
        "longer s-maxage, Expires past",
        "9111 4.2.1",
        optimal("freshness-max-age-s-maxage-shared-shorter-expires"),
        "Expires: {-10}",
        _cc("max-age=0, s-maxage=3600"),
    ),
)

DIRECTIVES = (
    _kept(
        "max-age twice, the first fresh",
        _A_LIFETIME,
        check("freshness-max-age-two-fresh-stale-sameline"),
        _cc("max-age=1800, max-age=1"),
    ),
    _kept(
        "max-age twice, the first fresh, two lines",
        _A_LIFETIME,
        check("freshness-max-age-two-fresh-stale-sepline"),
        _cc("max-age=1800"),
        _cc("max-age=1"),
    ),
    _unlike(
        "max-age twice, the first over",
        _A_LIFETIME,
        check("freshness-max-age-two-stale-fresh-sameline"),
        _FIRST,
        _cc("max-age=1, max-age=1800"),
    ),
    _unlike(
        "max-age twice, the first over, two lines",
        _A_LIFETIME,
        check("freshness-max-age-two-stale-fresh-sepline"),
        _FIRST,
        _cc("max-age=1"),
        _cc("max-age=1800"),
    ),
    _kept("quoted", "9111 5.2", check("freshness-max-age-quoted"), _cc('max-age="3600"')),
    _gone(
        "in a quoted string before",
        "9110 5.6.4",
        required("freshness-max-age-ignore-quoted"),
        _cc('extension="max-age=3600", max-age=1'),
    ),
    _gone(
        "in a quoted string behind",
        "9110 5.6.4",
        required("freshness-max-age-ignore-quoted-rev"),
        _cc('max-age=1, extension="max-age=3600"'),
    ),
    _gone("space before =", _A_LIFETIME, check("freshness-max-age-space-before-equals"), _cc("max-age =3600")),
    _gone("space behind =", _A_LIFETIME, check("freshness-max-age-space-after-equals"), _cc("max-age= 3600")),
    _kept("leading zeros", "9111 1.2.2", required("freshness-max-age-leading-zero"), _cc("max-age=003600")),
    _gone("single quotes are none", "9110 5.6.4", required("freshness-max-age-single-quoted"), _cc("max-age='3600'")),
    _unlike(
        "a fraction of zero", _A_LIFETIME, check("freshness-max-age-decimal-zero"), _MALFORMED, _cc("max-age=3600.0")
    ),
    _unlike("a fraction", _A_LIFETIME, check("freshness-max-age-decimal-five"), _MALFORMED, _cc("max-age=3600.5")),
    _unlike("a letter before", _A_LIFETIME, check("freshness-max-age-a100"), _MALFORMED, _cc("max-age=a3600")),
    _unlike("a letter behind", _A_LIFETIME, check("freshness-max-age-100a"), _MALFORMED, _cc("max-age=3600a")),
    _gone("no argument", _A_LIFETIME, None, _cc("max-age")),
    row(
        "malformed and a guess possible",
        _A_LIFETIME,
        told(_cc("max-age=x"), "Last-Modified: {-100000}", _NOW),
        validated(),
    ),
    _kept("empty members", "9110 5.6.1", None, _cc(",, max-age=3600,,")),
)

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
        (_kept if kept else _gone)(f"Age: {name}", "9111 5.1", required(f"age-parse-{suffix}"), _NOW, _HOUR, line)
        for suffix, name, line, kept in _AGED
    ),
    *(
        (_kept if kept else _gone)(
            f"Age: {name}",
            "9111 5.1",
            required(f"age-parse-{suffix}"),
            _NOW,
            _HOUR,
            *(f"Age: {each}" for each in given),
        )
        for suffix, name, given, kept in _AGED_TWICE
    ),
    _kept(
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
    _kept("Expires ahead", "9111 5.3", optimal("freshness-expires-future"), "Expires: {2592000}", _NOW),
    _gone("Expires past", "9111 5.3", required("freshness-expires-past"), "Expires: {-2592000}", _NOW),
    row("Expires now", "9111 5.3", told("Expires: {0}", _NOW), fetched(), public=required("freshness-expires-present")),
    _gone("Expires before Date", "9111 4.2.1", required("freshness-expires-old-date"), "Expires: {300}", "Date: {400}"),
    _gone("Expires 0", "9111 5.3", required("freshness-expires-invalid"), "Expires: 0", _NOW),
    _gone("Expires -1", "9111 5.3", None, "Expires: -1", _NOW),
    _gone("Expires empty", "9111 5.3", None, "Expires: ", _NOW, "Last-Modified: {-100000}"),
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
    _kept("Expires without Date counts from arrival", "9110 6.6.1", None, "Expires: {10}"),
    _gone("two different Expires", "9111 5.3", None, "Expires: {10}", "Expires: {20}", _NOW),
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
        _kept(f"Expires: {name}", "9111 4.2", optimal(f"freshness-expires-{suffix}"), f"Expires: {date}", _NOW)
        for suffix, name, date in _DATES
    ),
    *(
        _gone(f"Expires: {name}", "9111 4.2", required(f"freshness-expires-invalid-{suffix}"), f"Expires: {date}", _NOW)
        for suffix, name, date in _NO_DATES
    ),
    _gone(
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
    _gone("no guess from a Last-Modified ahead", "9111 4.2.2", None, "Last-Modified: {1000}", _NOW),
    _gone("no guess from what is no date", "9111 4.2.2", None, "Last-Modified: yesterday", _NOW),
    row(
        "a guess and Content-Disposition",
        "9111 4.2.2",
        told("Last-Modified: {-100000}", _NOW, "Content-Disposition: attachment; filename=example.txt"),
        hit(),
        public=check("other-heuristic-content-disposition-attachment"),
    ),
)

FIELDS = (
    row("Age is made", "9111 5.1", fresh(), hit(shows=("Age: 3",)), public=required("other-age-gen")),
    row(
        "Age of a slow answer",
        "9111 4.2.3",
        told(_HOUR, _NOW, delay=5, shows=("Age: 5",)),
        public=check("other-age-delay"),
    ),
    row(
        "Age goes on, Expires",
        "9111 5.1",
        told("Expires: {2592000}", _NOW, "Age: 30", then=WHILE_S),
        hit(shows=("Age: 33",)),
        public=required("other-age-update-expires"),
    ),
    row(
        "Age goes on, max-age",
        "9111 5.1",
        fresh("Age: 30"),
        hit(shows=("Age: 33",)),
        public=required("other-age-update-max-age"),
    ),
    row(
        "Age is the larger of Age and Date's",
        "9111 4.2.3",
        told(_HOUR, "Date: {-50}", "Age: 30", then=WHILE_S),
        hit(shows=("Age: 53",)),
    ),
    row(
        "Age of several is made one",
        "9111 5.1",
        told(_HOUR, "Age: 30", "Age: 40", then=WHILE_S),
        hit(shows=("Age: 33",)),
    ),
    row("Date stays", "9110 6.6.1", fresh(), hit(shows=("Date: {-3}",)), public=required("other-date-update")),
    row(
        "Date stays beside Expires",
        "9110 6.6.1",
        told("Expires: {2592000}", _NOW, then=WHILE_S),
        hit(shows=("Date: {-3}",)),
        public=required("other-date-update-expires"),
    ),
    row(
        "Expires stays",
        "9111 5.3",
        told("Expires: {2592000}", _NOW, then=WHILE_S),
        hit(shows=("Expires: {2591997}",)),
        public=check("other-date-update-expires-update"),
    ),
    row("no Date: that of the arrival", "9110 6.6.1", told(_HOUR, then=WHILE_S), hit(shows=("Date: {-3}",))),
    row(
        "s-maxage forbids what is stale",
        "9111 5.2.2.10",
        told(_cc("s-maxage=1, stale-while-revalidate=60"), then=WHILE_S),
        fetched(),
    ),
    row(
        "stale-while-revalidate with a space is no window",
        "9111 4.2.1",
        told(_cc("max-age=1, stale-while-revalidate= 60"), then=WHILE_S),
        fetched(),
    ),
    row(
        "stale-while-revalidate quoted is one",
        "5861 3",
        told(_cc('max-age=1, stale-while-revalidate="60"'), then=WHILE_S),
        stale(),
    ),
)

ROWS = (*MAX_AGE, *DIRECTIVES, *AGE, *EXPIRES, *DATES, *HEURISTIC, *FIELDS)
