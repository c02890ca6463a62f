"""What a book of overrides must do, and its form in one process."""

from dataclasses import asdict
from typing import Protocol

from control.contract.messages import Message
from control.steering.overrides import Kind, Override, in_force
from kit.clock import Clock
from kit.errors import Conflict, Overloaded

MOST = 200
"""Overrides at a time: each is looked at for every session."""


class BookAway(Overloaded):
    """Redis cannot be asked; what is in force stays so until its end."""

    kind = "overrides_away"


class Row(Message):
    """An override as it is kept and shown. `until` in seconds since the epoch."""

    id: str
    kind: Kind
    edge: str
    until: float
    title: str | None
    region: str | None
    percent: float
    by: str
    reason: str

    @classmethod
    def of(cls, override: Override) -> "Row":
        """The row of an override."""
        return cls(**asdict(override))

    def override(self) -> Override:
        """What steering takes."""
        return Override(**self.model_dump(by_alias=False))


class Book(Protocol):
    """Keeps overrides. `in_force` never waits and never fails."""

    def in_force(self) -> tuple[Override, ...]:
        """Those whose end has not come, oldest first, at most a second old."""
        ...

    async def put(self, override: Override) -> None:
        """Keep one. Conflict when there are MOST; BookAway."""
        ...

    async def drop(self, override_id: str) -> bool:
        """Forget one; whether it was there. BookAway."""
        ...

    async def close(self) -> None:
        """Let go of tasks and connections."""
        ...


class InForce:
    """The overrides of one moment: those past their end drop out by themselves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: tuple[Override, ...] = ()
        self._until = float("inf")

    def set(self, overrides: tuple[Override, ...]) -> None:
        """Replace them."""
        self._kept = in_force(overrides, self._clock.wall())
        self._until = min((each.until for each in self._kept), default=float("inf"))

    def get(self) -> tuple[Override, ...]:
        """Those in force now."""
        if self._kept and self._clock.wall() >= self._until:
            self.set(self._kept)
        return self._kept


class MemoryBook:
    """A Book in this process alone."""

    def __init__(self, clock: Clock) -> None:
        self._picture = InForce(clock)

    def in_force(self) -> tuple[Override, ...]:
        """See Book."""
        return self._picture.get()

    async def put(self, override: Override) -> None:
        """See Book."""
        kept = self._picture.get()
        if len(kept) >= MOST:
            raise full()
        self._picture.set((*kept, override))

    async def drop(self, override_id: str) -> bool:
        """See Book."""
        kept = self._picture.get()
        left = tuple(each for each in kept if each.id != override_id)
        self._picture.set(left)
        return len(left) < len(kept)

    async def close(self) -> None:
        """See Book."""


def full() -> Conflict:
    """Why one more is not kept."""
    return Conflict(f"there are {MOST} overrides; lift one first")
