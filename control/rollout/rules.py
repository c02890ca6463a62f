"""What may follow what, and when a canary is bad. Pure: states in, states out, the time handed in."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from configs.overlay import check, flat
from control.registry.model import Node
from control.rollout.model import MOST_EVENTS, MOST_VERSIONS, Canary, Change, Content, Event, Stage, State, Version
from kit.errors import Conflict, NotFound, SettingsError, Unprocessable

MIN_ANSWERS = 200
"""Below so many answers a ratio says nothing."""
FLOOR = 0.01
"""An error ratio up to this is no reason to go back, whatever the others have."""
FACTOR = 2.0
"""Above so many times that of the others it is."""
TAKE_UP_S = 30.0
"""Canary nodes get so long to use the version."""


class NoSuchVersion(NotFound):
    """No version of this number is kept."""

    kind = "no_such_version"


@dataclass
class Evidence:
    """What was seen since the canary began. `pending`: canary nodes that do not use the version yet; `failed`: node ->
    why it could not; `silent`: canary nodes that are gone."""

    answers: float = 0.0
    errors: float = 0.0
    other_answers: float = 0.0
    other_errors: float = 0.0
    pending: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing can be said yet."""

    why: str


@dataclass(frozen=True, slots=True)
class Proven:
    """It did well for long enough."""


@dataclass(frozen=True, slots=True)
class Bad:
    """It must go."""

    why: str


Verdict = Waiting | Proven | Bad


def staged(state: State, content: Content, *, now: float, by: str, note: str) -> State:
    """The state with a new version. Unprocessable when a node could not use it."""
    try:
        check("edge", content.edge)
        check("shield", content.shield)
    except SettingsError as error:
        raise Unprocessable(str(error)) from None
    number = state.last + 1
    made = Version(number=number, stage=Stage.STAGED, made=now, by=by, note=note, why="", content=content)
    grown = state.model_copy(update={"last": number, "versions": _trimmed(state, (*state.versions, made))})
    return _noted(grown, made, now, by, note)


def begun(state: State, canary: Canary, *, now: float, by: str) -> State:
    """The version is tried. Conflict when another is, or it is not staged."""
    if state.canary:
        raise Conflict(f"version {state.canary.version} is being tried")
    version = find(state, canary.version)
    if version.stage is not Stage.STAGED:
        raise Conflict(f"version {version.number} is {version.stage}, not staged")
    tried = state.model_copy(update={"canary": canary})
    return _moved(tried, version.number, Stage.CANARY, now=now, by=by, why=f"on {', '.join(canary.nodes)}"[:200])


def judge(canary: Canary, seen: Evidence, now: float) -> Verdict:
    """Whether the canary's version is good."""
    if seen.failed:
        node, why = min(seen.failed.items())
        return Bad(f"{node} could not use it: {why}")
    if seen.silent:
        return Bad(f"{seen.silent[0]} was lost")
    if seen.pending:
        late = now - canary.since > TAKE_UP_S
        said = f"{seen.pending[0]} does not use it"
        return Bad(f"{said} after {TAKE_UP_S:.0f} s") if late else Waiting(f"{said} yet")
    if seen.answers >= MIN_ANSWERS and (worse := _worse(seen)):
        return Bad(worse)
    if now - canary.since < canary.soak_s:
        return Waiting(f"{canary.soak_s - (now - canary.since):.0f} s are left")
    if seen.answers < MIN_ANSWERS:
        return Waiting(f"{seen.answers:.0f} answers say too little")
    return Proven()


def proven(state: State, *, now: float) -> State:
    """The canary did well; where it goes on by itself, its version is active now. Else its nodes keep it, and are
    watched, until somebody activates it or goes back. Conflict when it was said before."""
    canary = _canary(state)
    if find(state, canary.version).stage is not Stage.CANARY:
        raise Conflict(f"version {canary.version} is proven already")
    ended = _moved(state, canary.version, Stage.PROVEN, now=now, by="control", why="")
    if canary.goes_on:
        return activated(ended, canary.version, now=now, by="control")
    return ended


