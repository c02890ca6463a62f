"""Round trips of client networks, summed within bounds (D-15)."""

from collections.abc import Iterable

WEIGHT = 0.3
"""Of a new sample in the average (D-15)."""
MOST_NETWORKS = 4096
"""Networks held at a time; further ones are counted as dropped."""
_Trip = tuple[str, float, int]


class RoundTrips:
    """An average and a count for each network."""

    def __init__(self, most: int = MOST_NETWORKS) -> None:
        self._most = most
        self._seen: dict[str, tuple[float, int]] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, network: str, ms: float, count: int = 1) -> None:
        """`count` more samples of mean `ms`."""
        known = self._seen.get(network)
        if known is None:
            if len(self._seen) >= self._most:
                self.dropped += count
                return
            self._seen[network] = (ms, count)
        else:
            share = 1.0 - (1.0 - WEIGHT) ** count
            self._seen[network] = (known[0] + share * (ms - known[0]), known[1] + count)

    def take(self, most: int) -> list[_Trip]:
        """The networks with most samples, out of here."""
        chosen = sorted(self._seen.items(), key=lambda each: -each[1][1])[:most]
        for network, _ in chosen:
            del self._seen[network]
        return [(network, round(ms, 3), count) for network, (ms, count) in chosen]

    def extend(self, trips: Iterable[_Trip]) -> None:
        """Add what `take` gave."""
        for network, ms, count in trips:
            self.add(network, ms, count)
