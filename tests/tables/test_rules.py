"""proxy.rules: a row a case, each with its section. Time is handed in."""

import pytest

from proxy.http import dates
from proxy.http.fields import Fields
from proxy.rules.freshness import age, freshness
from proxy.rules.key import cache_key, strip_cmcd
from proxy.rules.meta import Meta, matches, vary_of
from proxy.rules.reuse import Fresh, Miss, Revalidate, StaleWhileRevalidate, decide
from proxy.rules.storing import NotStored, storing

NOW = 1_800_000_000.0
DATE = ("Date", dates.render(NOW))


def _meta(*response: tuple[str, str], status: int = 200, vary: Fields = (), took: float = 0.0) -> Meta:
    return Meta("k", status, (DATE, *response), NOW - took, NOW, vary)


def _cc(value: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("Cache-Control", value), *more)


def _ago(seconds: float) -> str:
    return dates.render(NOW - seconds)


TAG = ("ETag", '"v"')
CHANGED = ("Last-Modified", _ago(1000))


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        (_cc("max-age=1"), None),
        (_cc("s-maxage=1, max-age=0"), None),
        ((("Expires", dates.render(NOW + 10)),), None),
        ((CHANGED,), None),  # 4.2.2: heuristically fresh
        (_cc("no-cache", TAG), None),  # 5.2.2.4: stored, never reused without asking
        (_cc("max-age=0", CHANGED), None),
        ((), NotStored.NO_LIFETIME),
        ((TAG,), NotStored.NO_LIFETIME),
        (_cc("max-age=0"), NotStored.NO_LIFETIME),
        ((("Expires", "0"), TAG), NotStored.NO_LIFETIME),  # 5.3: an invalid date is the past
        (_cc("no-store, max-age=9"), NotStored.NO_STORE),  # 5.2.2.5
        (_cc("private, max-age=9"), NotStored.PRIVATE),  # 5.2.2.7
        (_cc('private="x-a", max-age=9'), NotStored.PRIVATE),  # the qualified form is read as the plain one
        (_cc("max-age=9", ("Vary", "*")), NotStored.VARY_ALL),  # 4.1
        (_cc("max-age=9", ("Set-Cookie", "a=b")), NotStored.SET_COOKIE),  # stricter than 7.3
        (_cc("public, s-maxage=9, must-revalidate", ("Set-Cookie", "a=b")), NotStored.SET_COOKIE),
    ],
)
def test_storing_rfc9111_3(response: Fields, verdict: NotStored | None) -> None:
    made = storing(
        key="k", method="GET", request=(), status=200, response=(DATE, *response), request_time=NOW, response_time=NOW
    )
    assert (made if isinstance(made, NotStored) else None) is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(status, None) for status in (200, 201, 204, 299, 301, 404, 410)]
    + [(206, NotStored.PARTIAL)]
    + [(status, NotStored.STATUS) for status in (226, 304, 400, 401, 403, 429, 500, 502, 503, 504, 999)],
)
def test_storing_by_status_rfc9111_3(status: int, verdict: NotStored | None) -> None:
    made = storing(
        key="k", method="GET", request=(), status=status, response=_cc("max-age=9"), request_time=NOW, response_time=NOW
    )
    assert (made if isinstance(made, NotStored) else None) is verdict


@pytest.mark.parametrize(
    ("control", "kept"),
    [("max-age=9", False), ("public, max-age=9", True), ("s-maxage=9", True), ("max-age=9, must-revalidate", True)],
)
def test_storing_what_authorization_got_rfc9111_3_5(control: str, kept: bool) -> None:
    made = storing(
        key="k", method="GET", request=(("Authorization", "x"),), status=200, response=_cc(control),
        request_time=NOW, response_time=NOW,
    )  # fmt: skip
    assert isinstance(made, Meta) is kept


def test_storing_under_must_understand_needs_a_known_status_rfc9111_3() -> None:
    def stored(status: int, control: str) -> bool:
        made = storing(
            key="k", method="GET", request=(), status=status, response=_cc(control), request_time=NOW, response_time=NOW
        )
        return isinstance(made, Meta)

    assert stored(299, "max-age=9")
    assert stored(200, "max-age=9, must-understand")
    assert not stored(299, "max-age=9, must-understand")


def test_storing_other_methods_rfc9111_3() -> None:
    for method in ("POST", "HEAD", "QUERY"):
        made = storing(
            key="k", method=method, request=(), status=200, response=_cc("max-age=9"), request_time=0, response_time=0
        )
        assert made is NotStored.METHOD


