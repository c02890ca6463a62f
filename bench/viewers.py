"""Viewers: from a workload to its trace. Deterministic, seeded, in virtual time."""

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.catalogue import AUDIO, Catalogue, Title, head_files, master_file, segment_bytes
from bench.trace import Trace
from bench.workload import DAY_S, Workload

_BURST_STEP_S = 0.5
"""Between two segments while a player fills its buffer."""
_CRAWL_STEP_S = 0.2
_LEAST_WATCH_S = 120.0
"""Where the exponential part of leaving ends and the power law begins."""


@dataclass(slots=True)
class Session:
    """One viewer, or one crawl, of one title."""

    title: Title
    rung: int
    segment: int
    left: int
    """Segments still to come."""
    crawl: bool = False
    asked: int = 0
    settled: int = 0
    """The rung that the access network bears."""
    opened: set[int] = field(default_factory=set)
    """Rungs whose playlist and init segment it has."""


class Viewers:
    """Runs all sessions of a workload and writes down what they ask for."""

    def __init__(self, load: Workload) -> None:
        self._load = load
        self._chance = random.Random(load.seed)  # noqa: S311 a model, not a secret
        self._catalogue = Catalogue(load, self._chance)
        self._trace = Trace()
        self._numbers: dict[tuple[int, int | str, int | str], int] = {}
        self._waiting: list[tuple[float, int, Session]] = []
        self._order = 0

    def run(self) -> Iterator[Trace]:
        """Yields the growing trace a hundred times (for progress), and last of all when it is whole."""
        load, step = self._load, self._load.days * DAY_S / 100
        shown = 0.0
        for when in self._arrivals():
            self._play(until=when)
            self._arrive(when)
            if when - shown > step:
                shown = when
                yield self._trace
        self._play(until=load.days * DAY_S)
        yield self._trace

    def _arrivals(self) -> Iterator[float]:
        """Times of arrival: Poisson, thinned to day and night; new titles enter as time goes by."""
        load, chance = self._load, self._chance
        end = load.days * DAY_S
        events = load.sessions * (1 + load.crawls)
        most = events / end * (1 + load.swing)
        renewals = load.titles * load.new_titles_a_day / DAY_S
        when = renewed = 0.0
        while True:
            when += chance.expovariate(most)
            if when >= end:
                return
            while renewals and renewed + 1 / renewals < when:
                renewed += 1 / renewals
                self._catalogue.renew()
            if chance.random() * (1 + load.swing) < 1 + load.swing * math.sin(2 * math.pi * when / DAY_S):
                yield when

    def _arrive(self, when: float) -> None:
        load, chance = self._load, self._chance
        if chance.random() < load.crawls / (1 + load.crawls):
            title = self._catalogue.any()
            rung = chance.randrange(len(load.ladder))
            self._wait(when, Session(title, rung, 0, title.segments, crawl=True, settled=rung))
            return
        title = self._catalogue.drawn()
        settled = chance.choices(range(len(load.ladder)), [rung.share for rung in load.ladder])[0]
        start = chance.randrange(title.segments) if chance.random() < load.resume else 0
        left = min(title.segments - start, max(1, math.ceil(self._watched_s(title) / load.segment_s)))
        self._ask(when, title, *master_file())
        self._wait(when, Session(title, min(settled, 1), start, left, settled=settled))

    def _watched_s(self, title: Title) -> float:
        """How long a viewer stays: to the end, or a few minutes, or by a power law between (PPLive, ICC 2014)."""
        load, chance = self._load, self._chance
        whole = title.segments * load.segment_s
        which = chance.random()
        if which < load.complete:
            return whole
        if which < load.complete + load.browse:
            return chance.expovariate(1 / load.browse_mean_s)
        return float(_LEAST_WATCH_S * (whole / _LEAST_WATCH_S) ** chance.random())

    def _wait(self, when: float, session: Session) -> None:
        self._order += 1
        heapq.heappush(self._waiting, (when, self._order, session))

    def _play(self, until: float) -> None:
        """Let all sessions ask for what comes before `until`."""
        waiting = self._waiting
        while waiting and waiting[0][0] < until:
            when, _, session = heapq.heappop(waiting)
            self._segment(when, session)
            if session.left > 0:
                self._wait(when + self._pace(session), session)

    def _pace(self, session: Session) -> float:
        if session.crawl:
            return _CRAWL_STEP_S
        return _BURST_STEP_S if session.asked < self._load.burst else self._load.segment_s

    def _segment(self, when: float, session: Session) -> None:
        """One segment of picture and, for viewers, of sound; then where the session goes next."""
        for rung in (session.rung,) if session.crawl else (session.rung, AUDIO):
            self._open(when, session, rung)
            size = segment_bytes(self._load, session.title, rung, session.segment)
            self._ask(when, session.title, session.segment, size, rung)
        session.asked += 1
        session.segment += 1
        session.left -= 1
        if not session.crawl:
            self._move(session)

    def _open(self, when: float, session: Session, rung: int) -> None:
        if rung not in session.opened:
            session.opened.add(rung)
            for name, size in head_files(session.title, rung):
                self._ask(when, session.title, name, size, rung)

    def _move(self, session: Session) -> None:
        """The player's own choice of a rung, the network's changes, the viewer's jumps."""
        load, chance = self._load, self._chance
        if session.asked == 2:
            session.rung = session.settled
        elif chance.random() < load.switch:
            session.rung = min(len(load.ladder) - 1, max(0, session.settled + chance.choice((-1, 1))))
        elif session.rung != session.settled and chance.random() < 0.5:
            session.rung = session.settled
        if chance.random() < load.seek:
            session.segment = chance.randrange(session.title.segments)
        session.left = min(session.left, session.title.segments - session.segment)

    def _ask(self, when: float, title: Title, name: int | str, size: int, rung: int | str = "") -> None:
        trace = self._trace
        number = self._numbers.setdefault((title.number, rung, name), len(self._numbers))
        if number == len(trace.sizes):
            trace.sizes.append(size)
        trace.times.append(when)
        trace.objects.append(number)


def generate(load: Workload) -> Trace:
    """The whole trace of a workload."""
    *_, trace = Viewers(load).run()
    return trace
