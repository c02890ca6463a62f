"""CDN-Cache-Control (RFC 9213): ours where it is there and well formed."""

from tests.conformance.case import Case, Public, check, differs, optimal, required, row
from tests.conformance.steps import WHILE_S, fetched, hit, told, validated

_KEY = "Keys of a dictionary are lower case (RFC 9651 3.2); another one makes the field malformed, that is absent."


def _cdn(value: str) -> str:
    return f"CDN-Cache-Control: {value}"


def _cc(value: str) -> str:
    return f"Cache-Control: {value}"


_NOW = "Date: {0}"
_LONG = (_cc("max-age=10000"), "Expires: {10000}", _NOW)


def _kept(name: str, public: Public | None, *lines: str) -> Case:
    return row(name, "9213 2", told(*lines, then=WHILE_S), hit(), public=public)


def _gone(name: str, public: Public | None, *lines: str) -> Case:
    return row(name, "9213 2", told(*lines, then=WHILE_S), fetched(), public=public)


def _shows(name: str, test: str, shown: str, *lines: str) -> Case:
    return row(name, "9213 2", told(*lines, then=WHILE_S), hit(shows=(shown,)), public=check(test))


ROWS = (
    _kept("max-age", optimal("cdn-max-age"), _cdn("max-age=3600")),
    _kept("max-age 2^31", optimal("cdn-max-age-max"), _cdn("max-age=2147483648")),
    _kept("max-age enormous", optimal("cdn-max-age-max-plus"), _cdn("max-age=99999999999")),
    _gone("older than max-age", required("cdn-max-age-age"), _NOW, _cdn("max-age=3600"), "Age: 7200"),
    _gone("space before =", check("cdn-max-age-space-before-equals"), _cc("max-age=1"), _cdn("max-age =100")),
    _gone("space behind =", check("cdn-max-age-space-after-equals"), _cc("max-age=1"), _cdn("max-age= 100")),
    _gone("max-age 0", required("cdn-max-age-0"), _cdn("max-age=0")),
    _kept("an unknown directive", optimal("cdn-max-age-extension"), _cdn("foobar, max-age=3600")),
    row(
        "case of a directive",
        "9213 2",
        told(_cdn("MaX-aGe=3600"), then=WHILE_S),
        hit(),
        public=check("cdn-max-age-case-insensitive"),
        differs=differs(_KEY, "2: fetched, not a hit"),
    ),
    _kept("a past Expires", optimal("cdn-max-age-expires"), _cdn("max-age=3600"), "Expires: {-10000}", _NOW),
    _kept(
        "an invalid Expires",
        optimal("cdn-max-age-cc-max-age-invalid-expires"),
        _cdn("max-age=3600"),
        "Expires: 0",
        _NOW,
    ),
    _gone("max-age 0 over Expires", required("cdn-max-age-0-expires"), _cdn("max-age=0"), "Expires: {10000}", _NOW),
    _kept("long over short", optimal("cdn-max-age-short-cc-max-age"), _cc("max-age=1"), _cdn("max-age=3600")),
    _gone("short over long", required("cdn-max-age-long-cc-max-age"), _cc("max-age=3600"), _cdn("max-age=1")),
    _gone("private", required("cdn-private"), _cdn("private"), *_LONG),
    _gone("no-cache", required("cdn-no-cache"), _cdn("no-cache"), *_LONG),
    _gone("no-store", required("cdn-no-store-cc-fresh"), _cdn("no-store"), *_LONG),
    _kept("max-age over no-store", required("cdn-fresh-cc-nostore"), _cc("no-store"), _cdn("max-age=10000")),
    _gone("no dictionary", required("cdn-cc-invalid-sh-type-unknown"), _cdn("max-age=10000, &&&&&"), _cc("no-store")),
    _gone("a number in quotes", required("cdn-cc-invalid-sh-type-wrong"), _cdn('max-age="10000"'), _cc("no-store")),
    row(
        "it is passed on", "9213 2", told(*_LONG, _cdn("foo"), shows=(_cdn("foo"),)), public=check("cdn-remove-header")
    ),
    _shows(
        "Age though Cache-Control is over",
        "cdn-remove-age-exceed",
        "Age: 3",
        _cc("max-age=1"),
        _cdn("max-age=10000"),
        _NOW,
    ),
    _shows(
        "Date though Cache-Control is over",
        "cdn-date-update-exceed",
        "Date: {-3}",
        _cc("max-age=1"),
        _cdn("max-age=10000"),
        _NOW,
    ),
    _shows(
        "Expires though it is over",
        "cdn-expires-update-exceed",
        "Expires: {-2}",
        _cc("max-age=1"),
        "Expires: {1}",
        _cdn("max-age=10000"),
        _NOW,
    ),
    _gone("a fraction", None, _cdn("max-age=3600.5")),
    _gone("negative", None, _cdn("max-age=-1")),
    _kept("empty: Cache-Control counts", None, _cc("max-age=60"), _cdn("")),
    _kept("parameters say nothing", None, _cdn("max-age=60;a=b, no-store=?0")),
    _kept("the last of a repeated key", None, _cdn("max-age=1, max-age=60")),
    _kept("two lines", None, _cdn("foo"), _cdn("max-age=60")),
    _gone("Expires says nothing beside it", None, _cdn("foo"), "Expires: {10000}", _NOW),
    row(
        "must-revalidate over stale-while-revalidate",
        "9213 2",
        told(
            _cdn("max-age=1, must-revalidate"), _cc("max-age=1, stale-while-revalidate=60"), 'ETag: "a"', then=WHILE_S
        ),
        validated(),
    ),
)
