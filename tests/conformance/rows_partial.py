"""Ranges: parts of what is stored, parts that are stored (RFC 9110 14, 13.1.5, 15.3.7; RFC 9111 3.3, 3.4)."""

from dataclasses import replace
from typing import Any

from tests.conformance.case import Case, Step, differs, optimal, required, row
from tests.conformance.steps import asking, fetched, fresh, hit, says, told, with_method

_HOUR = "Cache-Control: max-age=3600"
_TEN = b"0123456789"
_ELEVEN = b"01234567890"
_SLICED = "Parts are kept under a strong validator only (RFC 9110 15.3.7.3), as the aligned slices that we asked for."


def _part(asked: str, text: bytes, *shows: str, **more: Any) -> Step:
    return hit(f"Range: {asked}", status=206, text=text, shows=shows, **more)


def _whole(*ask: str, body: bytes = _TEN) -> Step:
    return hit(*ask, status=200, text=body, hides=("Content-Range",))


def _unstored(name: str, public: str, again: str, text: bytes) -> Case:
    """The public suite's origin gives one 206, which it says to be of the last five bytes."""
    first = told(_HOUR, "Content-Range: bytes 5-9/10", status=206, body=b"01234")
    return row(
        name,
        "9111 3.4",
        asking(first, "Range: bytes=-5"),
        _part(again, text),
        public=optimal(public),
        differs=differs(_SLICED, "2: fetched, not a hit"),
    )


STORED = (
    row(
        "a range of the whole",
        "9111 4",
        told(_HOUR, body=_ELEVEN),
        _part("bytes=0-1", b"01", "Content-Range: bytes 0-1/11", "Content-Length: 2"),
        public=optimal("partial-store-complete-reuse-partial"),
    ),
    row(
        "a range to the end",
        "9110 14.1.2",
        told(_HOUR, body=_ELEVEN),
        _part("bytes=1-", b"1234567890", "Content-Range: bytes 1-10/11"),
        public=optimal("partial-store-complete-reuse-partial-no-last"),
    ),
    row(
        "a suffix",
        "9110 14.1.2",
        told(_HOUR, body=b"0123456789A"),
        _part("bytes=-1", b"A", "Content-Range: bytes 10-10/11"),
        public=optimal("partial-store-complete-reuse-partial-suffix"),
    ),
    row(
        "the fields of what is stored",
        "9111 3.4",
        told(_HOUR, "A: 1", body=_ELEVEN),
        _part("bytes=0-1", b"01"),
        public=required("partial-use-headers"),
    ),
    row(
        "fields that nobody changed",
        "9111 3.4",
        told(_HOUR, "A: 1", body=_ELEVEN),
        _part("bytes=0-1", b"01", "A: 1"),
        public=required("partial-use-stored-headers"),
    ),
    row(
        "a 206 has what a 200 has",
        "9110 15.3.7",
        fresh('ETag: "a"', "Vary: A", "Content-Location: /x", "Expires: {9}", body=_TEN),
        _part(
            "bytes=0-1",
            b"01",
            'ETag: "a"',
            "Vary: A",
            "Content-Location: /x",
            "Date: {-3}",
            "Cache-Control: max-age=100000",
            "Expires: {6}",
            "Age: 3",
        ),
    ),
    row(
        "past the end", "9110 14.1.2", told(_HOUR, body=_TEN), _part("bytes=8-99", b"89", "Content-Range: bytes 8-9/10")
    ),
    row(
        "a suffix longer than all",
        "9110 14.1.2",
        told(_HOUR, body=_TEN),
        _part("bytes=-99", _TEN, "Content-Range: bytes 0-9/10"),
    ),
    row(
        "outside",
        "9110 15.5.17",
        told(_HOUR, body=_TEN),
        hit("Range: bytes=10-", status=416, text=b"", shows=("Content-Range: bytes */10",)),
        hit("Range: bytes=-0", status=416),
    ),
    row("another unit", "9110 14.2", told(_HOUR, body=_TEN), _whole("Range: items=0-1")),
    row("case of the unit", "9110 14.1", told(_HOUR, body=_TEN), _part("Bytes=0-1", b"01")),
    row(
        "malformed",
        "9110 14.2",
        told(_HOUR, body=_TEN),
        _whole("Range: bytes=1-0"),
        _whole("Range: bytes=a-b"),
        _whole("Range: bytes=-"),
        _whole("Range: bytes"),
        _whole("Range: bytes=0-1,x"),
    ),
    row(
        "several, put together",
        "9110 15.3.7.2",
        told(_HOUR, body=_TEN),
        _part("bytes=0-1,2-3", b"0123", "Content-Range: bytes 0-3/10"),
    ),
    row(
        "several, one outside",
        "9110 14.1.2",
        told(_HOUR, body=_TEN),
        _part("bytes=0-1,20-", b"01", "Content-Range: bytes 0-1/10"),
    ),
    row("several, all outside", "9110 15.5.17", told(_HOUR, body=_TEN), hit("Range: bytes=20-,30-", status=416)),
    row("too many", "9110 17.15", told(_HOUR, body=_TEN), _whole("Range: bytes=" + ",".join(["0-0"] * 65))),
    row(
        "HEAD has no ranges",
        "9110 14.2",
        told(_HOUR, body=_TEN),
        with_method(
            "HEAD", hit("Range: bytes=0-1", status=200, shows=("Content-Length: 10",), hides=("Content-Range",))
        ),
    ),
    row(
        "only a 200 has ranges",
        "9110 14.2",
        told(_HOUR, status=404, body=_TEN),
        hit("Range: bytes=0-1", status=404, hides=("Content-Range",)),
    ),
    row(
        "conditions before ranges",
        "9110 13.2.2",
        told(_HOUR, 'ETag: "a"', body=_TEN),
        hit("Range: bytes=0-1", 'If-None-Match: "a"', status=304),
    ),
    row("Accept-Ranges is said", "9110 14.3", told(_HOUR), hit(shows=("Accept-Ranges: bytes",))),
    row(
        "Accept-Ranges of the origin stays",
        "9110 14.3",
        told(_HOUR, "Accept-Ranges: none"),
        hit(shows=("Accept-Ranges: none",)),
    ),
    row(
        "a digest of the whole is not of a part",
        "9530 2",
        told(_HOUR, "Content-MD5: x", "Content-Digest: sha-256=:YQ==:", body=_TEN),
        hit("Range: bytes=0-1", status=206, text=b"01", hides=("Content-MD5", "Content-Digest")),
    ),
)

