"""How long ago this node heard from whoever gives it orders, and a tier that serves nobody once that is too long.

Purges and revocations do not reach a node that is cut off; a bound on how long it goes on is for installations to
which that matters more than playing on (`max_isolation_s`, contracts.md). Who that is the engine does not know.
"""

from collections.abc import Sequence
from typing import ClassVar

from kit.clock import Clock
from kit.errors import Overloaded
from kit.published import Publisher, Reader
from proxy.http.fields import Fields
from proxy.serve.exchange import Exchange
from proxy.serve.tier import Direct, Intake, Passage, Tier

FD = "contact"
"""The name of the descriptor that workers get."""
_MOST_BYTES = 64


class Isolated(Overloaded):
    """This node has not been told for too long what it must no longer serve. Another node, or this one later, may."""

    kind: ClassVar[str] = "isolated"


class Contact:
    """The supervisor's side: notes each time that it hears. The node's start counts as the first."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._publisher = clock, Publisher(_MOST_BYTES)
        self._last = 0.0
        self.heard()

    @property
    def fd(self) -> int:
        """For the workers."""
        return self._publisher.fd

    def heard(self) -> None:
        """It was heard now."""
        self._last = self._clock.monotonic()
        self._publisher.put((repr(self._last),))

    def age_s(self) -> float:
        """Seconds since it was."""
        return self._clock.monotonic() - self._last

    def close(self) -> None:
        """Let go of the memory."""
        self._publisher.close()


class ContactTier:
    """A tier as long as its node hears; see proxy.serve.tier.Tier. The clocks of the node's processes are one."""

    def __init__(self, tier: Tier, fd: int, most_s: float, clock: Clock) -> None:
        self._tier, self._most_s, self._clock = tier, most_s, clock
        self._reader, self._seen, self._last = Reader(fd), 0, 0.0
        self._changes: Sequence[int] = self._reader.changes
        self.answer_fields, self.grace, self.reasons = tier.answer_fields, tier.grace, tier.reasons
        self.logged, self.forwarded = tier.logged, tier.forwarded

    def admit(self, exchange: Exchange, now: float) -> Passage | Direct | Intake:
        """See Tier. Isolated, whoever asks: nobody learns what he could have had."""
        if self._isolated():
            raise Isolated("nothing was heard of control for too long")
        return self._tier.admit(exchange, now)

    def quick(self, target: str, fields: Fields, now: float) -> tuple[str, str] | None:
        """See Tier."""
        return None if self._isolated() else self._tier.quick(target, fields, now)

    def _isolated(self) -> bool:
        if self._changes[0] != self._seen:
            for word in self._reader.words():
                self._last = float(word)
            self._seen = self._reader.seen
        return self._clock.monotonic() - self._last > self._most_s
