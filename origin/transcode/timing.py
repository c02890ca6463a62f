"""Frames of a GOP and of a segment, so that every rung cuts at the same frames (T-004, D-04). Pure."""

from dataclasses import dataclass
from fractions import Fraction

GOP_S = 2


@dataclass(frozen=True, slots=True)
class Timing:
    """`gop` frames at `fps` make a closed GOP, `gops` of them a segment."""

    fps: Fraction
    gop: int
    gops: int

    @property
    def segment_s(self) -> Fraction:
        """The exact length of a segment: at 29.97 fps a segment of 4 s is 4.004 s."""
        return self.gop * self.gops / self.fps


def timing(fps: Fraction, segment_s: float) -> Timing:
    """GOPs of about 2 s that divide a segment of about `segment_s` into equal parts."""
    gops = max(1, round(segment_s / GOP_S))
    return Timing(fps, max(1, round(fps * Fraction(segment_s) / gops)), gops)
