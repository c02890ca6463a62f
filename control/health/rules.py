"""From looks to verdicts: pure (T-057, D-18)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from control.registry.model import Node


class Look(StrEnum):
    """How a node is, seen once."""

    GOOD = "good"
    POOR = "poor"
    BAD = "bad"


class State(StrEnum):
    """How a node is, as steering and operators see it. `draining` is the node's own word, the others are ours."""

    UP = "up"
    DEGRADED = "degraded"
    DRAINING = "draining"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """`down_after` bad looks in a row mean down, `up_after` others up again (D-18). A node whose players see less than
    `poor_quality` (0 to 1), or whose heartbeat is older than `late_s`, looks poor. More than `blind_share` of at least
    `blind_least` probes failing at once say more of the prober than of the nodes."""

    down_after: int = 3
    up_after: int = 2
    poor_quality: float = 0.5
    late_s: float = 2.0
    blind_share: float = 0.5
    blind_least: int = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state and how many looks in a row were bad, not good, not bad, good; no count goes beyond what matters."""

    state: State = State.UP
    bad: int = 0
    worse: int = 0
    well: int = 0
    good: int = 0


FIRST = Verdict()
"""Of a node that nobody looked at yet: its heartbeat says that it is there."""


def look(*, probe: bool | None, quality: float | None, age_s: float, limits: Thresholds) -> Look:
    """One look. `probe`: whether /ready answered as it should, None where it was not asked; `quality`: what players
    see, 0 to 1, None where too few play; `age_s`: of the last heartbeat."""
    if probe is False:
        return Look.BAD
    poor = (quality is not None and quality < limits.poor_quality) or age_s > limits.late_s
    return Look.POOR if poor else Look.GOOD


def judge(before: Verdict, seen: Look, limits: Thresholds) -> Verdict:
    """The verdict after one more look."""
    most = max(limits.down_after, limits.up_after)
    bad = _next(before.bad, seen is Look.BAD, most)
    worse = _next(before.worse, seen is not Look.GOOD, most)
    well = _next(before.well, seen is not Look.BAD, most)
    good = _next(before.good, seen is Look.GOOD, most)
    state = before.state
    if bad >= limits.down_after:
        state = State.DOWN
    elif before.state is State.DOWN and well >= limits.up_after:
        state = State.UP if good >= limits.up_after else State.DEGRADED
    elif before.state is State.UP and worse >= limits.down_after:
        state = State.DEGRADED
    elif before.state is State.DEGRADED and good >= limits.up_after:
        state = State.UP
    return Verdict(state, bad, worse, well, good)


def blind(probes: Iterable[bool], limits: Thresholds) -> bool:
    """Whether so many probes failed at once that it is the prober that sees nothing."""
    answers = list(probes)
    failed = answers.count(False)
    return len(answers) >= limits.blind_least and failed > limits.blind_share * len(answers)


def state_of(node: Node, now: float, expiry_s: float) -> State:
    """The one word for a node of the map; `now` is monotonic."""
    if not node.alive(now, expiry_s):
        return State.DOWN
    return State.DRAINING if node.draining else State(node.state)


def judged(nodes: Mapping[str, Node], verdicts: Mapping[str, Verdict]) -> dict[str, State]:
    """The states of the map's nodes that are not `up`."""
    found = {id_: verdicts[id_].state for id_ in nodes if id_ in verdicts}
    return {id_: state for id_, state in found.items() if state is not State.UP}


def _next(count: int, more: bool, most: int) -> int:
    return min(most, count + 1) if more else 0
