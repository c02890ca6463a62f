"""The pure part of slices, a row a case: which slices, which runs, and what an answer to a run is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.conditionals import Validators
from proxy.http.content_range import ContentRange, content_range, unsatisfied_total
from proxy.http.digests import stated_sha256
from proxy.http.fields import Fields
from proxy.http.ranges import Part
from proxy.rules.slicing import MOST, Grid, Verdict, conditions, first_part, judge, runs, strong_validator

S = 1000
DATE, LATER = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 0-9/10", ContentRange(0, 10, 10)),  # RFC 9110 14.4
        ("Bytes 5-5/10", ContentRange(5, 6, 10)),  # 14.1: units are compared without case
        ("bytes 0-9/*", None),  # a total that nobody knows places no slice
        ("bytes */10", None),
        ("bytes 5-4/10", None),  # 14.4: invalid
        ("bytes 0-10/10", None),
        ("bytes=0-9/10", None),
        ("bytes 0-9/10, bytes 0-9/10", None),
        ("bytes  0-9/10", None),
        ("bytes 0-9/10 ", None),
        ("bytes -9/10", None),
        ("bytes 0-9/+10", None),
        ("bytes 0-٩/10", None),
        ("lines 0-9/10", None),
        ("bytes 0-9/" + "9" * 19, None),
        ("", None),
    ],
)
def test_content_range(value: str, expected: ContentRange | None) -> None:
    assert content_range((("Content-Range", value),)) == expected


def test_content_range_stands_once() -> None:
    assert content_range(()) is None
    assert content_range((("Content-Range", "bytes 0-1/9"), ("Content-Range", "bytes 0-2/9"))) is None


@pytest.mark.parametrize(("value", "total"), [("bytes */10", 10), ("bytes */*", None), ("bytes 0-9/10", None)])
def test_the_size_in_a_416(value: str, total: int | None) -> None:
    """RFC 9110 15.5.17."""
    assert unsatisfied_total((("Content-Range", value),)) == total


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("bytes=0-", None),  # reads it all: the whole
        ("bytes=0-0", Part(0, S)),
        ("bytes=999-1000", Part(0, 2 * S)),
        ("bytes=1000-1999", Part(S, 2 * S)),
        ("bytes=5500-", Part(5 * S, (5 + MOST) * S)),
        ("bytes=1-", Part(0, MOST * S)),
        ("bytes=0-99999", Part(0, MOST * S)),
        ("bytes=-5", Part(0, S)),  # where it begins only the size tells
        ("bytes=-0", None),
        ("bytes=9-5", None),
        ("bytes=-", None),
        ("bytes=0-9,20-29", None),
        ("lines=5-9", None),
        ("bytes=5-x", None),
    ],
)
def test_the_first_slices_of_what_is_not_known_yet(value: str | None, expected: Part | None) -> None:
    assert first_part(value, S) == expected


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ([], []),
        ([3], [range(3, 4)]),
        ([0, 1, 2, 5, 7, 8], [range(3), range(5, 6), range(7, 9)]),
        (list(range(10)), [range(4), range(4, 8), range(8, 10)]),
    ],
)
def test_runs_of_neighbours(missing: list[int], expected: list[range]) -> None:
    assert list(runs(missing, most=4)) == expected


@given(st.sets(st.integers(0, 60)), st.integers(1, 9))
def test_runs_hold_every_missing_slice_once(missing: set[int], most: int) -> None:
    found = list(runs(sorted(missing), most))
    assert [index for run in found for index in run] == sorted(missing)
    assert all(1 <= len(run) <= most for run in found)


@given(st.integers(1, 10_000), st.integers(1, 3_000), st.data())
def test_a_grid_covers_the_object_once(length: int, size: int, data: st.DataObject) -> None:
    grid = Grid(length, size)
    extents = [grid.extent(index) for index in range(grid.count)]
    assert [start for start, _ in extents] + [length] == [0] + [end for _, end in extents]
    start = data.draw(st.integers(0, length - 1))
    end = data.draw(st.integers(start + 1, length + 5))
    over = grid.over(start, end)
    assert over == range(grid.index(start), grid.index(min(end, length) - 1) + 1)


@pytest.mark.parametrize(
    ("etag", "changed", "date", "expected"),
    [
        ('"a"', None, DATE, '"a"'),
        ('W/"a"', None, DATE, None),  # RFC 9110 8.8.1
        (None, DATE, DATE, None),  # 8.8.2.2: it may have changed again within the second
        (None, DATE, LATER, DATE),
        ('W/"a"', DATE, LATER, DATE),
        (None, "yesterday", LATER, None),
        (None, None, LATER, None),
    ],
)
def test_strong_validators(etag: str | None, changed: str | None, date: str, expected: str | None) -> None:
    validators = Validators(etag, changed, date)
    assert strong_validator(validators) == expected
    name = "If-Match" if etag == expected else "If-Unmodified-Since"
    assert conditions(validators) == (((name, expected),) if expected else ())


TAG = ("ETag", '"a"')
GOOD = ("Content-Range", "bytes 1000-1999/5000")


@pytest.mark.parametrize(
    ("status", "fields", "length", "verdict"),
    [
        (206, (TAG, GOOD), 1000, Verdict.SAME),
        (206, (TAG, GOOD), None, Verdict.SAME),
        (206, (GOOD,), 1000, Verdict.CHANGED),  # RFC 9110 15.3.7.3: no validator, no combining
        (206, (("ETag", '"b"'), GOOD), 1000, Verdict.CHANGED),
        (206, (("ETag", 'W/"a"'), GOOD), 1000, Verdict.CHANGED),
        (206, (TAG, ("Content-Range", "bytes 1000-1999/5001")), 1000, Verdict.CHANGED),
        (206, (TAG, ("Content-Range", "bytes 999-1998/5000")), 1000, Verdict.LIES),
        (206, (TAG, ("Content-Range", "bytes 1000-1998/5000")), 999, Verdict.LIES),
        (206, (TAG, GOOD), 999, Verdict.LIES),
        (206, (TAG,), 1000, Verdict.LIES),
        (200, (TAG,), 5000, Verdict.LIES),
        (200, (("ETag", '"b"'),), 5000, Verdict.CHANGED),
        (412, (), 0, Verdict.CHANGED),
        (416, (), 0, Verdict.CHANGED),
        (404, (), 0, Verdict.CHANGED),
        (301, (), 0, Verdict.CHANGED),
        (401, (), 0, Verdict.FORBIDDEN),
        (429, (), 0, Verdict.FORBIDDEN),
        (503, (), 0, Verdict.FAILED),
    ],
)
def test_the_answer_to_a_run(status: int, fields: Fields, length: int | None, verdict: Verdict) -> None:
    assert judge(status, fields, length, Part(1000, 2000), 5000, Validators('"a"', DATE, LATER)) is verdict


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ((("Last-Modified", DATE), GOOD), Verdict.SAME),
        ((("Last-Modified", LATER), GOOD), Verdict.CHANGED),
        ((("Last-Modified", DATE), TAG, GOOD), Verdict.CHANGED),
        ((GOOD,), Verdict.CHANGED),
    ],
)
def test_the_answer_to_a_run_by_date(fields: Fields, verdict: Verdict) -> None:
    assert judge(206, fields, 1000, Part(1000, 2000), 5000, Validators(None, DATE, LATER)) is verdict


@pytest.mark.parametrize(
    ("value", "expected"),
    [("sha-256=:AAEC:", b"\0\1\2"), ("sha-512=:AAEC:, sha-256=:AAED:", b"\0\1\3"), ("sha-256=:AAE:", b""), ("", None)],
)
def test_repr_digest(value: str, expected: bytes | None) -> None:
    """RFC 9530 3; what is no base64 is no digest of anything."""
    assert stated_sha256((("Repr-Digest", value),)) == expected
