"""One worker's side of admission: what it asks for is remembered for all workers, what it decides is counted."""

from enum import StrEnum

from kit.metrics import Family, Row
from proxy.rules.variants import MARK as VARIANT
from proxy.store.admit import SecondHit


class Decision(StrEnum):
    """What was decided of an answer that could be stored."""

    ROOM = "room"
    """Stored: nothing has to go for it."""
    AGAIN = "again"
    """Stored: it was asked for before, or by more than one while it came."""
    EXEMPT = "exempt"
    """Stored: small, or pinned."""
    REFUSED = "refused"
    """Answered, not stored."""


METRICS = (
    Family(
        "headrace_admission_total",
        "Answers that could be stored on disk, by what was decided of them",
        label="decision",
        values=tuple(Decision),
    ),
)


class Admission:
    """Without `asked` everything is stored."""

    def __init__(self, row: Row, asked: SecondHit | None, above: int) -> None:
        """Answers of `above` bytes or less are always stored."""
        self._row, self._asked, self._above = row, asked, above

    def ask(self, key: str) -> None:
        """A request for `key` found nothing that could be served."""
        if self._asked is not None:
            self._asked.ask(_bytes(key))

    def admits(self, key: str, size: int, *, full: bool, pinned: bool) -> bool:
        """Whether an answer whose body has `size` bytes is stored; asked when it is complete, so that those who came
        while it was brought count."""
        decision = self._decide(key, size, full=full, pinned=pinned)
        self._row.add("headrace_admission_total", decision)
        return decision is not Decision.REFUSED

    def _decide(self, key: str, size: int, *, full: bool, pinned: bool) -> Decision:
        if not full:
            return Decision.ROOM
        if self._asked is None or pinned or size <= self._above:
            return Decision.EXEMPT
        return Decision.AGAIN if self._asked.wanted(_bytes(key)) else Decision.REFUSED


def _bytes(key: str) -> bytes:
    """Variants of a key are asked for under the key: which one it will be is not known yet."""
    return key.partition(VARIANT)[0].encode("utf-8", "surrogateescape")
