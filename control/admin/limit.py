"""How often somebody may call: a sliding window (RAT-06, C-23). Refused calls are not counted."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime

WINDOW_S = 60.0
MOST_CALLERS = 4096
"""Callers remembered; those that were silent longest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one call. `reset_s`: when the oldest counted call leaves the window."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: float

    def fields(self, now: float) -> dict[str, str]:
        """The header fields of every answer, both sets (RAT-09, RAT-10, C-24). `now` in seconds since the epoch."""
        reset = datetime.fromtimestamp(now + self.reset_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": reset,
            "RateLimit-Policy": f'"admin";q={self.limit};w={WINDOW_S:.0f}',
            "RateLimit": f'"admin";r={self.remaining};t={max(0, round(self.reset_s))}',
        }


class Windows:
    """Windows of many callers in this process. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, caller: str, limit: int, now: float) -> Taken:
        """Count one call of `caller` if it fits."""
        times = self._recent(caller, now)
        allowed = len(times) < limit
        if allowed:
            times.append(now)
            self._times[caller] = times
            self._times.move_to_end(caller)
            if len(self._times) > MOST_CALLERS:
                self._times.popitem(last=False)
        return Taken(allowed, limit, limit - len(times), times[0] + WINDOW_S - now)

    def _recent(self, caller: str, now: float) -> deque[float]:
        times = self._times.get(caller) or deque()
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        return times
