"""Which field governs (RFC 9213), what must-understand does (RFC 9111 5.2.2.3), immutable (RFC 8246): a row a case."""

import pytest

from proxy.http import dates
from proxy.http.fields import Fields
from proxy.rules.freshness import age, freshness
from proxy.rules.meta import Meta
from proxy.rules.reuse import Fresh, Revalidate, decide
from proxy.rules.storing import NotStored, storing

NOW = 1_800_000_000.0
DATE = ("Date", dates.render(NOW))
EXPIRES = ("Expires", dates.render(NOW + 99))


def _stored(*response: tuple[str, str], status: int = 200) -> Meta | NotStored:
    return storing(
        key="k", method="GET", request=(), status=status, response=(DATE, *response), request_time=NOW,
        response_time=NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("targeted", "plain", "lifetime"),
    [
        ("max-age=60", "max-age=5", 60),  # RFC 9213 2.2: it replaces the other
        ("max-age=60", "no-store", 60),
        ("max-age=60", "private", 60),
        ("s-maxage=70, max-age=60", "max-age=5", 70),
        ("no-store", "max-age=5", NotStored.NO_STORE),
        ("private", "public, max-age=5", NotStored.PRIVATE),
        ("no-store=?0, max-age=60", "max-age=5", 60),  # RFC 9651 3.3.6: said to be false
        ("max-age=60;x=1", "max-age=5", 60),  # parameters are ignored
        ("max-age=60, unknown=\"x\"", "max-age=5", 60),
        ("max-age=9999999999", "max-age=5", 2**31),
        ('max-age="60"', "max-age=5", NotStored.NO_LIFETIME),  # not an integer: invalid, so stale (RFC 9111 4.2.1)
        ("max-age=60.5", "max-age=5", NotStored.NO_LIFETIME),
        ("max-age=-1", "max-age=5", NotStored.NO_LIFETIME),
        ("", "max-age=5", 5),  # 2.2: an empty or malformed one falls through
        ("  ", "max-age=5", 5),
        ("max-age=60,", "max-age=5", 5),
        ("MAX-AGE=60", "max-age=5", 5),  # keys of a dictionary are lower case (RFC 9651 3.2)
        ("max-age=60 no-store", "max-age=5", 5),
        ("&&", "max-age=5", 5),
        ("max-age=" + "1" * 9000, "max-age=5", 5),
    ],
)  # fmt: skip
def test_a_targeted_field_rfc9213_2_2(targeted: str, plain: str, lifetime: float | NotStored) -> None:
    made = _stored(("CDN-Cache-Control", targeted), ("Cache-Control", plain))
    assert (made if isinstance(made, NotStored) else freshness(made).lifetime) == lifetime


def test_a_targeted_field_stands_for_expires_too_rfc9213_2_2() -> None:
    made = _stored(("CDN-Cache-Control", "must-revalidate"), EXPIRES, ("Last-Modified", dates.render(NOW - 500)))
    assert isinstance(made, Meta)
    assert freshness(made).lifetime == pytest.approx(50)  # a guess, as if Expires were not there
    fallen = _stored(("CDN-Cache-Control", "("), EXPIRES)
    assert isinstance(fallen, Meta)
    assert freshness(fallen).lifetime == 99


def test_two_targeted_lines_are_one_dictionary_rfc9651_4_2() -> None:
    made = _stored(("CDN-Cache-Control", "max-age=5"), ("CDN-Cache-Control", "stale-if-error=7, max-age=6"))
    assert isinstance(made, Meta)
    assert (freshness(made).lifetime, freshness(made).if_error) == (6, 7)


def test_other_targets_are_not_ours_rfc9213_2_2() -> None:
    made = _stored(("Other-CDN-Cache-Control", "no-store"), ("Cache-Control", "max-age=5"))
    assert isinstance(made, Meta)


@pytest.mark.parametrize(
    ("control", "status", "verdict"),
    [
        ("must-understand, no-store, max-age=9", 200, None),  # RFC 9111 5.2.2.3
        ("must-understand, no-store, max-age=9", 404, None),
        ("must-understand, no-store, max-age=9", 299, NotStored.STATUS),
        ("must-understand, max-age=9", 299, NotStored.STATUS),
        ("must-understand, max-age=9", 200, None),
        ("no-store, max-age=9", 200, NotStored.NO_STORE),
    ],
)
def test_must_understand_rfc9111_5_2_2_3(control: str, status: int, verdict: NotStored | None) -> None:
    made = _stored(("Cache-Control", control), status=status)
    assert (made if isinstance(made, NotStored) else None) is verdict


def test_must_understand_in_a_targeted_field_rfc9213_2_2() -> None:
    assert isinstance(_stored(("CDN-Cache-Control", "must-understand, no-store, max-age=9")), Meta)


@pytest.mark.parametrize(("after", "decision"), [(5, Fresh), (10, Revalidate)])
def test_immutable_asks_nothing_while_fresh_rfc8246_2(after: float, decision: type) -> None:
    made = _stored(("Cache-Control", "max-age=10, immutable"))
    assert isinstance(made, Meta)
    assert type(decide(made, (("Cache-Control", "max-age=0"),), NOW + after)) is decision


@pytest.mark.parametrize(
    ("lines", "expected"),
    [(("5",), 5), (("5, 9",), 5), (("5", "9"), 5), (("x, 9",), 0), (("",), 0), ((" 7 ",), 7)],
)
def test_of_several_ages_the_first_rfc9111_5_1(lines: tuple[str, ...], expected: float) -> None:
    fields: Fields = (DATE, *(("Age", line) for line in lines))
    assert age(Meta("k", 200, fields, NOW, NOW), NOW) == expected
