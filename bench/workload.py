"""What viewers of a video service do, as parameters with their origin.

Where a parameter has no published value it says `assumed`. None was chosen by its effect on a policy: the one that was
fitted, `titles`, was fitted to the share of objects asked for once.
"""

from typing import Self

from pydantic import Field, model_validator

from configs.schema.base import Settings

HOUR_S = 3_600.0
DAY_S = 24 * HOUR_S


class Rung(Settings):
    """One step of the ladder."""

    kbps: int = Field(ge=8, le=100_000)
    """Mean bit rate in kbit/s."""
    share: float = Field(ge=0, le=1)
    """Part of the sessions that settle here."""


class Workload(Settings):
    """Defaults are the small set's: a few days of one edge."""

    seed: int = 1
    """Twice the same seed, twice the same trace."""
    titles: int = Field(default=300, ge=1, le=1_000_000)
    """Titles on offer at any time. Fitted: of the objects about 45 % are asked for once (42 % and 52 % in two models
    that a CDN published of its video traffic, Jedi V-1 and V-2)."""
    sessions: int = Field(default=9_000, ge=1, le=10_000_000)
    """Viewers' sessions in all."""
    days: float = Field(default=3.0, gt=0, le=365)
    """Virtual time that they come in."""
    zipf: float = Field(default=0.9, ge=0.1, le=2.0)
    """Exponent of popularity over ranks; studies of video services find 0.6 to 1.0."""
    new_titles_a_day: float = Field(default=0.02, ge=0, le=1)
    """Share of the titles replaced in a day. A new one enters at a rank drawn evenly over orders of magnitude and moves
    all below it down by one: so titles fade. The first ones lose about a fifth of their viewers in a day, as seen on
    two large services; the share itself is assumed."""
    minutes: tuple[int, ...] = (22, 22, 45, 45, 45, 100)
    """Lengths of titles, one drawn for each: half hours, hours, films. Assumed."""
    segment_s: float = Field(default=6.0, gt=0, le=60)
    """Length of a segment, as our packager makes them."""
    ladder: tuple[Rung, ...] = (
        Rung(kbps=400, share=0.04),
        Rung(kbps=800, share=0.08),
        Rung(kbps=1_500, share=0.15),
        Rung(kbps=3_000, share=0.28),
        Rung(kbps=4_500, share=0.25),
        Rung(kbps=6_000, share=0.20),
    )
    """Bit rates and how many sessions settle on each. Shares assumed."""
    audio_kbps: int = Field(default=128, ge=8, le=2_000)
    """Sound, in segments of its own."""
    spread: float = Field(default=0.30, ge=0, le=1)
    """Standard deviation of the logarithm of a segment's size: capped variable bit rate. Assumed."""
    complete: float = Field(default=0.20, ge=0, le=1)
    """Sessions that see the end: a fifth of 540 million in `Video Browsing` (2013)."""
    browse: float = Field(default=0.50, ge=0, le=1)
    """Sessions that leave in the first minutes, exponentially; the others leave by a power law cut at the title's end.
    The form is that of 100 million sessions of PPLive (ICC 2014); the share is assumed."""
    browse_mean_s: float = Field(default=120.0, gt=0)
    """Mean length of a session that only browses. Assumed."""
    resume: float = Field(default=0.15, ge=0, le=1)
    """Sessions that begin somewhere within: a film continued, a link to a scene. Assumed."""
    seek: float = Field(default=0.002, ge=0, le=1)
    """Chance at each segment of a jump to anywhere in the title. Assumed."""
    switch: float = Field(default=0.02, ge=0, le=1)
    """Chance at each segment that the network changes the rung by one. Assumed."""
    burst: int = Field(default=5, ge=1, le=100)
    """Segments that a player takes as fast as it can before it keeps the pace: 30 s of buffer."""
    crawls: float = Field(default=0.01, ge=0, le=1)
    """Crawls to one session: one rung of any title (all are equally likely) from end to end. Assumed."""
    swing: float = Field(default=0.75, ge=0, lt=1)
    """Day and night: arrivals swing by so much around their mean, so 0.75 means seven times as many at the peak as in
    the small hours. Assumed."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if abs(sum(rung.share for rung in self.ladder) - 1) > 1e-6:
            raise ValueError("the shares of the ladder's rungs must add up to 1")
        if self.complete + self.browse > 1:
            raise ValueError("`complete` and `browse` are shares of the same sessions: 1 at most")
        return self
