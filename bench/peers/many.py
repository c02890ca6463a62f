"""Headrace alone: many objects by popularity, two workers beside one, what a miss adds, slow viewers beside a quick."""

import itertools
import random
import statistics
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers import slow
from bench.peers.cases import Say
from bench.peers.lineup import FOLDER, LineUp
from bench.peers.load import Round, mix
from bench.peers.processes import Peer
from bench.stock import path_of, stocked

POPULAR, WORKERS, MISS, SLOW = "zipf 0.9", "two workers", "a miss", "slow viewers"
_ZIPF = 0.9
_CONNECTIONS = 32
_LONG = 200_000
"""Requests drawn before they repeat."""
_SMALL, _MIDDLE = f"{FOLDER}2048.bin", f"{FOLDER}65536.bin"


@dataclass(frozen=True, slots=True)
class Compared:
    """Rounds of a thing and of its baseline, in turn."""

    rounds: Sequence[Round]
    baseline: Sequence[Round]

    @property
    def ratio(self) -> float:
        """CPU a request over the baseline's."""
        return _median(self.rounds, "cost_s") / _median(self.baseline, "cost_s")

    @property
    def added_p50_s(self) -> float:
        """Seconds at p50 over the baseline's."""
        return _median(self.rounds, "p50_s") - _median(self.baseline, "p50_s")

    def line(self) -> dict[str, Any]:
        """As it is printed."""
        both = {"": self.rounds, "baseline_": self.baseline}
        return {
            f"{which}{name}": round(_median(rounds, of) * factor, 3)
            for which, rounds in both.items()
            for name, of, factor in (("cpu_us", "cost_s", 1e6), ("p50_ms", "p50_s", 1e3), ("p99_ms", "p99_s", 1e3))
        } | {"requests_a_s": round(statistics.median(each.requests / each.seconds for each in self.rounds))}


@dataclass(frozen=True, slots=True)
class Many:
    """What is measured on one line-up."""

    line: LineUp
    root: Path
    seconds: int
    rounds: int
    say: Say

    def popular(self, objects: int) -> tuple[Compared, int]:
        """All objects by popularity beside one of them, after each was asked for; and the node's memory, bytes."""
        self.say(f"stocking {objects:,} objects")
        name = f"popular {objects}"
        for _ in stocked(self.root / name, objects):
            pass
        node = self.line.edge(name)
        everything = self._file(name, node, map(path_of, range(objects)))
        popular = self._file(f"{name} drawn", node, map(path_of, drawn(objects)))
        one = self._file(f"{name} one", node, [path_of(0)])
        self.say(f"asking for each of {objects:,} objects")
        for _ in range(2):
            mix(node, everything, 0, _CONNECTIONS)
        compared = self._compare(
            lambda: mix(node, popular, self.seconds, _CONNECTIONS), lambda: mix(node, one, self.seconds, _CONNECTIONS)
        )
        return compared, node.pss()

    def workers(self, one: Peer) -> Compared:
        """A node with two workers on the servers' core beside `one`."""
        two = self.line.edge(WORKERS, workers=2)
        files = {peer.name: self._file(peer.name, peer, [_SMALL]) for peer in (one, two)}
        for peer in (one, two):
            mix(peer, files[peer.name], 1, _CONNECTIONS)
        self.say("two workers beside one")
        return self._compare(*(self._busy(peer, files[peer.name]) for peer in (two, one)))

    def miss(self, edge: Peer) -> Compared:
        """One request after another, each for another address, through the edge and of its upstream."""
        self.say("misses, and the upstream itself")
        number = itertools.count()

        def ask(peer: Peer) -> Round:
            batch = next(number)
            file = self._file("misses", peer, (f"{_SMALL}?miss={batch}-{each}" for each in range(_LONG // 10)))
            return mix(peer, file, self.seconds, 1)

        return self._compare(lambda: ask(edge), lambda: ask(self.line.origin))

    def slow(self, edge: Peer, viewers: int = 1_000) -> Compared:
        """A viewer who asks for 64 KB again and again while others read at 10 KB/s; the baseline is without them."""
        self.say(f"{viewers:,} slow viewers")
        file = self._file("slow", edge, [_MIDDLE])
        urllib.request.urlopen(edge.url(f"{FOLDER}{2**22}.bin"), timeout=10).read()  # noqa: S310  # our own address
        mix(edge, file, 1, 1)
        without = [mix(edge, file, self.seconds, 1) for _ in range(self.rounds)]
        with slow.reading(edge.port, edge.target(f"{FOLDER}{2**22}.bin"), viewers):
            return Compared([mix(edge, file, self.seconds, 1) for _ in range(self.rounds)], without)

    def _busy(self, peer: Peer, file: Path) -> Callable[[], Round]:
        return lambda: mix(peer, file, self.seconds, _CONNECTIONS)

    def _compare(self, one: Callable[[], Round], other: Callable[[], Round]) -> Compared:
        both = [(one(), other()) for _ in range(self.rounds)]
        return Compared([each for each, _ in both], [each for _, each in both])

    def _file(self, name: str, peer: Peer, paths: Iterable[str]) -> Path:
        file = self.root / f"{name}.targets"
        file.write_text("\n".join(peer.target(path) for path in paths))
        return file


def drawn(objects: int) -> list[int]:
    """Objects by popularity, the same in every call; a rank's object is anywhere in the directory."""
    chance = random.Random(1)  # noqa: S311  # repeatable, nothing secret
    ranks = list(range(objects))
    chance.shuffle(ranks)
    weights = itertools.accumulate(1 / rank**_ZIPF for rank in range(1, objects + 1))
    return chance.choices(ranks, cum_weights=list(weights), k=_LONG)


def _median(rounds: Sequence[Round], name: str) -> float:
    return statistics.median(float(getattr(each, name)) for each in rounds)
