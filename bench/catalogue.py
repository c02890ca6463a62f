"""The titles of a workload: who is how popular when, how long they are, how large each of their files is."""

import math
import random
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate

from bench.workload import Workload

AUDIO = 255
"""Stands in a rung's place."""
_MASTER_BYTES = 2_048
_INIT_BYTES = 1_024
_PLAYLIST_BYTES = 512
_LINE_BYTES = 48


@dataclass(frozen=True, slots=True)
class Title:
    """One title. `complexity[n]` is how much larger segment n is than the mean, on every rung alike."""

    number: int
    segments: int
    complexity: tuple[float, ...]


class Catalogue:
    """The titles on offer, most popular first. Popularity over ranks stays Zipf's, titles move through the ranks."""

    def __init__(self, workload: Workload, chance: random.Random) -> None:
        self._workload, self._chance = workload, chance
        self._count = 0
        self._weights = list(accumulate(rank**-workload.zipf for rank in range(1, workload.titles + 1)))
        self.ranked = [self._new() for _ in range(workload.titles)]

    def drawn(self) -> Title:
        """A title, by popularity."""
        return self.ranked[bisect(self._weights, self._chance.random() * self._weights[-1])]

    def any(self) -> Title:
        """A title, each as likely."""
        return self._chance.choice(self.ranked)

    def renew(self) -> None:
        """A new title enters, those below move down, the last leaves."""
        rank = int(len(self.ranked) ** self._chance.random()) - 1
        self.ranked.insert(rank, self._new())
        self.ranked.pop()

    def _new(self) -> Title:
        load, chance = self._workload, self._chance
        segments = math.ceil(chance.choice(load.minutes) * 60 / load.segment_s)
        middle = -(load.spread**2) / 2  # so that the mean of exp() is 1
        complexity = tuple(math.exp(chance.gauss(middle, load.spread)) for _ in range(segments))
        self._count += 1
        return Title(self._count - 1, segments, complexity)


def segment_bytes(load: Workload, title: Title, rung: int, number: int) -> int:
    """Size of a segment; sound is coded at a constant rate."""
    if rung == AUDIO:
        return int(load.audio_kbps * 125 * load.segment_s)
    return int(load.ladder[rung].kbps * 125 * load.segment_s * title.complexity[number])


def head_files(title: Title, rung: int) -> tuple[tuple[str, int], ...]:
    """What a player asks for before the first segment of a rung: (name, bytes)."""
    return (("playlist", _PLAYLIST_BYTES + _LINE_BYTES * title.segments), ("init", _INIT_BYTES))


def master_file() -> tuple[str, int]:
    """What a player asks for first."""
    return "master", _MASTER_BYTES
