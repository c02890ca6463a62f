"""proxy.http: a row a case, each with its section."""

import pytest

from kit.errors import BadRequest
from proxy.http import cache_control, cache_status, conditionals, dates, fields, ranges, target
from proxy.http.cache_status import Forward
from proxy.http.conditionals import Validators, Verdict
from proxy.http.ranges import Part, Unsatisfiable, Whole
from proxy.serve.classes import class_of

WHEN = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 5.6.7


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", WHEN),
        ("Sunday, 06-Nov-94 08:49:37 GMT", WHEN),
        ("Sun Nov  6 08:49:37 1994", WHEN),
        ("Sun, 29 Feb 2032 00:00:00 GMT", 1961625600.0),
        ("Tuesday, 01-Jan-30 00:00:00 GMT", 1893456000.0),  # 5.6.7: less than 50 years ahead
        ("Sun, 06 Nov 1994 08:49:60 GMT", WHEN + 23),  # a leap second
        ("SUN, 06 nov 1994 08:49:37 gmt", WHEN),  # RFC 9111 4.2: a cache does not mind the case
        ("sunday, 06-NOV-94 08:49:37 GMT", WHEN),
        ("sun nOV  6 08:49:37 1994", WHEN),
        ("Sun, 29 Feb 2031 00:00:00 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 00 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT ", None),
        ("Sun, 0٦ Nov 1994 08:49:37 GMT", None),
        ("0", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_rfc9110_5_6_7(text: str | None, seconds: float | None) -> None:
    assert dates.parse(text) == seconds
    assert seconds is None or dates.parse(dates.render(seconds)) == seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ("", []),
        ("a", ["a"]),
        (" a , b ,, c ", ["a", "b", "c"]),  # RFC 9110 5.6.1.2: empty members are ignored
        ('"a,b", c', ['"a,b"', "c"]),
        ('"a\\",b", c', ['"a\\",b"', "c"]),
        ('"open, never closed', ['"open, never closed']),
    ],
)
def test_lists_rfc9110_5_6_1(value: str | None, expected: list[str]) -> None:
    assert fields.members(value) == expected


def test_combined_and_single_rfc9110_5_3() -> None:
    given = (("A", "1"), ("a", "2"), ("B", "x"), ("b", "x"))
    assert fields.combined(given, "a") == "1, 2"
    assert fields.combined(given, "c") is None
    assert fields.single(given, "a") is None, "two values of a field that may stand once say nothing"
    assert fields.single(given, "B") == "x"


def test_end_to_end_rfc9110_7_6_1() -> None:
    given = (
        ("Connection", "close, X-Mine"),
        ("Keep-Alive", "1"),
        ("TE", "trailers"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("Proxy-Connection", "x"),
        ("x-mine", "1"),
        ("Kept", "1"),
    )
    assert fields.end_to_end(given) == (("Kept", "1"),)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {}),
        ("max-age=10", {"max-age": "10"}),
        ("MAX-AGE=10, No-Store", {"max-age": "10", "no-store": None}),  # RFC 9111 5.2: names without case
        ('max-age="10"', {"max-age": "10"}),  # RFC 9111 5.2: both forms
        ("max-age=1, max-age=2", {"max-age": "1"}),  # RFC 9111 4.2.1
        ('private="a, b", max-age=5', {"private": "a, b", "max-age": "5"}),
        ("max-age", {"max-age": None}),
        ("=5", {"": "5"}),
    ],
)
def test_cache_control_rfc9111_5_2(value: str | None, expected: dict[str, str | None]) -> None:
    assert cache_control.parse(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("max-age=10", 10),
        ("max-age=0", 0),
        ("max-age=99999999999", 2**31),  # RFC 9111 1.2.2
        ("max-age=" + "9" * 500, 2**31),
        ("max-age=-1", 0),
        ("max-age=1.5", 0),
        ("max-age=x", 0),
        ("max-age", 0),
        ("max-age=١", 0),
        ("public", None),
    ],
)
def test_delta_seconds_rfc9111_1_2_2(value: str, expected: int | None) -> None:
    assert cache_control.seconds(cache_control.parse(value), "max-age") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Whole()),
        ("bytes=0-9", Part(0, 10)),
        ("bytes=0-0", Part(0, 1)),
        ("bytes=90-", Part(90, 100)),
        ("bytes=90-1000", Part(90, 100)),
        ("bytes=-10", Part(90, 100)),
        ("bytes=-1000", Part(0, 100)),
        ("BYTES=0-9", Part(0, 10)),  # 14.1: range units without case
        ("bytes= 0-9 ", Part(0, 10)),
        ("bytes=,0-9,", Part(0, 10)),
        ("bytes=100-", Unsatisfiable()),
        ("bytes=-0", Unsatisfiable()),
        ("bytes=9-0", Whole()),  # 14.1.1: invalid, so ignored
        ("bytes=-", Whole()),
        ("bytes=a-b", Whole()),
        ("bytes=0-9,20-29", Whole()),  # 14.2: a server may answer a set with the whole
        ("bytes", Whole()),
        ("lines=0-9", Whole()),  # 14.2: an unknown unit is ignored
        ("bytes=١-٢", Whole()),
        ("bytes=" + "9" * 30 + "-", Whole()),
    ],
)
def test_ranges_rfc9110_14(value: str | None, expected: ranges.Selection) -> None:
    assert ranges.parse_range(value, 100) == expected


