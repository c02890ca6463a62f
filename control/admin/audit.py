"""Puts records into the audit log: in order, bounded, and never lost silently."""

import asyncio
from collections import deque

from control.admin.errors import AuditFull, StoreAway
from control.admin.limit import Windows
from control.admin.store import Store
from control.admin.trail import Outcome, Record
from kit import log
from kit.clock import Clock

BACKLOG = 1000
"""Records that wait for the store; with so many nothing more is done that would have to be put on record."""


class Audit:
    """The log's writer in this process. Every record is a line in the process's log too."""

    def __init__(self, store: Store, clock: Clock, refusals_per_min: int) -> None:
        """Of one caller's refused calls, `refusals_per_min` are written in any 60 s; the rest is counted."""
        self._store, self._clock, self._most = store, clock, refusals_per_min
        self._waiting: deque[Record] = deque()
        self._refusals = Windows()
        self._suppressed = 0
        self._lock = asyncio.Lock()
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Records that the store does not have yet."""
        return len(self._waiting)

    def demand_room(self) -> None:
        """AuditFull when what is done now could not be put on record."""
        if len(self._waiting) >= BACKLOG:
            raise AuditFull("the audit log cannot be written; nothing is done until it can")

    async def note(self, record: Record, *, caller: str) -> None:
        """Write it now, or as soon as the store is back."""
        if record.outcome is Outcome.REFUSED and not self._written(caller):
            self._suppressed += 1
            return
        record = record.model_copy(update={"suppressed": self._suppressed})
        self._suppressed = 0
        log.get("audit").info(record.action, **record.model_dump(mode="json", exclude={"action"}))
        if len(self._waiting) >= BACKLOG:
            self.lost += 1
            return
        self._waiting.append(record)
        await self.flush()

    async def flush(self) -> None:
        """Hand over what waits, oldest first; it goes on waiting while the store is away."""
        async with self._lock:
            while self._waiting:
                try:
                    await self._store.append(self._waiting[0])
                except StoreAway as error:
                    log.get("audit").error("not kept yet", waiting=len(self._waiting), error=str(error))
                    return
                self._waiting.popleft()

    def _written(self, caller: str) -> bool:
        return self._refusals.take(caller, self._most, self._clock.monotonic()).allowed