def test_what_is_kept_of_the_fields() -> None:
    given = _cc("max-age=9", ("Cache-Status", "x; hit"), ("Content-Length", "5"), ("X-Request-ID", "a"), ("Kept", "1"))
    made = storing(key="k", method="GET", request=(), status=200, response=given, request_time=NOW, response_time=NOW)
    assert isinstance(made, Meta)
    assert made.fields == (("Cache-Control", "max-age=9"), ("Kept", "1"), DATE)


@pytest.mark.parametrize(
    ("response", "lifetime"),
    [
        (_cc("max-age=10"), 10),
        (_cc("max-age=10, s-maxage=20"), 20),  # 4.2.1: shared first
        (_cc("max-age=10", ("Expires", dates.render(NOW + 99))), 10),
        ((("Expires", dates.render(NOW + 99)),), 99),
        ((("Expires", _ago(1)),), 0),
        ((("Expires", "junk"), CHANGED), 0),  # 5.3: no guess beside a statement
        ((CHANGED,), 100),  # 4.2.2: a tenth
        ((("Last-Modified", _ago(1e8)),), 86_400),  # and a day at most
        ((("Last-Modified", _ago(-50)),), 0),
        (_cc("no-cache, max-age=10"), 0),
        (_cc("max-age=junk", CHANGED), 0),  # 4.2.1: invalid is stale
        (_cc("max-age =10", CHANGED), 0),  # no white space beside "="
        (_cc("max-age= 10", CHANGED), 0),
        (_cc('max-age="10" ,x'), 10),
        ((), 0),
    ],
)
def test_lifetime_rfc9111_4_2_1(response: Fields, lifetime: float) -> None:
    assert freshness(_meta(*response)).lifetime == pytest.approx(lifetime)


@pytest.mark.parametrize(("status", "lifetime"), [(200, 100), (404, 100), (302, 0), (307, 0)])
def test_no_guess_for_other_statuses_rfc9111_4_2_2(status: int, lifetime: float) -> None:
    assert freshness(_meta(CHANGED, status=status)).lifetime == pytest.approx(lifetime)


@pytest.mark.parametrize(
    ("stated", "date", "took", "later", "expected"),
    [
        (None, NOW, 0, 0, 0),
        (None, NOW, 0, 7, 7),  # resident time
        ("5", NOW, 0, 7, 12),
        ("5", NOW, 3, 7, 15),  # the request's way there and back
        ("5", NOW - 100, 3, 0, 100),  # apparent age
        (None, NOW + 100, 0, 1, 1),  # a Date of the future makes no negative age
        ("junk", NOW, 0, 7, 7),
        ("-5", NOW, 0, 7, 7),
        ("9" * 30, NOW, 0, 0, 2**31),
        (None, NOW, 0, -50, 0),  # our clock went back
    ],
)
def test_age_rfc9111_4_2_3(stated: str | None, date: float, took: float, later: float, expected: float) -> None:
    given = (("Date", dates.render(date)), *((("Age", stated),) if stated else ()))
    assert age(Meta("k", 200, given, NOW - took, NOW), NOW + later) == expected


@pytest.mark.parametrize(
    ("control", "after", "decision"),
    [
        ("max-age=10", 9.9, Fresh),
        ("max-age=10", 10, Revalidate),
        ("max-age=10, stale-while-revalidate=5", 14.9, StaleWhileRevalidate),  # RFC 5861 3
        ("max-age=10, stale-while-revalidate=5", 15, Revalidate),
        ("max-age=10, stale-while-revalidate=5, must-revalidate", 12, Revalidate),  # RFC 9111 4.2.4
        ("s-maxage=10, stale-while-revalidate=5", 12, Revalidate),  # 5.2.2.10: s-maxage includes proxy-revalidate
        ("no-cache, stale-while-revalidate=5", 0, Revalidate),
        ("no-cache", 0, Revalidate),
    ],
)
def test_reuse_rfc9111_4(control: str, after: float, decision: type) -> None:
    made = decide(_meta(*_cc(control, TAG)), (), NOW + after)
    assert type(made) is decision


@pytest.mark.parametrize(
    ("control", "after", "allowed"),
    [
        ("max-age=10, stale-if-error=5", 12, True),  # RFC 5861 4
        ("max-age=10, stale-if-error=5", 15, False),
        ("max-age=10", 12, False),
        ("max-age=10, stale-if-error=5, proxy-revalidate", 12, False),
    ],
)
def test_stale_if_error_rfc5861_4(control: str, after: float, allowed: bool) -> None:
    made = decide(_meta(*_cc(control)), (), NOW + after)
    assert isinstance(made, Revalidate)
    assert made.if_error is allowed


def test_what_a_revalidation_asks_rfc9111_4_3_1() -> None:
    made = decide(_meta(*_cc("max-age=1", TAG, CHANGED)), (), NOW + 5)
    assert isinstance(made, Revalidate)
    assert made.conditions == (("If-None-Match", '"v"'), ("If-Modified-Since", CHANGED[1]))


