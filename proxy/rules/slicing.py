"""Aligned slices of an object: which ones a range needs, which to ask for, and whether an answer belongs to it.

A slice is an extent of the object's representation; all have one size but the last. Slices are put together only under
a strong validator (RFC 9110 15.3.7.3, RFC 9111 3.4).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from proxy.http.conditionals import Validators, range_applies
from proxy.http.content_range import content_range
from proxy.http.fields import Fields, single
from proxy.http.ranges import Part

MOST = 8
"""Slices of one request upstream at most: what a viewer who left can cost."""

_ONE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)
_OF_THE_ASKER = frozenset({401, 403, 407, 408, 425, 429})
"""Refusals that say nothing of the object."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The slices of an object of `length` bytes, numbered from 0."""

    length: int
    size: int

    @property
    def count(self) -> int:
        """Slices in all."""
        return -(-self.length // self.size)

    def index(self, at: int) -> int:
        """The slice that holds the byte at `at`."""
        return at // self.size

    def extent(self, index: int) -> tuple[int, int]:
        """First byte and end (exclusive) of a slice."""
        return index * self.size, min((index + 1) * self.size, self.length)

    def over(self, start: int, end: int) -> range:
        """The slices that hold bytes `start` to `end` (exclusive)."""
        return range(start // self.size, -(-min(end, self.length) // self.size))


def first_part(value: str | None, size: int) -> Part | None:
    """What to ask of an object that is not known yet, for a Range field; None where the whole is to be asked for: no
    range, several, one that is malformed or `bytes=0-`, which reads it all.

    Where a suffix begins only the size can tell: the first slice comes with it.
    """
    match = _ONE.fullmatch(value.strip()) if value else None
    if not match or match[1] == match[2] == "":
        return None
    if not match[1]:
        return Part(0, size) if int(match[2]) else None
    start = int(match[1])
    if int(match[2]) < start if match[2] else start == 0:
        return None
    first = start // size
    last = min(int(match[2]) // size, first + MOST - 1) if match[2] else first + MOST - 1
    return Part(first * size, (last + 1) * size)


def runs(missing: Iterable[int], most: int = MOST) -> Iterator[range]:
    """Ascending slices in runs of neighbours, `most` in each at most."""
    run = range(0)
    for index in missing:
        if run and index == run.stop and len(run) < most:
            run = range(run.start, index + 1)
            continue
        if run:
            yield run
        run = range(index, index + 1)
    if run:
        yield run


def strong_validator(validators: Validators) -> str | None:
    """The validator under which slices may be put together; None when there is none: what would do for If-Range."""
    for value in (validators.etag, validators.last_modified):
        if value is not None and range_applies((("If-Range", value),), validators):
            return value
    return None


def conditions(validators: Validators) -> Fields:
    """What a request for more slices of the same version carries: another version then costs no body (412)."""
    value = strong_validator(validators)
    if value is None:
        return ()
    return (("If-Match" if value == validators.etag else "If-Unmodified-Since", value),)


class Verdict(Enum):
    """What an answer to a request for further slices is."""

    SAME = auto()
    """The bytes asked for, of the version that is stored."""
    CHANGED = auto()
    """Another version, or none any more."""
    LIES = auto()
    """It is not what was asked for: this upstream cannot be asked for slices."""
    FORBIDDEN = auto()
    """A refusal that is about who asked."""
    FAILED = auto()
    """No answer about the object."""


def judge(status: int, response: Fields, length: int | None, asked: Part, total: int, stored: Validators) -> Verdict:
    """The verdict on an answer to a request for the bytes `asked` of an object of `total` bytes; `length` is the
    announced one of its body, None where it is chunked."""
    if status in _OF_THE_ASKER:
        return Verdict.FORBIDDEN
    if status != 206:
        return Verdict.FAILED if status >= 500 else _other(status, response, stored)
    found = content_range(response)
    if found is None:
        return Verdict.LIES
    if found.total != total or not _same_version(response, stored):
        return Verdict.CHANGED
    if (found.start, found.end) != (asked.start, asked.end) or length not in (None, asked.end - asked.start):
        return Verdict.LIES
    return Verdict.SAME


def _other(status: int, response: Fields, stored: Validators) -> Verdict:
    """An answer without a part: a 200 of the very version that is stored means that ranges are not served."""
    return Verdict.LIES if status == 200 and _same_version(response, stored) else Verdict.CHANGED


def _same_version(response: Fields, stored: Validators) -> bool:
    """A weak tag decides nothing for itself, but another one says that something changed."""
    if single(response, "ETag") != stored.etag:
        return False
    by_tag = strong_validator(stored) == stored.etag
    return by_tag or single(response, "Last-Modified") == stored.last_modified
