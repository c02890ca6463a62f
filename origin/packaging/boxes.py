"""A small walker of ISO BMFF boxes (ISO/IEC 14496-12). Sizes are checked: a box never reaches out of its parent."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

# Bytes between a box's header and its children, where there are any.
_SKIP = {"stsd": 8, "avc1": 78, "hvc1": 78, "mp4a": 28, "meta": 4}


@dataclass(frozen=True, slots=True)
class Box:
    """One box; `start` and `end` bound its payload in the bytes that were walked."""

    kind: str
    start: int
    end: int


def walk(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes of one level. ValueError where they do not fit."""
    end = len(data) if end is None else end
    while start < end:
        if end - start < 8:
            raise ValueError(f"box header cut at byte {start}")
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            if end - start < 16:
                raise ValueError(f"box header cut at byte {start}")
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        size = size or end - start
        if size < head or start + size > end:
            raise ValueError(f"box {kind!r} at byte {start} does not fit")
        yield Box(kind.decode("latin-1"), start + head, start + size)
        start += size


def find(data: bytes, path: str, inside: Box | None = None) -> Iterator[Box]:
    """Every box at `path` (`moof/traf/trun`), in order."""
    kind, _, rest = path.partition("/")
    first = inside.start + _SKIP.get(inside.kind, 0) if inside else 0
    for box in walk(data, first, inside.end if inside else None):
        if box.kind == kind:
            if rest:
                yield from find(data, rest, box)
            else:
                yield box


def one(data: bytes, path: str) -> Box:
    """The first box at `path`. ValueError where there is none."""
    found = next(find(data, path), None)
    if found is None:
        raise ValueError(f"no box {path}")
    return found
