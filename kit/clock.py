"""Time, handed in. Rules take a number; shells take a Clock; only this module reads the machine's."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time."""

    def wall(self) -> float:
        """Seconds since the epoch, for dates that leave the process."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for deadlines and ages."""
        ...


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> float:
        """See Clock."""
        return time.time()

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()


class ManualClock:
    """A clock that moves when told: for tests and simulations."""

    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self._wall = wall
        self._monotonic = 1000.0

    def wall(self) -> float:
        """See Clock."""
        return self._wall

    def monotonic(self) -> float:
        """See Clock."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both readings forward by `seconds`."""
        self._wall += seconds
        self._monotonic += seconds
