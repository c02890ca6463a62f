"""What a case cost a peer beside a baseline of its own: measured in turn, by everybody in turn."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.peers.load import Round
from bench.peers.processes import Memory, Peer

Load = Callable[[], Round]
"""One round of something."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A case's rounds for one peer, and those of its baseline. `from_disk`: the part of the bytes that the disk was
    asked for, where that matters."""

    case: str
    peer: str
    rounds: Sequence[Round]
    baseline: Sequence[Round]
    memory: Memory
    from_disk: float | None = None

    @property
    def cost_s(self) -> float:
        """CPU seconds a request."""
        return median(self.rounds, "cost_s")

    @property
    def baseline_s(self) -> float:
        """CPU seconds a request of the baseline."""
        return median(self.baseline, "cost_s")

    @property
    def ratio(self) -> float:
        """CPU a request over the baseline's; 0 where that was too little to see."""
        return self.cost_s / self.baseline_s if self.baseline_s else 0.0

    @property
    def added_p50_s(self) -> float:
        """Seconds at p50 over the baseline's."""
        return median(self.rounds, "p50_s") - median(self.baseline, "p50_s")

    @property
    def p99_s(self) -> float:
        """The 99th percentile of its latencies, in seconds."""
        return median(self.rounds, "p99_s")

    def line(self) -> dict[str, Any]:
        """As it is printed."""
        both = {"": self.rounds, "baseline_": self.baseline}
        figures = {
            f"{which}{name}": round(median(rounds, of) * factor, 3)
            for which, rounds in both.items()
            for name, of, factor in (("cpu_us", "cost_s", 1e6), ("p50_ms", "p50_s", 1e3), ("p99_ms", "p99_s", 1e3))
        }
        rate = round(statistics.median(each.requests / each.seconds for each in self.rounds))
        disk = {} if self.from_disk is None else {"from_disk": round(self.from_disk, 2)}
        return {"case": self.case, "peer": self.peer, "over_baseline": round(self.ratio, 3), "requests_a_s": rate} | (
            figures | disk | self.memory.line()
        )


def in_turn(case: str, loads: Sequence[tuple[Peer, Load, Load]], rounds: int) -> list[Compared]:
    """Rounds of every peer's load and of its baseline: A, its baseline, B, its baseline, A ..."""
    done = [[(load(), baseline()) for _, load, baseline in loads] for _ in range(rounds)]
    return [
        Compared(case, peer.name, [both[place][0] for both in done], [both[place][1] for both in done], peer.memory())
        for place, (peer, _, _) in enumerate(loads)
    ]


def median(rounds: Sequence[Round], name: str) -> float:
    """The median round's figure of that name."""
    return statistics.median(float(getattr(each, name)) for each in rounds)
