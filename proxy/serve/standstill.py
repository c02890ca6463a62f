"""When the bytes of a connection have not moved for too long: one timer a connection and timeout, not one an answer.

It looks when bytes last moved; a wait for our own disk is nobody's fault and counts for nothing.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto


class Waiting(Enum):
    """What an answer that is under way waits for."""

    NOTHING = auto()
    """There is none."""
    VIEWER = auto()
    DISK = auto()


class Standstill:
    """Calls `late` when a viewer took nothing for `timeout_s` while `waiting` said that it was waited for."""

    def __init__(self, timeout_s: float, waiting: Callable[[], Waiting], late: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_s, self._waiting, self._late = timeout_s, waiting, late
        self._moved = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def moved(self) -> None:
        """Bytes moved, or an answer began."""
        self._moved = self._loop.time()

    def watch(self) -> None:
        """The viewer is waited for now."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        left = self._moved + self._timeout_s - self._loop.time()
        match self._waiting():
            case Waiting.DISK:
                self._timer = self._loop.call_later(self._timeout_s, self._look)
            case Waiting.VIEWER if left > 0:
                self._timer = self._loop.call_later(max(left, 0.001), self._look)
            case Waiting.VIEWER:
                self._late()
            case Waiting.NOTHING:
                pass
