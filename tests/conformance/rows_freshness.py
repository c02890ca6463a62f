"""Freshness from Cache-Control, and the fields that tell of it (RFC 9111 4.2.1, 5.1, 5.2.2)."""

from tests.conformance.case import Case, Public, check, differs, optimal, required, row
from tests.conformance.lifetimes import gone, kept
from tests.conformance.steps import WHILE_S, ages, fetched, fresh, hit, stale, told, validated

_A_LIFETIME = "9111 4.2.1"
_DIRECTIVES = "9111 5.2.2.1"
_MALFORMED = "A malformed number is staleness, as RFC 9111 4.2.1 encourages."
_FIRST = "Of several values of a directive the first counts (RFC 9111 4.2.1 allows it)."


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
    gone("nothing said", "9111 4.2.2", check("freshness-none")),
    kept("max-age", _DIRECTIVES, optimal("freshness-max-age"), _HOUR),
    row("max-age over", _DIRECTIVES, ages(), fetched(), public=required("freshness-max-age-stale")),
    gone("max-age 0", _DIRECTIVES, required("freshness-max-age-0"), _cc("max-age=0")),
    kept("max-age 2^31-1", "9111 1.2.2", optimal("freshness-max-age-max-minus-1"), _cc("max-age=2147483647")),
    kept("max-age 2^31", "9111 1.2.2", optimal("freshness-max-age-max"), _cc("max-age=2147483648")),
    kept("max-age 2^31+1", "9111 1.2.2", optimal("freshness-max-age-max-plus-1"), _cc("max-age=2147483649")),
    kept("max-age enormous", "9111 1.2.2", optimal("freshness-max-age-max-plus"), _cc("max-age=99999999999")),
    kept("max-age of 40 digits", "9111 1.2.2", None, _cc("max-age=" + "9" * 40)),
    gone("older than max-age by Age", "9111 4.2.3", required("freshness-max-age-age"), _NOW, _HOUR, "Age: 7200"),
    gone("older than max-age by Date", "9111 4.2.3", check("freshness-max-age-date"), "Date: {-7200}", _HOUR),
    kept("a Date ahead of ours is no age", "9111 4.2.3", None, "Date: {7200}", _HOUR),
    kept(
        "max-age over a past Expires", "9111 5.3", optimal("freshness-max-age-expires"), _HOUR, "Expires: {-7200}", _NOW
    ),
    kept(
        "max-age over no Expires", "9111 5.3", optimal("freshness-max-age-expires-invalid"), _HOUR, "Expires: 0", _NOW
    ),
    gone(
        "max-age 0 over Expires",
        "9111 5.3",
        required("freshness-max-age-0-expires"),
        "Expires: {3600}",
        _cc("max-age=0"),
        _NOW,
    ),
    kept(
        "beside an unknown directive", "9111 5.2.3", optimal("freshness-max-age-extension"), _cc("foobar, max-age=3600")
    ),
    kept("beside an unknown directive with a value", "9111 5.2.3", None, _cc('foobar="a, b", max-age=3600')),
    kept("case of the name", "9111 5.2", optimal("freshness-max-age-case-insenstive"), _cc("MaX-aGe=3600")),
    gone("negative", _A_LIFETIME, required("freshness-max-age-negative"), _cc("max-age=-3600")),
    kept("s-maxage", "9111 5.2.2.10", optimal("freshness-s-maxage-shared"), _cc("s-maxage=3600")),
    gone(
        "s-maxage before max-age",
        "9111 4.2.1",
        required("freshness-max-age-s-maxage-shared-longer"),
        _cc("max-age=3600, s-maxage=1"),
    ),
    gone(
        "s-maxage before max-age, the other way round",
        "9111 4.2.1",
        required("freshness-max-age-s-maxage-shared-longer-reversed"),
        _cc("s-maxage=1, max-age=3600"),
    ),
    gone(
        "s-maxage before max-age, two lines",
        "9111 4.2.1",
        required("freshness-max-age-s-maxage-shared-longer-multiple"),
        _HOUR,
        _cc("s-maxage=1"),
    ),
    kept(
        "longer s-maxage",
        "9111 4.2.1",
        optimal("freshness-max-age-s-maxage-shared-shorter"),
        _cc("max-age=1, s-maxage=3600"),
    ),
    kept(
        "longer s-maxage, Expires past",
        "9111 4.2.1",
        optimal("freshness-max-age-s-maxage-shared-shorter-expires"),
        "Expires: {-10}",
        _cc("max-age=0, s-maxage=3600"),
    ),
)

DIRECTIVES = (
    kept(
        "max-age twice, the first fresh",
        _A_LIFETIME,
        check("freshness-max-age-two-fresh-stale-sameline"),
        _cc("max-age=1800, max-age=1"),
    ),
    kept(
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
    kept("quoted", "9111 5.2", check("freshness-max-age-quoted"), _cc('max-age="3600"')),
    gone(
        "in a quoted string before",
        "9110 5.6.4",
        required("freshness-max-age-ignore-quoted"),
        _cc('extension="max-age=3600", max-age=1'),
    ),
    gone(
        "in a quoted string behind",
        "9110 5.6.4",
        required("freshness-max-age-ignore-quoted-rev"),
        _cc('max-age=1, extension="max-age=3600"'),
    ),
    gone("space before =", _A_LIFETIME, check("freshness-max-age-space-before-equals"), _cc("max-age =3600")),
    gone("space behind =", _A_LIFETIME, check("freshness-max-age-space-after-equals"), _cc("max-age= 3600")),
    kept("leading zeros", "9111 1.2.2", required("freshness-max-age-leading-zero"), _cc("max-age=003600")),
    gone("single quotes are none", "9110 5.6.4", required("freshness-max-age-single-quoted"), _cc("max-age='3600'")),
    _unlike(
        "a fraction of zero", _A_LIFETIME, check("freshness-max-age-decimal-zero"), _MALFORMED, _cc("max-age=3600.0")
    ),
    _unlike("a fraction", _A_LIFETIME, check("freshness-max-age-decimal-five"), _MALFORMED, _cc("max-age=3600.5")),
    _unlike("a letter before", _A_LIFETIME, check("freshness-max-age-a100"), _MALFORMED, _cc("max-age=a3600")),
    _unlike("a letter behind", _A_LIFETIME, check("freshness-max-age-100a"), _MALFORMED, _cc("max-age=3600a")),
    gone("no argument", _A_LIFETIME, None, _cc("max-age")),
    row(
        "malformed and a guess possible",
        _A_LIFETIME,
        told(_cc("max-age=x"), "Last-Modified: {-100000}", _NOW),
        validated(),
    ),
    kept("empty members", "9110 5.6.1", None, _cc(",, max-age=3600,,")),
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


ROWS = (*MAX_AGE, *DIRECTIVES, *FIELDS)
