"""Vary: which requests share an answer (RFC 9111 4.1)."""

from tests.conformance.case import Case, Lines, Public, Step, differs, optimal, required, row
from tests.conformance.steps import ages, asking, fetched, hit, says, told, validated

_SECTION = "9111 4.1"
_FOO = ("Foo: 1",)
_TWO = ("Foo: 1", "Bar: abc")
_THREE = ("Foo: 1", "Bar: abc", "Baz: 789")
_ORDER = (
    "Origins take the order of languages for a preference (RFC 9110 12.5.4): `en, de` and `de, en` stay two variants."
)
_SELECT = "A cache does not negotiate: which language fits is for the origin to say."
_SPACE = "White space is normalised where the syntax of a field is known (RFC 9111 4.1); of Foo it is not."


def _varied(vary: str | Lines, *more: str) -> tuple[str, ...]:
    names = (vary,) if isinstance(vary, str) else vary
    return (
        "Cache-Control: max-age=5000",
        "Last-Modified: {-3000}",
        "Date: {0}",
        *(f"Vary: {each}" for each in names),
        *more,
    )


def _first(vary: str | Lines, ask: Lines, *more: str) -> Step:
    return asking(told(*_varied(vary, *more)), *ask)


def _same(name: str, public: Public | None, vary: str | Lines, ask: Lines, again: Lines, *more: str) -> Case:
    return row(name, _SECTION, _first(vary, ask, *more), hit(*again), public=public)


def _other(name: str, public: Public | None, vary: str | Lines, ask: Lines, again: Lines) -> Case:
    return row(name, _SECTION, _first(vary, ask), fetched(*again), public=public)


MATCHING = (
    _same("the same value", optimal("vary-match"), "Foo", _FOO, _FOO),
    _other("another value", required("vary-no-match"), "Foo", _FOO, ("Foo: 2",)),
    _other("absent before", required("vary-omit-stored"), "Foo", (), _FOO),
    _other("absent now", required("vary-omit"), "Foo", _FOO, ()),
    _same("absent both times", None, "Foo", (), ()),
    _other("empty is not absent", None, "Foo", (), ("Foo: ",)),
    row(
        "two variants",
        _SECTION,
        _first("Foo", _FOO),
        fetched("Foo: 2", says=says(*_varied("Foo"))),
        hit("Foo: 1", text=b"body 1"),
        hit("Foo: 2", text=b"body 2"),
        public=optimal("vary-invalidate"),
    ),
    _same(
        "fields that do not select", optimal("vary-cache-key"), "Foo", ("Foo: 1", "Other: 2"), ("Foo: 1", "Other: 3")
    ),
    _same("two fields", optimal("vary-2-match"), "Foo, Bar", _TWO, _TWO),
    _other("two fields, one other", required("vary-2-no-match"), "Foo, Bar", _TWO, ("Foo: 2", "Bar: abc")),
    _other("two fields, both absent now", required("vary-2-match-omit"), "Foo, Bar", _TWO, ()),
    _same("three fields", optimal("vary-3-match"), "Foo, Bar, Baz", _THREE, _THREE),
    _other(
        "three fields, one other",
        required("vary-3-no-match"),
        "Foo, Bar, Baz",
        _THREE,
        ("Foo: 2", "Bar: abc", "Baz: 789"),
    ),
    _other(
        "three fields, another order, one other",
        required("vary-3-order"),
        "Foo, Bar, Baz",
        _THREE,
        ("Foo: 1", "Baz: 789", "Bar: abcde"),
    ),
    _same(
        "three fields, one absent both times",
        optimal("vary-3-omit"),
        "Foo, Bar, Baz",
        ("Foo: 1", "Baz: 789"),
        ("Foo: 1", "Baz: 789"),
    ),
    _same("two lines of Vary", None, ("Foo", "Bar"), _TWO, _TWO),
    _other("two lines of Vary, the second other", None, ("Foo", "Bar"), _TWO, ("Foo: 1", "Bar: x")),
    _same("case of a name", None, "FOO", ("foo: 1",), ("Foo: 1",)),
    _other("case of a value", None, "Foo", ("Foo: a",), ("Foo: A",)),
    _same("empty members", None, "Foo,, ,", _FOO, _FOO),
    _same("an empty Vary", None, "", _FOO, ("Foo: 2",)),
    row(
        "a stale variant",
        _SECTION,
        asking(ages("Vary: Foo", 'ETag: "a"'), *_FOO),
        fetched("Foo: 2"),
        validated("Foo: 1", text=b"body 1"),
    ),
    row(
        "what Vary names is sent on",
        "9110 12.5.5",
        asking(told("Vary: Accept-Encoding, X", sends=("Accept-Encoding: br", "X: 1")), "Accept-Encoding: br", "X: 1"),
    ),
)