def test_ranges_of_nothing_rfc9110_14_1_2() -> None:
    assert ranges.parse_range("bytes=0-", 0) == Unsatisfiable()
    assert ranges.parse_range("bytes=-5", 0) == Unsatisfiable()
    assert Part(5, 10).content_range(100) == "bytes 5-9/100"


OLD, CHANGED, NEW = (f"Sun, 0{day} Nov 1994 08:49:37 GMT" for day in (4, 6, 8))
SEND, NOT_MODIFIED, FAILED = Verdict.SEND, Verdict.NOT_MODIFIED, Verdict.FAILED


@pytest.mark.parametrize(
    ("request_fields", "verdict"),
    [
        ((), SEND),
        ((("If-None-Match", '"v"'),), NOT_MODIFIED),  # 13.1.2
        ((("If-None-Match", 'W/"v"'),), NOT_MODIFIED),  # weak comparison
        ((("If-None-Match", '"a", "v"'),), NOT_MODIFIED),
        ((("If-None-Match", '"a"'), ("If-None-Match", '"v"')), NOT_MODIFIED),
        ((("If-None-Match", "*"),), NOT_MODIFIED),
        ((("If-None-Match", '"a"'),), SEND),
        ((("If-None-Match", '"a"'), ("If-Modified-Since", NEW)), SEND),  # 13.1.3: the date is ignored then
        ((("If-Modified-Since", CHANGED),), NOT_MODIFIED),  # 13.1.3
        ((("If-Modified-Since", NEW),), NOT_MODIFIED),
        ((("If-Modified-Since", OLD),), SEND),
        ((("If-Modified-Since", "yesterday"),), SEND),  # no date: ignored
        ((("If-Match", '"v"'),), SEND),  # 13.1.1
        ((("If-Match", "*"),), SEND),
        ((("If-Match", 'W/"v"'),), FAILED),  # strong comparison
        ((("If-Match", '"a"'),), FAILED),
        ((("If-Match", '"v"'), ("If-None-Match", '"v"')), NOT_MODIFIED),  # 13.2.2: in this order
        ((("If-Match", '"v"'), ("If-Unmodified-Since", OLD)), SEND),  # 13.1.4: the date is ignored then
        ((("If-Unmodified-Since", OLD),), FAILED),
        ((("If-Unmodified-Since", CHANGED),), SEND),
    ],
)
def test_preconditions_rfc9110_13(request_fields: fields.Fields, verdict: Verdict) -> None:
    assert conditionals.evaluate(request_fields, Validators('"v"', CHANGED)) is verdict


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since"])
def test_dates_mean_nothing_without_last_modified_rfc9110_13_1(name: str) -> None:
    assert conditionals.evaluate(((name, OLD),), Validators('"v"', None)) is SEND