@pytest.mark.parametrize("directive", ["no-cache", "no-store", "max-age=0", "only-if-cached"])
def test_request_directives_are_not_honoured(directive: str) -> None:
    """Deviation from RFC 9111 5.2.1 (advisory): a viewer must not send a shared cache to its origin at will."""
    made = decide(_meta(*_cc("max-age=10")), (("Cache-Control", directive), ("Pragma", "no-cache")), NOW)
    assert isinstance(made, Fresh)


@pytest.mark.parametrize(
    ("vary", "stored", "asked", "hit"),
    [
        ("Accept", "a", "a", True),
        ("Accept", "a", "b", False),
        ("accept", "a  b", "a b", True),  # 4.1: white space may be normalised
        ("Accept", None, None, True),
        ("Accept", "a", None, False),
        ("Accept", None, "a", False),
        ("Accept, X-Other", "a", "a", True),
    ],
)
def test_vary_rfc9111_4_1(vary: str, stored: str | None, asked: str | None, hit: bool) -> None:
    selecting = vary_of((("Vary", vary),), (("Accept", stored),) if stored else ())
    assert selecting is not None
    meta = _meta(*_cc("max-age=9"), vary=selecting)
    request = (("ACCEPT", asked),) if asked else ()
    assert matches(meta, request) is hit
    assert decide(meta, request, NOW) == (Fresh(0.0, 9.0) if hit else Miss(vary=True))


def test_nothing_stored_is_a_miss() -> None:
    assert decide(None, (), NOW) == Miss(vary=False)


def test_a_304_replaces_fields_of_the_same_name_rfc9111_3_2() -> None:
    old = _meta(*_cc("max-age=1", TAG, ("Age", "5"), ("Content-Type", "a/b"), ("X", "old"), ("Y", "old")))
    later = ("Date", dates.render(NOW + 50))
    new = old.freshened(
        (later, ("cache-control", "max-age=9"), ("x", "new"), ("Content-Type", "c/d")), NOW + 49, NOW + 50
    )
    assert dict(new.fields) == {
        "ETag": '"v"', "Content-Type": "a/b", "Y": "old", "Date": later[1], "cache-control": "max-age=9", "x": "new",
    }  # fmt: skip
    assert (new.request_time, new.response_time, new.key) == (NOW + 49, NOW + 50, "k")


def test_a_304_leaves_the_tag_of_the_stored_bytes_rfc9111_4_3_4() -> None:
    old = _meta(*_cc("max-age=1", ("ETag", 'W/"v"')))
    assert ("ETag", 'W/"v"') in old.freshened((DATE, TAG), NOW, NOW).fields
    assert TAG in _meta(*_cc("max-age=1", CHANGED)).freshened((DATE, TAG), NOW, NOW).fields


@pytest.mark.parametrize(
    ("stored", "fresh", "ours"),
    [
        ((TAG,), (TAG,), True),
        ((TAG,), (("ETag", 'W/"v"'),), True),
        ((("ETag", 'W/"v"'),), (TAG,), True),
        ((TAG,), (("ETag", '"w"'),), False),
        ((TAG, CHANGED), (("ETag", '"w"'), CHANGED), False),  # the tag is the stronger word
        ((TAG,), (), True),
        ((CHANGED,), (CHANGED,), True),
        ((CHANGED,), (("Last-Modified", _ago(999)),), False),
        ((CHANGED,), (TAG, CHANGED), True),
        ((CHANGED,), (TAG,), False),
        ((TAG,), (CHANGED,), True),
    ],
)
def test_a_304_is_about_what_has_its_validator_rfc9111_4_3_4(stored: Fields, fresh: Fields, ours: bool) -> None:
    assert _meta(*stored).identified_by(fresh) is ours


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("/a", "/a"),
        ("/a?x=1", "/a?x=1"),
        ("/a?CMCD=br%3D1", "/a"),
        ("/a?CMCD=x&b=1", "/a?b=1"),
        ("/a?b=1&CMCD=x", "/a?b=1"),
        ("/a?b=1&CMCD=x&c=2", "/a?b=1&c=2"),
        ("/a?CMCD=x&CMCD=y&c=2", "/a?c=2"),
        ("/a?XCMCD=x", "/a?XCMCD=x"),
        ("/a?b=CMCD=x", "/a?b=CMCD=x"),
        ("/CMCD=x?y", "/CMCD=x?y"),
        ("/a?cmcd=x", "/a?cmcd=x"),
    ],
)
def test_key_without_cmcd(asked: str, kept: str) -> None:
    """contracts.md, 'URLs, key, token'; CTA-5004."""
    assert strip_cmcd(asked) == kept
    assert cache_key("origin.test:80", asked) == f"origin.test:80{kept}"
