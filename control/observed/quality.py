"""What players' votes say of edges: startup, rebuffering, bitrate; and a score that no network can move by much.

Votes fade with a half-life. In a score a network (/24 or /48) weighs as its votes do, but MOST_SHARE at most; with too
few networks to fill the scale, the rest of it says that all is well. So what one network says, however many sessions it
has, moves the score of an edge by MOST_SHARE of the scale and no more.

A complaint is for decisions, which are steeper than scores: what players miss, 0 to 1, where a network weighs
FIRM_SHARE at most, and that only with FIRM_VOTES; it has no least number of votes, so that no vote makes it jump.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from control.contract.observations import Quality
from kit.clock import Clock

MOST_SHARE = 0.05
"""Of one network in a score (issue 5)."""
FIRM_SHARE = 1 / 80
"""Of one network in a complaint."""
FIRM_VOTES = 5.0
"""A network with fewer votes weighs less in a complaint."""
LEAST_VOTES = 10.0
"""Below so many there is no score."""
MOST_ROWS = 100_000
"""(Edge, network, class) triples remembered; the longest silent go first."""
ROWS_OF_EDGE = 400
"""Those of one edge; likewise."""
KNOWN_S = 1.0
"""A score is worked out anew after this long: some 2 us a row."""
_TURN = 500
"""Rows looked at before the loop serves somebody else."""
STALL_WEIGHT, STARTUP_WEIGHT, BITRATE_WEIGHT = 0.6, 0.2, 0.2
"""What a session loses of its score when all its votes have stalls; start as slow as SLOW_MS; are at the bottom."""
QUICK_MS, SLOW_MS = 1000.0, 5000.0
_GONE = 0.01
"""A row with fewer votes is dropped."""


class Figures(NamedTuple):
    """Sums over votes; each falls with time. `started`, `rated`, `measured`: votes that had the figure."""

    votes: float = 0.0
    stalled: float = 0.0
    stalls: float = 0.0
    rebuffer_ms: float = 0.0
    failed: float = 0.0
    started: float = 0.0
    startup_ms: float = 0.0
    rated: float = 0.0
    kbps: float = 0.0
    top_share: float = 0.0
    measured: float = 0.0
    throughput_kbps: float = 0.0

    def plus(self, other: "Figures") -> "Figures":
        """The sums of both."""
        return Figures(*[one + more for one, more in zip(self, other, strict=True)])

    def times(self, share: float) -> "Figures":
        """A share of all sums."""
        return Figures(*[each * share for each in self])

    def score(self) -> float:
        """How well these sessions fared, 0 (all failed) to 1."""
        if not self.votes:
            return 1.0
        slow = (self.startup_ms / self.started - QUICK_MS) / (SLOW_MS - QUICK_MS) if self.started else 0.0
        low = 1.0 - self.top_share / self.rated if self.rated else 0.0
        lost = STALL_WEIGHT * self.stalled / self.votes
        lost += STARTUP_WEIGHT * min(1.0, max(0.0, slow)) + BITRATE_WEIGHT * min(1.0, max(0.0, low))
        return max(0.0, (1.0 - lost) * (1.0 - min(1.0, self.failed / self.votes)))

    def as_json(self) -> dict[str, float | None]:
        """Means, for people: milliseconds and kbit/s; None where nobody said."""
        return {
            "votes": round(self.votes, 2),
            "stalledShare": _mean(self.stalled, self.votes, 4),
            "stallsPerVote": _mean(self.stalls, self.votes, 4),
            "rebufferMsPerVote": _mean(self.rebuffer_ms, self.votes, 1),
            "failedShare": _mean(self.failed, self.votes, 4),
            "startupMs": _mean(self.startup_ms, self.started, 1),
            "kbps": _mean(self.kbps, self.rated, 1),
            "topShare": _mean(self.top_share, self.rated, 4),
            "throughputKbps": _mean(self.throughput_kbps, self.measured, 1),
            "score": round(self.score(), 4),
        }


@dataclass(frozen=True, slots=True)
class Qoe:
    """An edge as its viewers saw it. `score` is 0 to 1, 1 where all is well."""

    score: float
    votes: float
    networks: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """Score (None with too few votes) and complaint of an edge."""

    score: float | None
    complaint: float


NO_OPINION = Opinion(None, 0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """Votes of one network and class on one edge, as of `at`."""

    edge: str
    network: str
    stream: str
    figures: Figures
    at: float


def figures_of(quality: Quality) -> Figures:
    """What an edge told, as sums."""
    return Figures(
        votes=quality.votes,
        stalled=quality.stalled,
        stalls=quality.stalls,
        rebuffer_ms=quality.rebuffer_ms,
        failed=quality.failed,
        started=quality.started,
        startup_ms=quality.startup_ms * quality.started,
        rated=quality.rated,
        kbps=quality.kbps * quality.rated,
        top_share=quality.top_share * quality.rated,
        measured=quality.measured,
        throughput_kbps=quality.throughput_kbps * quality.measured,
    )


def judged(by_network: Mapping[str, Figures]) -> Qoe | None:
    """The score over networks; None with too few votes to say."""
    voices = list(by_network.values())
    total = sum(each.votes for each in voices)
    if total < LEAST_VOTES:
        return None
    shares = weights([each.votes for each in voices])
    lost = sum(share * (1.0 - each.score()) for share, each in zip(shares, voices, strict=True))
    return Qoe(1.0 - min(1.0, lost), total, len(voices))


def complaint(by_network: Mapping[str, Figures]) -> float:
    """What the players of all networks miss, 0 to 1."""
    voices = list(by_network.values())
    shares = weights([each.votes for each in voices], FIRM_SHARE)
    firm = [min(share, FIRM_SHARE * each.votes / FIRM_VOTES) for share, each in zip(shares, voices, strict=True)]
    return min(1.0, sum(share * (1.0 - each.score()) for share, each in zip(firm, voices, strict=True)))


def weights(votes: Sequence[float], most: float = MOST_SHARE) -> list[float]:
    """The weight of each network in a score: in proportion to its votes, but cut where it would pass `most` of what is
    left of all. They add up to 1 where there are enough networks."""
    if len(votes) <= 1 / most:
        return [most] * len(votes)
    falling = sorted(votes, reverse=True)
    bound = falling[0]
    for cut in range(int(1 / most)):  # so many at most are cut: the next one's share is below by then
        bound = most * math.fsum(falling[cut:]) / (1 - most * cut)
        if bound >= falling[cut]:
            break
    kept = [min(each, bound) for each in votes]
    whole = math.fsum(kept)
    return [each / whole for each in kept]


def summed(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, Figures]:
    """Sums by what `key` says of a row."""
    found: dict[str, Figures] = {}
    for row in rows:
        name = key(row)
        found[name] = found[name].plus(row.figures) if name in found else row.figures
    return found


_Key = tuple[str, str, str]


class Votes:
    """What this control process was told. Bounded."""

    def __init__(self, clock: Clock, *, half_life_s: float, most: int = MOST_ROWS) -> None:
        self._clock, self._half_life_s, self._most = clock, half_life_s, most
        self._rows: OrderedDict[_Key, Row] = OrderedDict()
        self._of: dict[str, OrderedDict[_Key, None]] = {}
        self._known: dict[str, tuple[Qoe | None, float]] = {}

    def note(self, edge: str, qualities: Sequence[Quality], *, age_s: float = 0.0) -> None:
        """Take what an edge told `age_s` seconds ago."""
        share = 0.5 ** (age_s / self._half_life_s)
        now = self._clock.monotonic()
        for each in qualities:
            key = (edge, each.network, each.stream)
            old, fresh = self._rows.get(key), figures_of(each).times(share)
            figures = self._faded(old, now).plus(fresh) if old else fresh
            self._rows[key] = Row(edge, each.network, each.stream, figures, now)
            self._rows.move_to_end(key)
            own = self._of.setdefault(edge, OrderedDict())
            own[key] = None
            own.move_to_end(key)
            if len(own) > ROWS_OF_EDGE:
                self._drop(next(iter(own)))
        while len(self._rows) > self._most:
            self._drop(next(iter(self._rows)))

    def qoe(self, edge: str) -> Qoe | None:
        """How the viewers of an edge fared a moment ago; None while too few said anything."""
        now = self._clock.monotonic()
        if edge not in self._of:
            return None
        known = self._known.get(edge)
        if known is None or now - known[1] >= KNOWN_S:
            known = judged(summed(self.rows(edge), lambda row: row.network)), now
            self._known[edge] = known
        return known[0]

    def score(self, edge: str) -> float | None:
        """Of `qoe` the score alone."""
        found = self.qoe(edge)
        return found.score if found else None

    def opinion(self, edge: str) -> Opinion:
        """What viewers think of an edge now; not remembered, for who asks for all edges every few seconds."""
        if edge not in self._of:
            return NO_OPINION
        by_network = summed(self.rows(edge), lambda row: row.network)
        found = judged(by_network)
        return Opinion(found.score if found else None, complaint(by_network))

    def rows(self, edge: str) -> list[Row]:
        """What is known of one edge, faded to now. What has faded away is dropped."""
        now = self._clock.monotonic()
        faded = [replace(self._rows[key], figures=self._faded(self._rows[key], now), at=now) for key in self._of[edge]]
        for row in faded:
            if row.figures.votes < _GONE:
                self._drop((row.edge, row.network, row.stream))
        return [row for row in faded if row.figures.votes >= _GONE]

    async def report(self, key: Callable[[Row], str]) -> dict[str, Figures]:
        """Sums over all edges by what `key` says of a row (its edge, its network, the region of its edge)."""
        found: dict[str, Figures] = {}
        seen = 0
        for edge in list(self._of):
            rows = self.rows(edge) if edge in self._of else []
            for name, figures in summed(rows, key).items():
                found[name] = found[name].plus(figures) if name in found else figures
            seen += len(rows)
            if seen >= _TURN:
                seen = 0
                await asyncio.sleep(0)
        return found

    def __len__(self) -> int:
        return len(self._rows)

    def _faded(self, row: Row, now: float) -> Figures:
        return row.figures.times(0.5 ** (max(0.0, now - row.at) / self._half_life_s))

    def _drop(self, key: _Key) -> None:
        del self._rows[key]
        own = self._of[key[0]]
        del own[key]
        if not own:
            del self._of[key[0]]
            self._known.pop(key[0], None)


def _mean(total: float, count: float, digits: int) -> float | None:
    return round(total / count, digits) if count else None
