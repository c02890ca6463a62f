"""What a history of round trips must do, and the arithmetic of both its forms (CTL-03, D-15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from control.contract.observations import RoundTrip
from control.steering.choose import Latency

WEIGHT = 0.3
"""Of one new sample in the average (D-15)."""
MOST_SAMPLES = 64.0
"""Samples that count at most: so that what was much used fades as soon as what was not."""
MOST_EDGES = 64
"""Edges remembered for one network."""


@dataclass(frozen=True, slots=True)
class Trip:
    """What is known of one network and edge: milliseconds, how many samples that is worth, and since when (seconds)."""

    ms: float
    samples: float
    at: float

    def faded(self, now: float, half_life_s: float) -> float:
        """The samples that are left at `now`."""
        return float(self.samples * 0.5 ** (max(0.0, now - self.at) / half_life_s))


def merged(old: Trip | None, ms: float, count: int, now: float, half_life_s: float) -> Trip:
    """`old` with `count` new samples of mean `ms`. What has faded below one sample is forgotten."""
    before = old.faded(now, half_life_s) if old else 0.0
    if old is None or before < 1.0:
        return Trip(ms, min(MOST_SAMPLES, float(count)), now)
    share = 1.0 - (1.0 - WEIGHT) ** count
    return Trip(old.ms + share * (ms - old.ms), min(MOST_SAMPLES, before + count), now)


@dataclass(frozen=True, slots=True)
class HistoryState:
    """For /health. `redis` is None where none is configured."""

    networks: int
    redis: str | None
    error: str | None


class History(Protocol):
    """Round trips by client network and edge. `latency` never waits and never fails."""

    def latency(self, network: str) -> Mapping[str, Latency]:
        """What clients of `network` saw of each edge, by edge id; empty when nobody knows."""
        ...

    async def note(self, edge_id: str, trips: Sequence[RoundTrip]) -> None:
        """Take what an edge measured. Redis away: only this process knows it."""
        ...

    def state(self) -> HistoryState:
        """How much is known, and where it is kept."""
        ...

    async def close(self) -> None:
        """Let go of tasks and connections."""
        ...
