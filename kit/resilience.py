"""When to stop asking: pure, handed the time."""

from collections import deque
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """A breaker's state; the value is that of the metric `circuit_breaker_state` (RES-10)."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """When a breaker opens, and for how long (C-26, RES-07)."""

    failures: int = 5
    """This many failures in the window open it ..."""
    ratio: float = 0.5
    """... or this share of failed calls, ..."""
    volume: int = 10
    """... once there were this many calls."""
    window_s: float = 60.0
    reset_s: float = 30.0
    probes: int = 3
    """Successes in a row that close it again; also how many calls may be under way meanwhile."""


class Breaker:
    """Stops calls to a dependency that fails. `allow` before a call, then `succeeded` or `failed` with its ticket.

    A result that comes from before the last change of state counts nothing (T-032).
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._calls: deque[tuple[float, bool]] = deque()
        self._state = State.CLOSED
        self._opened = 0.0
        self._generation = 0
        self._probing = self._proved = 0

    def __repr__(self) -> str:
        return f"<Breaker {self._state.name.lower()} calls={len(self._calls)} probing={self._probing}>"

    def state(self, now: float) -> State:
        """The state at `now`; an open breaker whose time is over is half open."""
        if self._state is State.OPEN and now - self._opened >= self._limits.reset_s:
            self._change(State.HALF_OPEN)
        return self._state

    def allow(self, now: float) -> int | None:
        """A ticket for one call at `now` (monotonic seconds), or None when it must not be made."""
        state = self.state(now)
        if state is State.OPEN:
            return None
        if state is State.HALF_OPEN:
            if self._probing >= self._limits.probes:
                return None
            self._probing += 1
        return self._generation

    def succeeded(self, ticket: int, now: float) -> None:
        """The call with this ticket did."""
        self._ended(ticket, now, failed=False)

    def failed(self, ticket: int, now: float) -> None:
        """The call with this ticket did not: the dependency's fault, not the caller's."""
        self._ended(ticket, now, failed=True)

    def _ended(self, ticket: int, now: float, *, failed: bool) -> None:
        if ticket != self._generation:
            return
        if self._state is State.HALF_OPEN:
            self._probed(now, failed=failed)
            return
        self._calls.append((now, failed))
        while self._calls[0][0] <= now - self._limits.window_s or len(self._calls) > 10_000:
            self._calls.popleft()
        if failed and self._too_many():
            self._open(now)

    def _probed(self, now: float, *, failed: bool) -> None:
        self._probing -= 1
        if failed:
            self._open(now)
            return
        self._proved += 1
        if self._proved >= self._limits.probes:
            self._change(State.CLOSED)

    def _too_many(self) -> bool:
        failures = sum(failed for _, failed in self._calls)
        if failures >= self._limits.failures:
            return True
        return len(self._calls) >= self._limits.volume and failures >= len(self._calls) * self._limits.ratio

    def _open(self, now: float) -> None:
        self._opened = now
        self._change(State.OPEN)

    def _change(self, state: State) -> None:
        self._state = state
        self._generation += 1
        self._calls.clear()
        self._probing = self._proved = 0
