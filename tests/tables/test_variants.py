"""Selecting fields and where variants lie (RFC 9111 4.1): a row a case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.rules.meta import Meta
from proxy.rules.selecting import ABSENT, names_of, selected
from proxy.rules.variants import MOST_SETS, SLOTS, Variants, flight_key, from_meta, slot_key, to_meta

AE = ("accept-encoding",)


def _form(value: str | None, name: str = "Accept-Encoding") -> str:
    given = () if value is None else ((name, value),)
    return selected((name.lower(),), given)[0][1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gzip, br", "br,gzip"),
        ("gzip", "GZIP"),
        ("gzip", "x-gzip"),  # RFC 9110 8.4.1.3
        ("gzip;q=1.0, br;q=0.5", "br, gzip"),  # a weight tells what is liked, not what is acceptable
        ("gzip, br;q=0", "gzip"),
        ("gzip, br ; q=0.000", "gzip"),
        ("gzip, identity", "gzip"),  # identity is acceptable unless refused
        ("gzip, deflate,", "deflate, gzip"),
    ],
)
def test_the_same_codings_are_one_variant_rfc9110_12_5_3(one: str, other: str) -> None:
    assert _form(one) == _form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, ""),  # absent: anything goes; empty: identity alone (RFC 9110 12.5.3)
        ("", "gzip"),
        ("gzip", "br"),
        ("gzip", "gzip, br"),
        ("gzip", "gzip, identity;q=0"),
        ("gzip", "gzip, *;q=0"),
        ("gzip, *", "gzip"),
        ("*, gzip;q=0", "*"),
        ("*", "*;q=0"),
        ("gzip", "gzipped"),
        ("gzip;q=0", "gzip"),
        ("identity;q=0, *", "*"),
    ],
)
def test_other_codings_are_another_variant_rfc9110_12_5_3(one: str | None, other: str) -> None:
    assert _form(one) != _form(other)


@pytest.mark.parametrize(
    ("name", "one", "other", "same"),
    [
        ("Accept-Language", "de, en", "de,en", True),  # RFC 9111 4.1: white space where the syntax lets it be
        ("Accept-Language", "de,en", "en,de", False),
        ("Accept-Language", "de, EN;q=0.5", "De,en;Q=0.5", True),  # RFC 9110 12.5.4: languages have no case
        ("Accept", "a/b;c=D", "a/b;c=d", False),
        ("Cookie", "a=1; b=2", "a=1;b=2", False),
        ("Cookie", "a  b", "a b", True),
        ("X-Any", "a,b", "a, b", False),  # no list that we know of
        ("X-Any", "", None, False),
        ("X-Any", None, None, True),
    ],
)
def test_other_fields_rfc9111_4_1(name: str, one: str | None, other: str | None, same: bool) -> None:
    assert (_form(one, name) == _form(other, name)) is same


def test_lines_of_one_field_are_one_value_rfc9111_4_1() -> None:
    two: Fields = (("Accept", "a/b"), ("X", "y"), ("ACCEPT", "c/d"))
    assert selected(("accept",), two) == selected(("accept",), (("Accept", "a/b, c/d"),))
    assert selected(("accept", "origin"), two)[1] == ("origin", ABSENT)
    assert selected(("x",), (("X", "1"), ("x", "2"))) == selected(("x",), (("X", "1, 2"),))


@pytest.mark.parametrize(
    ("vary", "names"),
    [((), ()), (("B, a",), ("a", "b")), (("a", "A,c"), ("a", "c")), (("a, *",), None), ((" ,",), ())],
)
def test_names_rfc9110_12_5_5(vary: tuple[str, ...], names: tuple[str, ...] | None) -> None:
    assert names_of(tuple(("Vary", value) for value in vary)) == names


def test_a_list_survives_the_store() -> None:
    variants = Variants("g1", (("accept", "x"), ("accept",)))
    meta = to_meta("k", variants, 5.0)
    assert (from_meta(meta), meta.key) == (variants, "k")
    assert from_meta(Meta("k", 200, (), 0.0, 0.0)) is None


def test_a_list_remembers_the_latest_sets_and_is_bounded() -> None:
    variants = Variants("g", ())
    for number in range(10):
        variants = variants.with_set((f"n{number}",))
    assert variants.sets == (("n9",), ("n8",), ("n7",), ("n6",))
    assert len(variants.sets) == MOST_SETS
    assert variants.with_set(("n7",)).sets == (("n7",), ("n9",), ("n8",), ("n6",))


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=20), min_size=2, max_size=2, unique=True))
def test_flights_are_told_apart_and_slots_are_bounded(two: list[str]) -> None:
    variants = Variants("g", (("x-any",),))
    requests = [(("X-Any", value),) for value in two]
    same = len({selected(("x-any",), each) for each in requests}) == 1
    assert (len({flight_key("k", ("x-any",), each) for each in requests}) == 1) is same
    slots = {slot_key("k", variants, ("x-any",), each).removeprefix("k\ng") for each in requests}
    assert all(0 <= int(slot, 16) < SLOTS for slot in slots)


def test_another_generation_is_another_place() -> None:
    first, second = (slot_key("k", Variants(each, (AE,)), AE, ()) for each in ("g1", "g2"))
    assert first != second
    assert flight_key("k", (), ()) == "k"