_TAGGED = told(_HOUR, 'ETag: "a"', "Last-Modified: {-100}", "Date: {0}", body=_TEN)

IF_RANGE = (
    row(
        "If-Range with our tag",
        "9110 13.1.5",
        _TAGGED,
        hit("Range: bytes=0-1", 'If-Range: "a"', status=206, text=b"01"),
    ),
    row("If-Range with another tag", "9110 13.1.5", _TAGGED, _whole("Range: bytes=0-1", 'If-Range: "b"')),
    row(
        "If-Range with a weak tag",
        "9110 13.1.5",
        told(_HOUR, 'ETag: W/"a"', body=_TEN),
        _whole("Range: bytes=0-1", 'If-Range: W/"a"'),
    ),
    row("If-Range with the weak form", "9110 13.1.5", _TAGGED, _whole("Range: bytes=0-1", 'If-Range: W/"a"')),
    row(
        "If-Range with the date",
        "9110 13.1.5",
        _TAGGED,
        hit("Range: bytes=0-1", "If-Range: {-100}", status=206, text=b"01"),
    ),
    row("If-Range with a later date", "9110 13.1.5", _TAGGED, _whole("Range: bytes=0-1", "If-Range: {-99}")),
    row(
        "If-Range with a weak date",
        "9110 8.8.2.2",
        told(_HOUR, "Last-Modified: {0}", "Date: {0}", body=_TEN),
        _whole("Range: bytes=0-1", "If-Range: {0}"),
    ),
    row("If-Range before what is outside", "9110 13.1.5", _TAGGED, _whole("Range: bytes=20-", 'If-Range: "b"')),
    row("If-Range without Range", "9110 13.1.5", _TAGGED, _whole('If-Range: "a"')),
)

_ALL_FIELDS = (
    "A 206 to If-Range has all fields of the 200: players read the type, and what a viewer has may come from elsewhere."
)
_STRONG = (_HOUR, 'ETag: "a"')

PARTS = (
    _unstored("a 206 again", "partial-store-partial-reuse-partial", "bytes=-5", b"01234"),
    _unstored("a part of a 206", "partial-store-partial-reuse-partial-byterange", "bytes=6-8", b"123"),
    _unstored("a part of a 206 to its end", "partial-store-partial-reuse-partial-absent", "bytes=6-", b"1234"),
    _unstored("a suffix of a 206", "partial-store-partial-reuse-partial-suffix", "bytes=-1", b"4"),
    row(
        "a 206 is completed",
        "9111 3.4",
        asking(told(_HOUR, "Content-Range: bytes 0-4/10", status=206, body=b"01234"), "Range: bytes=-5"),
        fetched(sends=("Range: bytes=5-",)),
        public=optimal("partial-store-partial-complete"),
        differs=differs(_SLICED, "2: the request has Range [], not bytes=5-"),
    ),
    row(
        "the slice that holds a range is kept",
        "9111 3.4",
        asking(
            told(
                *_STRONG,
                "Content-Range: bytes 0-9/10",
                status=206,
                body=_TEN,
                text=b"345",
                shows=("Content-Range: bytes 3-5/10",),
            ),
            "Range: bytes=3-5",
        ),
        hit("Range: bytes=6-", status=206, text=b"6789"),
        hit(status=200, text=_TEN),
    ),
    row(
        "a 206 without a validator is passed on",
        "9111 3.4",
        asking(told(_HOUR, "Content-Range: bytes 0-1/10", status=206, body=b"01"), "Range: bytes=0-1"),
        fetched(says=says(_HOUR)),
    ),
    row(
        "a 206 that nobody asked for is passed on",
        "9111 3.3",
        told(_HOUR, "Content-Range: bytes 0-1/10", status=206, body=b"01"),
        fetched(),
    ),
)

FIRST = (
    row(
        "a range of what is not stored",
        "9110 14.2",
        asking(replace(told(_HOUR, body=_TEN), status=206, text=b"01"), "Range: bytes=0-1"),
        hit(text=_TEN),
    ),
    row(
        "the tag of what is not stored",
        "9110 13.1.2",
        asking(replace(told(_HOUR, 'ETag: "a"', body=_TEN), status=304, text=b""), 'If-None-Match: "a"'),
        hit(text=_TEN),
    ),
    row(
        "another tag than that of what is not stored",
        "9110 13.1.2",
        asking(told(_HOUR, 'ETag: "a"', body=_TEN), 'If-None-Match: "b"'),
        hit(text=_TEN),
    ),
    row(
        "If-Range that matches: no other fields",
        "9110 15.3.7",
        told(_HOUR, 'ETag: "a"', "Content-Type: text/plain", body=_TEN),
        hit("Range: bytes=0-1", 'If-Range: "a"', status=206, text=b"01", hides=("Content-Type",)),
        differs=differs(_ALL_FIELDS, "2: the answer has Content-Type"),
    ),
)

ROWS = (*STORED, *IF_RANGE, *PARTS, *FIRST)
