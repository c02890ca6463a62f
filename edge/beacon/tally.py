"""Votes counted by client network and class of stream."""

from dataclasses import dataclass

from control.contract.observations import Quality
from edge.beacon.cmcd import StreamClass
from edge.beacon.votes import Vote

MOST_TALLIES = 4096
"""(network, class) pairs held at a time; votes of further ones are counted as dropped."""


@dataclass(slots=True)
class _Sum:
    votes: int = 0
    stalled: int = 0
    stalls: int = 0
    rebuffer_ms: int = 0
    failed: int = 0
    started: int = 0
    startup_ms: int = 0
    rated: int = 0
    kbps: int = 0
    share: float = 0.0
    measured: int = 0
    throughput_kbps: int = 0

    def add(self, vote: Vote) -> None:
        self.votes += 1
        self.stalled += vote.stalls > 0
        self.stalls += vote.stalls
        self.rebuffer_ms += vote.rebuffer_ms
        self.failed += vote.failed
        if vote.startup_ms is not None:
            self.started += 1
            self.startup_ms += vote.startup_ms
        if vote.kbps:
            self.rated += 1
            self.kbps += vote.kbps
            self.share += min(1.0, vote.kbps / vote.top_kbps) if vote.top_kbps else 1.0
        if vote.throughput_kbps:
            self.measured += 1
            self.throughput_kbps += vote.throughput_kbps


class Tallies:
    """Sums by network and class."""

    def __init__(self, most: int = MOST_TALLIES) -> None:
        self._most = most
        self._sums: dict[tuple[str, StreamClass], _Sum] = {}
        self.dropped = 0

    def add(self, vote: Vote) -> None:
        """Count a vote."""
        key = (vote.network, vote.stream)
        if key not in self._sums and len(self._sums) >= self._most:
            self.dropped += 1
            return
        self._sums.setdefault(key, _Sum()).add(vote)

    def take(self, most: int) -> list[Quality]:
        """The sums with most votes, as control takes them, out of here."""
        chosen = sorted(self._sums.items(), key=lambda each: -each[1].votes)[:most]
        for key, _ in chosen:
            del self._sums[key]
        return [_quality(network, stream, found) for (network, stream), found in chosen]


def _quality(network: str, stream: StreamClass, found: _Sum) -> Quality:
    return Quality(
        network=network,
        stream=stream,
        votes=found.votes,
        stalled=found.stalled,
        stalls=found.stalls,
        rebuffer_ms=found.rebuffer_ms,
        failed=found.failed,
        started=found.started,
        startup_ms=_mean(found.startup_ms, found.started),
        rated=found.rated,
        kbps=_mean(found.kbps, found.rated),
        top_share=round(found.share / found.rated, 4) if found.rated else 0.0,
        measured=found.measured,
        throughput_kbps=_mean(found.throughput_kbps, found.measured),
    )


def _mean(total: int, count: int) -> int:
    return round(total / count) if count else 0
