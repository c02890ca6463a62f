"""Where a title may be played: a rules table over countries (C-38, T-082), open unless it says otherwise."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from geo.centroids import CENTROIDS

COUNTRY_PATTERN = r"^[A-Z]{2}$"
MOST_COUNTRIES = 300


@dataclass(frozen=True, slots=True)
class Territory:
    """`allow` empty: everywhere but in `deny`. Otherwise only in `allow`, less `deny`."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    @classmethod
    def of(cls, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> Self:
        """ValueError for what is no ISO 3166-1 alpha-2 code in capitals, and for a country in both lists."""
        made = cls(frozenset(allow), frozenset(deny))
        if unknown := sorted(each for each in made.allow | made.deny if each not in CENTROIDS):
            raise ValueError(f"no country code (ISO 3166-1 alpha-2): {', '.join(unknown)[:200]}")
        if both := sorted(made.allow & made.deny):
            raise ValueError(f"allowed and denied at once: {', '.join(both)}")
        return made

    @property
    def open(self) -> bool:
        """Whether it holds no rule."""
        return not (self.allow or self.deny)

    def admits(self, country: str | None) -> bool:
        """Whether a viewer in `country` may play. Nobody knows where: only what is open everywhere (T-022)."""
        if self.open:
            return True
        if country is None or country in self.deny:
            return False
        return not self.allow or country in self.allow