_STARS = (
    ("star", "*", ("*",)),
    ("syntax-star", "* again", ("*",)),
    ("syntax-star-star", "*, *", ("*, *",)),
    ("syntax-star-star-lines", "* in two lines", ("*", "*")),
    ("syntax-empty-star", ", *", (", *",)),
    ("syntax-empty-star-lines", "nothing, and * in a line", ("", "*")),
    ("syntax-star-foo", "*, Foo", ("*, Foo",)),
    ("syntax-foo-star", "Foo, *", ("Foo, *",)),
)
STARS = tuple(
    _other(f"Vary: {name}", required(f"vary-{suffix}"), vary, ("Foo: 1", "Baz: 789"), ("Foo: 1", "Baz: 789"))
    for suffix, name, vary in _STARS
)


def _unlike(name: str, test: str, why: str, vary: str, ask: Lines, again: Lines, *more: str) -> Case:
    return row(
        name,
        _SECTION,
        _first(vary, ask, *more),
        hit(*again),
        public=optimal(test),
        differs=differs(why, "2: fetched, not a hit"),
    )


_LANGUAGES = ("Accept-Language: en, de",)

NORMALISED = (
    _same("one line or two", optimal("vary-normalise-combine"), "Foo", ("Foo: 1, 2",), ("Foo: 1", "Foo: 2")),
    _unlike("white space in a field not known", "vary-normalise-space", _SPACE, "Foo", ("Foo: 1,2",), ("Foo:  1, 2 ",)),
    _unlike(
        "the order of languages",
        "vary-normalise-lang-order",
        _ORDER,
        "Accept-Language",
        _LANGUAGES,
        ("Accept-Language: de, en",),
    ),
    _same(
        "the case of languages",
        optimal("vary-normalise-lang-case"),
        "Accept-Language",
        _LANGUAGES,
        ("Accept-Language: eN, De",),
    ),
    _same(
        "white space between languages",
        optimal("vary-normalise-lang-space"),
        "Accept-Language",
        _LANGUAGES,
        ("Accept-Language:  en ,   de",),
    ),
    _unlike(
        "a language that fits",
        "vary-normalise-lang-select",
        _SELECT,
        "Accept-Language",
        _LANGUAGES,
        ("Accept-Language: fr;q=0.5, de;q=1.0",),
        "Content-Language: de",
    ),
    _same(
        "order, case and weights of codings",
        None,
        "Accept-Encoding",
        ("Accept-Encoding: gzip, br",),
        ("Accept-Encoding: BR;q=1.0,gzip;q=0.9",),
    ),
    _other(
        "another set of codings", None, "Accept-Encoding", ("Accept-Encoding: gzip, br",), ("Accept-Encoding: gzip",)
    ),
    _other(
        "a coding that is refused", None, "Accept-Encoding", ("Accept-Encoding: gzip",), ("Accept-Encoding: gzip;q=0",)
    ),
    _same("white space in Accept", None, "Accept", ("Accept: text/html, */*;q=0.1",), ("Accept: text/html,*/*;q=0.1",)),
)

ROWS = (*MATCHING, *STARS, *NORMALISED)
