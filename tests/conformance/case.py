"""A case: what the origin says, what a viewer asks, how the answer must come about; and which public test it answers.

Field lines are text, `Name: value`; `{-10}` in one is the HTTP date ten seconds before now, by the case's own clock.
"""

from dataclasses import dataclass
from enum import StrEnum

Lines = tuple[str, ...]


class Came(StrEnum):
    """How an answer came about, as the origin saw it."""

    HIT = "a hit"
    """The origin was not asked."""
    STALE = "stale"
    """The origin was asked, the viewer got what was stored nevertheless (RFC 5861)."""
    FETCHED = "fetched"
    """The origin was asked for it, without a validator."""
    VALIDATED = "validated"
    """The origin was asked once, with a validator."""
    REFETCHED = "asked for anew"
    """The origin was asked with a validator, then without."""


class Kind(StrEnum):
    """What the public suite makes of a test: a requirement, a goal, or a question without a wrong answer."""

    REQUIRED = "required"
    OPTIMAL = "optimal"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Public:
    """A test of the public suite."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Says:
    """An answer of the origin."""

    lines: Lines = ()
    status: int = 200
    body: bytes | None = None
    """None: one that no other step has."""
    interim: tuple[tuple[int, Lines], ...] = ()
    delay: float = 0.0
    """Seconds that pass before the answer."""
    dies: bool = False
    """The connection ends without an answer."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request, what the origin says if it is asked, and what must come of it."""

    came: Came
    ask: Lines = ()
    says: Says = Says()
    method: str = "GET"
    target: str = "/r"
    body: bytes | None = None
    status: int | None = None
    """The viewer's; None: the origin's, and 200 for what comes from the cache."""
    text: bytes | None = None
    """The body that the viewer gets; None: the origin's now, or what it was the last time."""
    shows: Lines = ()
    """What the viewer's answer has: a name, or a whole line."""
    hides: Lines = ()
    """Names, or whole lines, that it must not have."""
    sends: Lines = ()
    """What the origin's request has."""
    omits: Lines = ()
    """What it has not."""
    asked_by: str = ""
    """The method of the origin's request, where it matters."""
    interim: tuple[int, ...] = ()
    """Interim answers that the viewer gets."""
    then: float = 0.0
    """Seconds that pass afterwards."""


@dataclass(frozen=True, slots=True)
class Differs:
    """We do otherwise than the case says: why (the line in proxy/README.md), and what exactly is seen instead."""

    why: str
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A row. `section`: RFC and section; `public`: the test of the public suite that it answers."""

    name: str
    section: str
    steps: tuple[Step, ...]
    public: Public | None = None
    differs: Differs | None = None


def row(name: str, section: str, *steps: Step, public: Public | None = None, differs: Differs | None = None) -> Case:
    """A case, written as a row."""
    return Case(name, section, steps, public, differs)


def differs(why: str, *found: str) -> Differs:
    """See Differs."""
    return Differs(why, found)


def required(name: str) -> Public:
    """A public test that a cache must pass."""
    return Public(name, Kind.REQUIRED)


def optimal(name: str) -> Public:
    """A public test that a good cache passes."""
    return Public(name, Kind.OPTIMAL)


def check(name: str) -> Public:
    """A public test that only asks how a cache behaves."""
    return Public(name, Kind.CHECK)
