"""What was packaged, measured from the bytes: a track's segments with their exact times and sizes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Literal

from origin.packaging.boxes import Box, find, one
from origin.packaging.codecs import codec

Kind = Literal["video", "audio", "text"]
NOT_SYNC = 0x10000
"""sample_is_non_sync_sample of the sample flags (ISO/IEC 14496-12 8.8.3.1)."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: path below the version, start and duration in ticks of its track, bytes, first sample a sync one."""

    path: str
    start: int
    duration: int
    size: int
    sync: bool


@dataclass(frozen=True, slots=True)
class Media:
    """One packaged track. `timescale` is ticks a second; `init` is None for plain WebVTT segments."""

    name: str
    kind: Kind
    language: str
    codec: str
    timescale: int
    segments: tuple[Segment, ...]
    init: str | None
    width: int = 0
    height: int = 0
    channels: int = 0
    kbps: int = 0

    @property
    def duration(self) -> Fraction:
        """Seconds of all segments together."""
        return Fraction(sum(each.duration for each in self.segments), self.timescale)

    @property
    def size(self) -> int:
        """Bytes of all segments, without init."""
        return sum(each.size for each in self.segments)

    def seconds(self, segment: Segment) -> Fraction:
        """How long one segment lasts."""
        return Fraction(segment.duration, self.timescale)


def measure(root: Path, name: str, kind: Kind, language: str, *, kbps: int = 0, channels: int = 0) -> Media:
    """The fMP4 track in folder `name` of `root`. ValueError where its bytes make no sense."""
    init = (root / name / "init.mp4").read_bytes()
    timescale = _timescale(init)
    width, height = _size(init) if kind == "video" else (0, 0)
    default = _default_duration(init)
    segments = tuple(
        _segment(file.read_bytes(), f"{name}/{file.name}", default) for file in sorted((root / name).glob("*.m4s"))
    )
    if not segments:
        raise ValueError(f"{name}: no segment")
    return Media(
        name, kind, language, codec(init), timescale, segments, f"{name}/init.mp4", width, height, channels, kbps
    )  # fmt: skip


def measure_text(root: Path, name: str, language: str, segment_s: Fraction) -> Media:
    """The WebVTT segments in folder `name`: the packager cuts them at multiples of `segment_s`."""
    scale = segment_s.denominator * 1000
    ticks = int(segment_s * scale)
    files = sorted((root / name).glob("*.vtt"))
    segments = tuple(
        Segment(f"{name}/{file.name}", at * ticks, ticks, file.stat().st_size, sync=True)
        for at, file in enumerate(files)
    )
    if not segments:
        raise ValueError(f"{name}: no segment")
    return Media(name, "text", language, "wvtt", scale, segments, None)


def peak(media: Media, target_s: Fraction) -> int:
    """Bit/s of the fastest run of segments that lasts 0.5 to 1.5 times `target_s` (RFC 8216 4.3.4.2)."""
    times = [Fraction(0), *accumulate(media.seconds(each) for each in media.segments)]
    sizes = [0, *accumulate(each.size for each in media.segments)]
    best = Fraction(0)
    for first in range(len(media.segments)):
        for last in range(first + 1, len(times)):
            length = times[last] - times[first]
            if length > target_s * Fraction(3, 2):
                break
            if length >= target_s / 2:
                best = max(best, (sizes[last] - sizes[first]) * 8 / length)
    return round(best) or average(media)


def average(media: Media) -> int:
    """Bit/s over the whole track."""
    return round(media.size * 8 / media.duration) if media.duration else 0


def target_duration(media: Media) -> int:
    """Whole seconds of the longest segment, rounded up (MAN-09)."""
    return -(-max(each.duration for each in media.segments) // media.timescale)


def longest(medias: Sequence[Media]) -> Media | None:
    """The track with the highest average rate; None of none."""
    return max(medias, key=average, default=None)


def _timescale(init: bytes) -> int:
    box = one(init, "moov/trak/mdia/mdhd")
    return int(struct.unpack_from(">I", init, box.start + (20 if init[box.start] == 1 else 12))[0])


def _size(init: bytes) -> tuple[int, int]:
    """Coded width and height of the first video sample entry (16 bits each, after 24 bytes)."""
    entry = next(find(init, "moov/trak/mdia/minf/stbl/stsd/avc1"), None) or one(
        init, "moov/trak/mdia/minf/stbl/stsd/hvc1"
    )
    width, height = struct.unpack_from(">HH", init, entry.start + 24)
    return int(width), int(height)


def _default_duration(init: bytes) -> int:
    return int(struct.unpack_from(">I", init, one(init, "moov/mvex/trex").start + 12)[0])


def _segment(data: bytes, path: str, default_duration: int) -> Segment:
    """One fMP4 segment, perhaps of several fragments."""
    tfdt = one(data, "moof/traf/tfdt")
    start = struct.unpack_from(">Q" if data[tfdt.start] == 1 else ">I", data, tfdt.start + 4)[0]
    duration, sync = 0, None
    for traf in find(data, "moof/traf"):
        default, flags = _tfhd(data, next(find(data, "tfhd", traf)), default_duration)
        for trun in find(data, "trun", traf):
            ticks, first = _trun(data, trun, default, flags)
            duration += ticks
            sync = first if sync is None else sync
    return Segment(path, int(start), duration, len(data), bool(sync))


def _tfhd(data: bytes, box: Box, duration: int) -> tuple[int, int]:
    """Default sample duration and flags (ISO/IEC 14496-12 8.8.7)."""
    present = int.from_bytes(data[box.start + 1 : box.start + 4])
    at = box.start + 8 + (8 if present & 1 else 0) + (4 if present & 2 else 0)
    if present & 0x8:
        duration = int.from_bytes(data[at : at + 4])
        at += 4
    at += 4 if present & 0x10 else 0
    return duration, int.from_bytes(data[at : at + 4]) if present & 0x20 else 0


def _trun(data: bytes, box: Box, duration: int, flags: int) -> tuple[int, bool]:
    """Ticks of all samples, and whether the first is a sync sample (ISO/IEC 14496-12 8.8.8)."""
    present = int.from_bytes(data[box.start + 1 : box.start + 4])
    count = int.from_bytes(data[box.start + 4 : box.start + 8])
    at = box.start + 8 + (4 if present & 1 else 0)
    first_flags = None
    if present & 4:
        first_flags = int.from_bytes(data[at : at + 4])
        at += 4
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if present & bit]
    row = 4 * len(fields)
    if at + count * row > box.end:
        raise ValueError("trun does not fit its box")
    if present & 0x400 and first_flags is None and count:
        offset = at + 4 * fields.index(0x400)
        first_flags = int.from_bytes(data[offset : offset + 4])
    total = count * duration
    if present & 0x100:
        total = sum(int.from_bytes(data[at + row * n : at + row * n + 4]) for n in range(count))
    return total, not (flags if first_flags is None else first_flags) & NOT_SYNC
