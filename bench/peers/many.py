"""Beside a baseline of each peer's own: many objects by popularity, two workers, misses, slow viewers."""

import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.peers import slow
from bench.peers.cases import Say
from bench.peers.compared import Compared, in_turn
from bench.peers.lineup import FOLDER, LANE, NGINX, VARNISH, LineUp
from bench.peers.load import Round, mix
from bench.peers.processes import Peer
from bench.stock import path_of, stocked

POPULAR, WORKERS, MISS, SLOW = "zipf 0.9", "two workers", "a miss", "slow viewers"
NOPUSH = "off"
"""nginx's tcp_nopush where one nginx stands for both. On, an answer of 64 KB that has its connection to itself waits
44 ms for the viewer's delayed acknowledgement, whatever it saves of CPU when many wait."""
_ZIPF = 0.9
_CONNECTIONS = 32
_LONG = 200_000
"""Requests drawn before they repeat."""
_SMALL, _MIDDLE, _LARGE = (f"{FOLDER}{size}.bin" for size in (2_048, 65_536, 2**22))


@dataclass(frozen=True, slots=True)
class Many:
    """What is measured on one line-up. `peers`: the standard ones by name."""

    line: LineUp
    peers: Mapping[str, Peer]
    seconds: int
    rounds: int
    say: Say

    def popular(self, objects: int) -> list[Compared]:
        """All objects by popularity beside one of them, after each was asked for twice."""
        case = f"{objects:,} objects, {POPULAR}"
        self.say(f"stocking {objects:,} objects")
        for _ in stocked(self.line.files(LANE, case), objects):
            pass
        peers = [self.line.edge(variant=case), self.line.nginx(NOPUSH, case), self.line.varnish(case)]
        for peer in peers:
            self.say(f"{case}: {peer.name} is asked for each")
            everything = self.file(peer, "all", map(path_of, range(objects)))
            for _ in range(2):
                mix(peer, everything, 0, _CONNECTIONS)
        self.say(case)
        chosen = [path_of(each) for each in drawn(objects)]
        loads = [
            (
                peer,
                self._busy(peer, self.file(peer, "drawn", chosen)),
                self._busy(peer, self.file(peer, "one", chosen[:1])),
            )
            for peer in peers
        ]
        return in_turn(case, loads, self.rounds)

    def workers(self) -> list[Compared]:
        """Two workers on the servers' core beside one. Varnish has threads, not workers."""
        ones = [self.peers[LANE], self._nginx]
        twos = [self.line.edge(variant=WORKERS, workers=2), self.line.nginx(NOPUSH, WORKERS, workers=2)]
        files = {peer.title: self.file(peer, "workers", [_SMALL]) for peer in (*ones, *twos)}
        for peer in (*ones, *twos):
            mix(peer, files[peer.title], 1, _CONNECTIONS)
        self.say(WORKERS)
        loads = [
            (two, self._busy(two, files[two.title]), self._busy(one, files[one.title]))
            for one, two in zip(ones, twos, strict=True)
        ]
        return in_turn(WORKERS, loads, self.rounds)

    def miss(self) -> list[Compared]:
        """One request after another, each for another address, through a peer and of the upstream itself."""
        self.say("misses, and the upstream itself")
        number = itertools.count()

        def ask(peer: Peer) -> Round:
            batch = next(number)
            file = self.file(peer, "misses", (f"{_SMALL}?miss={batch}-{each}" for each in range(_LONG // 10)))
            return mix(peer, file, self.seconds, 1)

        asked = [self.peers[LANE], self._nginx, self.peers[VARNISH]]
        return in_turn(
            MISS, [(peer, partial(ask, peer), partial(ask, self.line.origin)) for peer in asked], self.rounds
        )

    def slow(self, viewers: int = 1_000) -> list[Compared]:
        """A viewer who asks for 64 KB again and again while others read at 10 KB/s; the baseline is without them."""
        self.say(f"{viewers:,} slow viewers")
        edge = self.peers[LANE]
        file = self.file(edge, "slow", [_MIDDLE])
        edge.get(_LARGE)
        mix(edge, file, 1, 1)
        without = [mix(edge, file, self.seconds, 1) for _ in range(self.rounds)]
        with slow.reading(edge.port, edge.target(_LARGE), viewers):
            beside = [mix(edge, file, self.seconds, 1) for _ in range(self.rounds)]
            return [Compared(SLOW, LANE, beside, without, edge.memory())]

    def file(self, peer: Peer, name: str, paths: Iterable[str]) -> Path:
        """What a peer is asked for, a target a line."""
        file = self.line.files(peer.name, f"{peer.variant} {name}").with_suffix(".targets")
        file.write_text("\n".join(peer.target(path) for path in paths))
        return file

    @property
    def _nginx(self) -> Peer:
        return self.peers[f"{NGINX} nopush {NOPUSH}"]

    def _busy(self, peer: Peer, file: Path) -> partial[Round]:
        return partial(mix, peer, file, self.seconds, _CONNECTIONS)


def drawn(objects: int) -> list[int]:
    """Objects by popularity, the same in every call; a rank's object is anywhere in the directory."""
    chance = random.Random(1)  # noqa: S311  # repeatable, nothing secret
    ranks = list(range(objects))
    chance.shuffle(ranks)
    weights = itertools.accumulate(1 / rank**_ZIPF for rank in range(1, objects + 1))
    return chance.choices(ranks, cum_weights=list(weights), k=_LONG)
