"""From a stored (or growing) answer to what this request gets of it: all, a part, several parts, 304, 412 or 416."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

from proxy.http import conditionals, ranges
from proxy.http.conditionals import Validators, Verdict
from proxy.http.fields import Fields, single, values, without
from proxy.http.ranges import Part, Parts, Unsatisfiable, Whole
from proxy.serve.wire import Answer, Sent
from proxy.store.bodies import Body

_NOT_MODIFIED_KEEPS = frozenset(
    {
        "cache-control",
        "cache-groups",
        "cdn-cache-control",
        "content-location",
        "date",
        "etag",
        "expires",
        "last-modified",
        "vary",
    }
)
_OF_THE_WHOLE = ("Content-Digest", "Content-MD5")
"""Digests of a 200's content are wrong beside a part of it (RFC 9530 2)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes `start` to `end` (None: to the end, wherever that is) of the object, behind the bytes of `before`."""

    before: bytes
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Status, fields, and the body: `pieces`, then `after`; `length` bytes in all, None while nobody knows."""

    status: int
    fields: Fields
    length: int | None
    pieces: tuple[Piece, ...] = ()
    after: bytes = b""


def plan(status: int, fields: Fields, validators: Validators, size: int | None, method: str, request: Fields) -> Plan:
    """Preconditions, then Range (RFC 9110 13.2.2), for GET and HEAD of an answer whose body has `size` bytes."""
    if status == 200:
        verdict = conditionals.evaluate(request, validators)
        if verdict is Verdict.NOT_MODIFIED:
            return Plan(304, _for_not_modified(fields), 0)
        if verdict is Verdict.FAILED:
            return Plan(412, _for_error(fields), 0)
        if method == "GET" and size is not None and conditionals.range_applies(request, validators):
            partial = _partial(fields, size, single(request, "Range"))
            if partial is not None:
                return partial
        fields = _ranged(fields)
    return Plan(status, fields, size, (Piece(b"", 0, size),))


def _partial(fields: Fields, size: int, wanted: str | None) -> Plan | None:
    """The plan for a Range field that applies; None when it selects the whole."""
    match ranges.parse_set(wanted, size):
        case Whole():
            return None
        case Unsatisfiable():
            return Plan(416, (*_for_error(fields), ("Content-Range", f"bytes */{size}")), 0)
        case Part(start, end) as part:
            described = (*without(_ranged(fields), _OF_THE_WHOLE), ("Content-Range", part.content_range(size)))
            return Plan(206, described, end - start, (Piece(b"", start, end),))
        case Parts(parts):
            return _multipart(fields, size, parts, secrets.token_hex(16))


def _multipart(fields: Fields, size: int, parts: tuple[Part, ...], boundary: str) -> Plan:
    """multipart/byteranges (RFC 9110 15.3.7.2, 14.6): each part says its type and range, the whole says neither. The
    boundary is drawn anew each time: no body can have it in it on purpose."""
    kind = single(fields, "Content-Type")
    typed = f"Content-Type: {kind}\r\n" if kind else ""
    pieces = tuple(
        Piece(
            f"\r\n--{boundary}\r\n{typed}Content-Range: {part.content_range(size)}\r\n\r\n".encode(
                "latin-1", "replace"
            ),
            part.start,
            part.end,
        )
        for part in parts
    )
    after = f"\r\n--{boundary}--\r\n".encode()
    length = len(after) + sum(len(each.before) for each in pieces) + sum(part.end - part.start for part in parts)
    described = without(_ranged(fields), ("Content-Type", "Content-Range", *_OF_THE_WHOLE))
    return Plan(
        206, (*described, ("Content-Type", f"multipart/byteranges; boundary={boundary}")), length, pieces, after
    )


async def send(answer: Answer, made: Plan, body: Body, method: str, extra: Fields) -> Sent:
    """Put a plan on the wire. kit.errors.UpstreamFailed when a growing body breaks off."""
    await answer.begin(made.status, made.fields + extra, made.length)
    if method != "HEAD" and made.length != 0:
        await answer.body(_bytes_of(made, body))
    return await answer.end()


async def _bytes_of(made: Plan, body: Body) -> AsyncIterator[bytes]:
    for piece in made.pieces:
        if piece.before:
            yield piece.before
        async for data in body.pieces(piece.start, piece.end):
            yield data
    if made.after:
        yield made.after


def _ranged(fields: Fields) -> Fields:
    return fields if values(fields, "Accept-Ranges") else (*fields, ("Accept-Ranges", "bytes"))


def _for_not_modified(fields: Fields) -> Fields:
    return tuple((name, value) for name, value in fields if name.lower() in _NOT_MODIFIED_KEEPS)


def _for_error(fields: Fields) -> Fields:
    """412 and 416 describe no content of the object."""
    return tuple((name, value) for name, value in fields if name.lower() in ("date", "etag", "vary"))
