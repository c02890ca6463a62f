"""Sets of byte ranges (RFC 9110 14), a row a case, and a property: no set costs more than a bound, or lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.conditionals import Validators, range_applies
from proxy.http.ranges import FEW, MOST_RANGES, Part, Parts, Selection, Unsatisfiable, Whole, parse_set
from proxy.serve.deliver import plan

SIZE = 1000


def _parts(*pairs: tuple[int, int]) -> Parts:
    return Parts(tuple(Part(start, end) for start, end in pairs))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Whole()),
        ("bytes=0-9", Part(0, 10)),
        ("bytes=0-9,20-29", _parts((0, 10), (20, 30))),  # 14.1.2
        ("bytes=0-0,-1", _parts((0, 1), (999, 1000))),
        ("bytes=20-29,0-9", _parts((20, 30), (0, 10))),  # 15.3.7.2: in the order asked
        ("bytes=0-9, ,20-29,", _parts((0, 10), (20, 30))),  # 5.6.1: empty members are none
        ("bytes=0-9,5-29", Part(0, 30)),  # 15.3.7.2: overlapping ones are put together
        ("bytes=0-9,10-29", Part(0, 30)),
        ("bytes=500-,0-9,600-700", _parts((500, 1000), (0, 10))),
        ("bytes=0-9,2000-", Part(0, 10)),  # 14.1.2: what is outside is left out; one part is no multipart
        ("bytes=2000-,-0", Unsatisfiable()),
        ("bytes=0-9,x", Whole()),  # 14.1.1: one malformed range spoils the set
        ("bytes=0-9,9-0", Whole()),
        ("bytes=,", Whole()),
        ("lines=0-1,3-4", Whole()),
        ("bytes=0-,0-,0-,0-,0-,0-", Part(0, 1000)),  # the classic attack asks for a byte once
        ("bytes=" + ",".join(f"{n * 10}-{n * 10}" for n in range(20)), Part(0, 191)),  # small gaps of a large set
        ("bytes=" + ",".join(["0-0"] * (MOST_RANGES + 1)), Whole()),
        ("bytes=" + ",".join(f"{n * 190}-{n * 190 + 30}" for n in range(FEW + 1)), _parts(
            *((n * 190, n * 190 + 31) for n in range(FEW + 1)))),
        ("bytes=" + ",".join(f"{n * 140}-{n * 140 + 5}" for n in range(7)), _parts(
            *((n * 140, n * 140 + 6) for n in range(7)))),
    ],
)  # fmt: skip
def test_sets_rfc9110_14_1_2(value: str | None, expected: Selection | Parts) -> None:
    assert parse_set(value, SIZE) == expected


def test_a_large_set_that_costs_more_than_the_object_gets_the_whole_rfc9110_14_2() -> None:
    assert parse_set("bytes=" + ",".join(f"{n * 190}-{n * 190 + 60}" for n in range(6)), 1100) == Whole()


@given(st.lists(st.tuples(st.integers(0, 1100), st.integers(0, 1100)), min_size=1, max_size=80), st.integers(0, 1000))
def test_no_set_asks_for_a_byte_twice_or_for_one_nobody_asked(pairs: list[tuple[int, int]], size: int) -> None:
    wanted = [(first, first + more) for first, more in pairs]
    selected = parse_set("bytes=" + ",".join(f"{first}-{last}" for first, last in wanted), size)
    if isinstance(selected, Whole | Unsatisfiable):
        assert len(wanted) > FEW or isinstance(selected, Unsatisfiable)
        return
    parts = selected.parts if isinstance(selected, Parts) else (selected,)
    sent = [byte for part in parts for byte in range(part.start, part.end)]
    asked = {byte for first, last in wanted for byte in range(first, min(last + 1, size))}
    assert len(sent) == len(set(sent)) <= size
    assert asked <= set(sent)
    if len(wanted) <= FEW:
        assert set(sent) == asked


def test_a_multipart_plan_says_its_exact_length_rfc9110_14_6() -> None:
    made = plan(200, (("Content-Type", "a/b"), ("Content-Digest", "x")), Validators(None, None), 100, "GET",
                (("Range", "bytes=0-9,20-29"),))  # fmt: skip
    data = bytes(range(100))
    body = b"".join(piece.before + data[piece.start : piece.end] for piece in made.pieces) + made.after
    kind = dict(made.fields)["Content-Type"]
    boundary = kind.removeprefix("multipart/byteranges; boundary=").encode()
    assert (made.status, made.length, len(boundary)) == (206, len(body), 32)
    assert not {"Content-Range", "Content-Digest"} & dict(made.fields).keys()
    assert body == b"".join((
        b"\r\n--", boundary, b"\r\nContent-Type: a/b\r\nContent-Range: bytes 0-9/100\r\n\r\n", data[:10],
        b"\r\n--", boundary, b"\r\nContent-Type: a/b\r\nContent-Range: bytes 20-29/100\r\n\r\n", data[20:30],
        b"\r\n--", boundary, b"--\r\n"))  # fmt: skip


def test_head_and_other_statuses_know_no_range_rfc9110_14_2() -> None:
    request = (("Range", "bytes=0-1,5-6"),)
    assert plan(200, (), Validators(None, None), 100, "HEAD", request).status == 200
    assert plan(404, (), Validators(None, None), 100, "GET", request).status == 404


CHANGED = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("sent", "strong"),
    [
        (CHANGED, False),
        ("Sun, 06 Nov 1994 08:49:38 GMT", True),
        ("Sun, 06 Nov 1994 08:49:36 GMT", False),
        ("x", False),
        (None, True),  # an origin's own
    ],
)
def test_a_date_is_strong_a_second_later_rfc9110_8_8_2_2(sent: str | None, strong: bool) -> None:
    assert range_applies((("If-Range", CHANGED),), Validators(None, CHANGED, sent)) is strong
