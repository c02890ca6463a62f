"""Byte ranges (RFC 9110 14): one range, or a set of them with bounds on what a set may ask."""

import re
from dataclasses import dataclass

FEW = 4
"""So many ranges are served as they were asked. A larger set is put together where its gaps are small."""
MOST_RANGES = 64
"""A larger set is no honest player's: it gets the whole (RFC 9110 14.2 allows it, 17.15 asks for a bound)."""
OVERHEAD = 128
"""Bytes that a part of a multipart answer costs; a smaller gap is cheaper sent than left out (RFC 9110 15.3.7.2)."""

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
class Parts:
    """Two or more parts that do not overlap, in the order in which they were asked for."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """Valid, but outside the object: 416."""


Selection = Whole | Part | Unsatisfiable


def parse_range(value: str | None, size: int) -> Selection:
    """What a Range field selects of `size` bytes, for a server that answers a set of several with the whole (RFC 9110
    14.2 allows it). Unknown units and malformed sets are ignored."""
    specs = _specs(value)
    return _one(specs[0], size) if specs is not None and len(specs) == 1 else Whole()


def parse_set(value: str | None, size: int) -> Selection | Parts:
    """What a Range field selects of `size` bytes, several ranges included.

    Overlapping and touching ranges are put together (RFC 9110 15.3.7.2), so that no byte is sent twice; so are those
    of a large set with small gaps. One malformed range spoils the set; those outside the object are left out, and
    nothing left means Unsatisfiable (14.1.1, 14.1.2). A set that would cost more than the object gets the whole.
    """
    specs = _specs(value)
    if specs is None or len(specs) > MOST_RANGES:
        return Whole()
    selected = [_one(spec, size) for spec in specs]
    if any(isinstance(each, Whole) for each in selected):
        return Whole()
    parts = [each for each in selected if isinstance(each, Part)]
    if not parts:
        return Unsatisfiable()
    return _judged(_coalesced(parts, gap=OVERHEAD if len(parts) > FEW else 0), len(parts), size)


def _judged(parts: tuple[Part, ...], asked: int, size: int) -> Selection | Parts:
    if len(parts) == 1:
        return parts[0]
    if asked > FEW and sum(part.end - part.start + OVERHEAD for part in parts) >= size:
        return Whole()
    return Parts(parts)


def _specs(value: str | None) -> list[str] | None:
    """The members of a set of byte ranges; None for another unit, or no set at all."""
    match = _BYTES.fullmatch(value.strip()) if value else None
    if not match:
        return None
    return [each.strip() for each in match[1].split(",") if each.strip()] or None


def _one(text: str, size: int) -> Selection:
    """One range; Whole when it is malformed."""
    spec = _SPEC.fullmatch(text)
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


def _coalesced(parts: list[Part], *, gap: int) -> tuple[Part, ...]:
    """Parts that overlap, touch or are at most `gap` apart put together; each stands where its first member stood."""
    merged: list[tuple[int, Part]] = []
    for place, part in sorted(enumerate(parts), key=lambda each: each[1].start):
        before = merged[-1] if merged else None
        if before is not None and part.start <= before[1].end + gap:
            joined = Part(before[1].start, max(before[1].end, part.end))
            merged[-1] = (min(before[0], place), joined)
        else:
            merged.append((place, part))
    return tuple(part for _, part in sorted(merged, key=lambda each: each[0]))
