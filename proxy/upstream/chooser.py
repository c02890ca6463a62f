"""Which server of the next tier is asked for a key: rendezvous hash among those not known to be down."""

from kit.hashing import rank

DOWN_S = 2.0
"""A server that could not be connected to is asked last for this long."""


class Chooser:
    """The servers of one tier. Handed the time; does no I/O."""

    def __init__(self, bases: tuple[str, ...]) -> None:
        if not bases:
            raise ValueError("no upstream")
        self.bases = bases
        self._down_until: dict[str, float] = {}

    def order(self, key: str, now: float) -> list[str]:
        """All servers, the best for `key` first, those that are down behind."""
        ranked = list(self.bases) if len(self.bases) == 1 else rank(key, self.bases)
        return sorted(ranked, key=lambda base: self._down_until.get(base, 0.0) > now)

    def failed(self, base: str, now: float) -> None:
        """`base` could not be connected to."""
        self._down_until[base] = now + DOWN_S

    def worked(self, base: str) -> None:
        """`base` answered."""
        self._down_until.pop(base, None)
