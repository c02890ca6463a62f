"""Byte ranges (RFC 9110 14). One range is served; a set of several is answered with the whole, as 14.2 allows."""

import re
from dataclasses import dataclass

_BYTES = re.compile(r"bytes=(.*)", re.IGNORECASE | re.DOTALL)
_SPEC = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Whole:
    """No range applies: answer 200 with everything."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `end`, end exclusive; never empty."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        """The Content-Range value (RFC 9110 14.4)."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """Valid, but outside the object: 416."""


Selection = Whole | Part | Unsatisfiable


def parse_range(value: str | None, size: int) -> Selection:
    """What a Range field selects of `size` bytes. Unknown units and malformed sets are ignored (RFC 9110 14.2)."""
    match = _BYTES.fullmatch(value.strip()) if value else None
    if not match:
        return Whole()
    specs = [each.strip() for each in match[1].split(",") if each.strip()]
    if len(specs) != 1:
        return Whole()
    spec = _SPEC.fullmatch(specs[0])
    if not spec or spec[0] == "-":
        return Whole()
    first, last = spec[1], spec[2]
    if not first:
        return _suffix(int(last), size)
    if last and int(last) < int(first):
        return Whole()
    if int(first) >= size:
        return Unsatisfiable()
    return Part(int(first), min(int(last) + 1, size) if last else size)


def _suffix(length: int, size: int) -> Selection:
    if length == 0 or size == 0:
        return Unsatisfiable()
    return Part(max(0, size - length), size)
