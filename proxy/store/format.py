"""The file of a stored answer: fixed head, metadata, body.

    0   magic "HRC1", flags, sizes and checksums (64 bytes, big endian)
    64  metadata as JSON, checked by its own CRC-32, in a block with room to be rewritten after a 304
    n   body, checked by SHA-256

The body's length and digest are written last, with the COMPLETE flag: a file without it is never served.

A sliced file (store.sparse) says so with its slice size. It is sparse, has its length from the beginning, and just
before the body a table: 8 bytes a slice, which say whether it is there and its CRC-32. Its digest field holds a random
number, which tells it from other files of the same name. It is COMPLETE when every slice is there.
"""

import struct
import sys
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache

import orjson

from proxy.rules.meta import Meta

_HEAD = struct.Struct(">4sHHIIIQ32sI")
_MAGIC = b"HRC1"
_COMPLETE = 1
_PINNED = 2
_SLACK = 512
_ALIGN = 512
PAGE = 4096
"""Bodies of sliced files begin at a multiple of this, and their slices have a multiple of it."""
RECORD = 8
"""Bytes a slice in the table."""
_MOST_OFFSET = 2**24
LARGE = 64 * 1024
"""A body of so many bytes begins with a page: sendfile of whole pages costs a fifth less."""
HEAD_SIZE = _HEAD.size
SLOT_OFFSET = HEAD_SIZE - 4
"""The keeper writes the object's slot here once it knows the object; 0 until then."""
READ_FIRST = 8192
"""Reading this much at once nearly always gets head and metadata."""


class Foreign(Exception):
    """Not a whole, genuine file of ours."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie in one file."""

    meta_length: int
    meta_crc: int
    body_offset: int
    body_length: int
    digest: bytes
    complete: bool
    slot: int = 0
    """Where a hit is marked, from 1; 0 while the keeper does not know the object."""
    slice_size: int = 0
    """Bytes of a slice; 0 where the file has none."""
    pinned: bool = False
    """Whether it stays while others can go (store.pinning)."""

    @property
    def table_offset(self) -> int:
        """Where the table of slices begins, and the room for metadata ends; the body's offset where there is none."""
        return (
            self.body_offset - RECORD * -(-self.body_length // self.slice_size) if self.slice_size else self.body_offset
        )


def head_block(meta: Meta, length: int | None = 0) -> tuple[bytes, int]:
    """The bytes before the body of a file not yet complete, and the body's offset; `length` is the body's, where it is
    known."""
    blob = encode(meta)
    align = _ALIGN if length is not None and length < LARGE else PAGE
    offset = -(-(HEAD_SIZE + len(blob) + _SLACK) // align) * align
    return _pack(Layout(len(blob), zlib.crc32(blob), offset, 0, b"", False), blob), offset


def sliced_block(meta: Meta, body_length: int, slice_size: int, identity: bytes) -> tuple[bytes, Layout] | None:
    """All bytes before the body of a sliced file that has no slice yet; None when there would be too many slices."""
    blob = encode(meta)
    table = RECORD * -(-body_length // slice_size)
    offset = -(-(HEAD_SIZE + len(blob) + _SLACK + table) // PAGE) * PAGE
    if offset > _MOST_OFFSET:
        return None
    layout = Layout(len(blob), zlib.crc32(blob), offset, body_length, identity, False, 0, slice_size)
    return _pack(layout, blob).ljust(offset, b"\0"), layout


def completed() -> tuple[bytes, int]:
    """The bytes that make a sliced file complete, and where they go: nothing beside them is touched."""
    return struct.pack(">H", _COMPLETE), len(_MAGIC)


def finished(block: bytes, body_length: int, digest: bytes, *, pinned: bool = False) -> bytes:
    """The head of a complete file, given the block it began with."""
    layout = replace(_unpack(block), body_length=body_length, digest=digest, complete=True, pinned=pinned)
    return _pack(layout, b"")[:HEAD_SIZE]


def rewritten(layout: Layout, meta: Meta) -> bytes | None:
    """Head and metadata to write over those of a complete file; None when the new metadata does not fit."""
    blob = encode(meta)
    if HEAD_SIZE + len(blob) > layout.table_offset:
        return None
    return _pack(replace(layout, meta_length=len(blob), meta_crc=zlib.crc32(blob)), blob)


def parse(block: bytes, file_size: int, key: str | None) -> tuple[Layout, Meta]:
    """Head and metadata of a file whose first bytes are `block`; Foreign unless it is for `key` (or any) and whole, or
    sliced: which slices are there its table tells."""
    layout = _unpack(block)
    blob = block[HEAD_SIZE : HEAD_SIZE + layout.meta_length]
    if not (layout.complete or layout.slice_size) or file_size != layout.body_offset + layout.body_length:
        raise Foreign("incomplete")
    if len(blob) != layout.meta_length or zlib.crc32(blob) != layout.meta_crc:
        raise Foreign("torn metadata")
    meta = decode(blob)
    if key is not None and meta.key != key:
        raise Foreign("another key")
    return layout, meta


def needed(block: bytes) -> int:
    """How many bytes of the file `parse` wants."""
    return HEAD_SIZE + _unpack(block).meta_length


def _pack(layout: Layout, blob: bytes) -> bytes:
    flags = (_COMPLETE if layout.complete else 0) | (_PINNED if layout.pinned else 0)
    head = _HEAD.pack(
        _MAGIC,
        flags,
        layout.slice_size // PAGE,
        layout.meta_length,
        layout.meta_crc,
        layout.body_offset,
        layout.body_length,
        layout.digest.ljust(32, b"\0"),
        layout.slot,
    )
    return (head + blob).ljust(layout.table_offset, b"\0")


def _unpack(block: bytes) -> Layout:
    if len(block) < HEAD_SIZE:
        raise Foreign("too short")
    magic, flags, pages, meta_length, crc, offset, length, digest, slot = _HEAD.unpack_from(block)
    complete, pinned = bool(flags & _COMPLETE), bool(flags & _PINNED)
    layout = Layout(meta_length, crc, offset, length, digest, complete, slot, pages * PAGE, pinned)
    if magic != _MAGIC or offset > _MOST_OFFSET or HEAD_SIZE + meta_length > layout.table_offset:
        raise Foreign("not a cache file")
    return layout


def encode(meta: Meta) -> bytes:
    """Metadata as it stands in a file."""
    return orjson.dumps(
        [meta.key, meta.status, meta.fields, meta.request_time, meta.response_time, meta.vary],
    )


def decode(blob: bytes | str) -> Meta:
    """The inverse; Foreign when it is not ours."""
    try:
        key, status, fields, request_time, response_time, vary = orjson.loads(blob)
        return Meta(key, status, _pairs(fields), request_time, response_time, _pairs(vary))
    except (ValueError, TypeError) as error:
        raise Foreign(f"metadata: {error}") from None


def _pairs(rows: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple(_pair(name, value) for name, value in rows)


@lru_cache(maxsize=4096)
def _pair(name: str, value: str) -> tuple[str, str]:
    """The same object for the same pair: most answers of an origin say the same in most fields, and a worker remembers
    tens of thousands of answers."""
    return sys.intern(name), value