def activated(state: State, number: int, *, now: float, by: str) -> State:
    """The version is the fleet's. Conflict unless its canary ended well."""
    version = find(state, number)
    if version.stage is not Stage.PROVEN:
        raise Conflict(f"version {number} is {version.stage}, not proven: try it on a few nodes first")
    if state.canary and state.canary.version != number:
        raise Conflict(f"version {state.canary.version} is being tried")
    before = state.active
    if before is not None:
        state = _moved(state, before, Stage.RETIRED, now=now, by=by, why=f"version {number} follows")
    state = _moved(state, number, Stage.ACTIVE, now=now, by=by, why="")
    return state.model_copy(update={"active": number, "canary": None})


def rolled_back(state: State, *, now: float, by: str, why: str) -> State:
    """The canary's version goes; without a canary the active one, and the one before it comes back, if there is any."""
    if state.canary:
        gone = _moved(state, state.canary.version, Stage.ROLLED_BACK, now=now, by=by, why=why)
        return gone.model_copy(update={"canary": None})
    if state.active is None:
        raise Conflict("nothing is active: there is nothing to go back from")
    gone = _moved(state, state.active, Stage.ROLLED_BACK, now=now, by=by, why=why)
    before = max((each.number for each in state.versions if each.stage is Stage.RETIRED), default=None)
    if before is not None:
        gone = _moved(gone, before, Stage.ACTIVE, now=now, by=by, why=f"version {state.active} was rolled back")
    return gone.model_copy(update={"active": before})


def wanted(state: State, node_id: str) -> int:
    """The version that this node should have; 0: its own settings."""
    if state.canary and node_id in state.canary.nodes:
        return state.canary.version
    return state.active or 0


def picked(nodes: Iterable[Node], count: int, number: int) -> tuple[str, ...]:
    """`count` of these nodes: others for each version, the same for all control processes."""
    ids = (node.id for node in nodes)
    return tuple(sorted(ids, key=lambda id_: (zlib.crc32(f"{number} {id_}".encode()), id_))[:count])


def differences(before: Content, after: Content) -> tuple[Change, ...]:
    """What two contents say differently, by tier and name."""
    found = []
    for tier in ("edge", "shield"):
        old, new = flat(before.of(tier)), flat(after.of(tier))
        names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        found += [Change(tier=tier, name=each, before=old.get(each), after=new.get(each)) for each in names]
    return tuple(found)


def find(state: State, number: int) -> Version:
    """One version; NoSuchVersion."""
    version = state.version(number)
    if version is None:
        raise NoSuchVersion(f"no version {number} is kept")
    return version


def _canary(state: State) -> Canary:
    if state.canary is None:
        raise Conflict("no version is being tried")
    return state.canary


def _worse(seen: Evidence) -> str:
    """Why the canary's errors are too many; empty when they are not."""
    mine = seen.errors / seen.answers
    others = seen.other_errors / seen.other_answers if seen.other_answers >= MIN_ANSWERS else 0.0
    if mine <= max(FLOOR, FACTOR * others):
        return ""
    return f"{mine:.2%} of its answers are errors, {others:.2%} elsewhere"


def _moved(state: State, number: int, stage: Stage, *, now: float, by: str, why: str) -> State:
    moved = find(state, number).model_copy(update={"stage": stage, "why": why})
    versions = tuple(moved if each.number == number else each for each in state.versions)
    return _noted(state.model_copy(update={"versions": versions}), moved, now, by, why)


def _noted(state: State, version: Version, now: float, by: str, why: str) -> State:
    event = Event(at=now, version=version.number, stage=version.stage, by=by, why=why)
    return state.model_copy(update={"events": (*state.events, event)[-MOST_EVENTS:]})


def _trimmed(state: State, versions: tuple[Version, ...]) -> tuple[Version, ...]:
    """Active, tried and proven ones stay, and the newest retired one, to go back to."""
    back = max((each.number for each in versions if each.stage is Stage.RETIRED), default=None)
    kept = {state.active, state.canary.version if state.canary else None, back, versions[-1].number}
    free = [each for each in versions if each.number not in kept and each.stage is not Stage.PROVEN]
    gone = {each.number for each in free[: max(0, len(versions) - MOST_VERSIONS)]}
    return tuple(each for each in versions if each.number not in gone)
