"""How long to wait before asking again: pure, handed the chance."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Twice as long each time, spread, so that a fleet does not return in step (C-25, RES-05). Seconds; `attempts`
    after the first try, where there is an end."""

    first_s: float
    most_s: float
    attempts: int = 3

    def delay_s(self, attempt: int, chance: float) -> float:
        """The pause before retry `attempt` (from 0): at least half of the longest, by `chance`, which is 0 to 1."""
        longest = min(self.most_s, self.first_s * 2.0 ** min(attempt, 60))
        return longest * (0.5 + chance / 2)