@pytest.mark.parametrize(
    ("value", "applies"),
    [
        (None, True),
        ('"v"', True),
        ('W/"v"', False),
        ('"a"', False),
        (CHANGED, True),
        (NEW, False),  # 13.1.5: an exact match
        ("junk", False),
    ],
)
def test_if_range_rfc9110_13_1_5(value: str | None, applies: bool) -> None:
    given = () if value is None else (("If-Range", value),)
    assert conditionals.range_applies(given, Validators('"v"', CHANGED)) is applies


def test_if_range_that_stands_twice_or_meets_a_weak_tag_does_not_apply() -> None:
    assert not conditionals.range_applies((("If-Range", '"v"'), ("If-Range", '"a"')), Validators('"v"', None))
    assert not conditionals.range_applies((("If-Range", 'W/"v"'),), Validators('W/"v"', None))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "a",
        "http://h/a",
        "//" + "a" * 8000,
        "/a b",
        "/a\x00",
        "/é",
        "/a#b",
        "/%4",
        "/%zz",
        "/..",
        "/a/../..",
        "/%2e%2E/a",
        "/a/..%2f../%2e./../x/../../..",
    ],
)
def test_targets_that_are_refused_rfc9112_3_2(text: str) -> None:
    with pytest.raises(BadRequest):
        target.check(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/", ("/", "")),
        ("/a?b?c", ("/a", "b?c")),
        ("/a?%zz", ("/a", "%zz")),  # a query is the origin's own
        ("/a/../b", ("/a/../b", "")),
        ("/a%2fb", ("/a%2fb", "")),
        ("//a", ("//a", "")),
    ],
)
def test_targets_that_pass_as_they_are_rfc9112_3_2_1(text: str, expected: tuple[str, str]) -> None:
    assert target.check(text) == expected


@pytest.mark.parametrize(
    "path", ["/a/./b", "/a/../b", "/a/..", "//a", "/a//b", "/%2e/a", "/a%2Fb", "/a%5cb", "/%00", "/a;b", "/\\a"]
)
def test_paths_that_two_servers_could_read_differently_rfc3986_6(path: str) -> None:
    with pytest.raises(BadRequest):
        target.check_plain(path)


def test_plain_paths_pass_rfc3986_3_3() -> None:
    target.check_plain("/content/a-b/v1/seg.1.m4s")
    target.check_plain("/a...b/%20")


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (cache_status.hit("edge", 9.9), "edge; hit; ttl=9"),  # RFC 9211 2.1, 2.5
        (cache_status.hit("edge", -3.0, detail="error"), "edge; hit; ttl=-3; detail=error"),
        (cache_status.forwarded("edge", Forward.URI_MISS), "edge; fwd=uri-miss"),
        (
            cache_status.forwarded("edge", Forward.STALE, status=304, collapsed=True),
            "edge; fwd=stale; fwd-status=304; collapsed",
        ),
        (
            cache_status.forwarded("edge", Forward.VARY_MISS, status=200, stored=True, detail="x"),
            "edge; fwd=vary-miss; fwd-status=200; stored; detail=x",
        ),
        (cache_status.hit("1edge", 1), '"1edge"; hit; ttl=1'),  # RFC 8941 3.3.4: a token begins with a letter
    ],
)
def test_cache_status_rfc9211(member: str, expected: str) -> None:
    assert member == expected


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("application/vnd.apple.mpegurl", "playlist"),
        ("Application/DASH+xml; charset=utf-8", "playlist"),
        ("audio/mpegurl", "playlist"),
        ("video/mp4", "video"),
        ("audio/mp4;codecs=mp4a", "audio"),
        ("text/vtt", "text"),
        ("image/jpeg", "image"),
        ("application/json", "other"),
        ("videox/mp4", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_the_class_of_an_answer_is_its_media_type(value: str | None, word: str) -> None:
    """Issue 3 part 5: hits by class; a closed set, whatever an origin says."""
    assert class_of(value) == word
