"""Which rungs a master gets: 16:9 boxes that it is fitted into, never upscaled (ING-12, C-81). Pure."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from configs.schema.origin import Profile, Rung


@dataclass(frozen=True, slots=True)
class Encode:
    """One rung to encode: its name (also its folder), picture size in pixels (even), target bitrate, codec."""

    name: str
    width: int
    height: int
    kbps: int
    codec: str


def choose(width: int, height: int, profile: Profile) -> list[Encode]:
    """The rungs for a picture of `width` x `height` square pixels, highest first; at least one.

    A rung whose box the picture does not fill on either side would be an upscale and is left out. If none is left,
    there is one at the master's own size with the bitrate of the profile's lowest rung.
    """
    ordered = sorted(profile.ladder, key=lambda rung: (rung.height, rung.kbps), reverse=True)
    heights = Counter(rung.height for rung in ordered)
    kept = [_fit(width, height, rung, alone=heights[rung.height] == 1) for rung in ordered]
    found = [each for each in kept if each is not None]
    return found or [_own_size(width, height, ordered[-1])]


def _fit(width: int, height: int, rung: Rung, *, alone: bool) -> Encode | None:
    box = Fraction(rung.height * 16, 9)
    scale = min(box / width, Fraction(rung.height, height))
    if scale > 1:
        return None
    name = f"v{rung.height}" if alone else f"v{rung.height}-{rung.codec}-{rung.kbps}"
    return Encode(name, _even(width * scale), _even(height * scale), rung.kbps, rung.codec)


def _own_size(width: int, height: int, lowest: Rung) -> Encode:
    even = width - width % 2, height - height % 2
    return Encode(f"v{even[1]}", *even, lowest.kbps, lowest.codec)


def _even(size: Fraction) -> int:
    """The nearest even number, at least 2: 4:2:0 needs whole pairs of lines and columns."""
    return max(2, int(size / 2 + Fraction(1, 2)) * 2)
