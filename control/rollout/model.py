"""The state of rollouts, as it is kept and shown. Times in seconds since the epoch."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from control.contract.messages import Message

MOST_VERSIONS = 20
"""Versions kept; those that nothing points at go first, oldest first."""
MOST_EVENTS = 200


class Stage(StrEnum):
    """Where a version stands."""

    STAGED = "staged"
    CANARY = "canary"
    PROVEN = "proven"
    """Its canary ended well: it may become active."""
    ACTIVE = "active"
    RETIRED = "retired"
    """It was active; going back means going back to it."""
    ROLLED_BACK = "rolled_back"
    """It was bad, or somebody said so. It never runs again."""


class Content(Message):
    """What a version says, a tree of settings a tier. Empty: the nodes' own settings."""

    edge: dict[str, Any] = {}
    shield: dict[str, Any] = {}

    def of(self, role: str) -> dict[str, Any]:
        """What it says to nodes of a role."""
        return {"edge": self.edge, "shield": self.shield}.get(role, {})


class Version(Message):
    """One version."""

    number: int
    stage: Stage
    made: float
    by: str
    note: str
    why: str
    """Why it stands where it stands, where there is more to say than who did it."""
    content: Content


class Canary(Message):
    """The version that is tried, and where."""

    version: int
    nodes: tuple[str, ...]
    since: float
    soak_s: float
    """So long it must do well."""
    goes_on: bool
    """Whether it becomes active by itself when it has."""


class Event(Message):
    """Something that happened to a version."""

    at: float
    version: int
    stage: Stage
    by: str
    why: str


class State(Message):
    """All of it. `revision` rises with every change, so that two that change at once are noticed."""

    revision: int = 0
    last: int = 0
    """The newest number given."""
    active: int | None = None
    canary: Canary | None = None
    versions: tuple[Version, ...] = ()
    """Oldest first."""
    events: tuple[Event, ...] = Field(default=(), max_length=MOST_EVENTS)
    """Oldest first."""

    def version(self, number: int) -> Version | None:
        """One version."""
        return next((each for each in self.versions if each.number == number), None)


class Change(Message):
    """One setting that two versions say differently; null: one does not say it."""

    tier: Literal["edge", "shield"]
    name: str
    before: Any
    after: Any
