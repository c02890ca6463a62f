"""What is asked of all peers in turn, and the medians of what it cost them."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.peers.lineup import AIOHTTP, BARE, FOLDER, SIZES, TLS
from bench.peers.load import Round, wrk
from bench.peers.processes import Memory, Peer

Say = Callable[[str], None]
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load. `conditional`: with the validator of the answer, so that it is a 304."""

    name: str
    size: int
    connections: int = 32
    ranged: bool = False
    conditional: bool = False
    tls: bool = False

    @property
    def path(self) -> str:
        """The object's."""
        return f"{FOLDER}{self.size}.bin"

    @property
    def plain(self) -> bool:
        """Whether it is the whole object that is asked for."""
        return not self.ranged and not self.conditional


@dataclass(frozen=True, slots=True)
class Row:
    """A case's medians for one peer."""

    case: str
    peer: str
    rounds: tuple[Round, ...]
    size: int
    memory: Memory

    @property
    def cost_s(self) -> float:
        """CPU seconds a request."""
        return statistics.median(each.cost_s for each in self.rounds)

    def line(self) -> dict[str, Any]:
        """As it is printed."""
        return {
            "case": self.case,
            "peer": self.peer,
            "requests_a_cpu_s": round(1 / self.cost_s) if self.cost_s else 0,
            "requests_a_s": round(statistics.median(each.requests / each.seconds for each in self.rounds)),
            "cpu_us": round(self.cost_s * 1e6, 1),
            "cpu_us_rounds": [round(each.cost_s * 1e6, 1) for each in self.rounds],
            "cpu_s_a_gb": round(self.cost_s / self.size * _GB, 3) if self.size else None,
            "p50_ms": round(statistics.median(each.p50_s for each in self.rounds) * 1e3, 3),
            "p99_ms": round(statistics.median(each.p99_s for each in self.rounds) * 1e3, 3),
        } | self.memory.line()


def sizes() -> list[Case]:
    """Hits of every size."""
    return [Case(name(size), size) for size in SIZES]


def players() -> list[Case]:
    """What players send besides, and many of them."""
    return [
        Case("2 KB, Range: bytes=0-", 2_048, ranged=True),
        Case("1 MiB, Range: bytes=0-", 2**20, ranged=True),
        Case("2 KB, If-None-Match", 2_048, conditional=True),
        Case("2 KB, 1,000 connections", 2_048, connections=1_000),
        Case("64 KB, 1,000 connections", 65_536, connections=1_000),
    ]


def encrypted() -> list[Case]:
    """Hits under TLS."""
    return [Case(f"{name(size)}, {TLS}", size, tls=True) for size in SIZES[:3]]


def name(size: int) -> str:
    """How a size is called."""
    return f"{size // 1024 // 1024} MiB" if size >= 2**20 else f"{size // 1024} KB"


def measure(case: Case, peers: Sequence[Peer], seconds: int, rounds: int, say: Say) -> list[Row]:
    """Rounds of every peer in turn, after each has the object."""
    able = [peer for peer in peers if case.plain or peer.name not in (AIOHTTP, BARE)]
    fields = {peer.name: _fields(case, _warm(peer, case.path)) for peer in able}
    done: dict[str, list[Round]] = {peer.name: [] for peer in able}
    for number in range(rounds):
        for peer in able:
            say(f"{case.name}, round {number + 1}: {peer.name}")
            done[peer.name].append(wrk(peer, case.path, seconds, case.connections, fields[peer.name]))
    sent = 0 if case.conditional else case.size
    return [Row(case.name, peer.name, tuple(done[peer.name]), sent, peer.memory()) for peer in able]


def _warm(peer: Peer, path: str) -> str:
    """Have the object stored; its entity tag. Thrice: some keep what is asked for twice."""
    return [peer.get(path) for _ in range(3)][-1].get("ETag", "")


def _fields(case: Case, tag: str) -> tuple[str, ...]:
    return (*(["Range: bytes=0-"] if case.ranged else []), *([f"If-None-Match: {tag}"] if case.conditional else []))
