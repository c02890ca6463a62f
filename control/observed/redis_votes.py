"""Votes that other control processes were told, by a stream in Redis: each process sums all of them for itself.

Key: `votes`, a stream of {by, edge, told}, cut to MOST_MESSAGES. With Redis away a process goes on with what it is told
itself; what it could not pass on is lost to the others: votes fade anyway.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Self

from pydantic import ValidationError
from redis.asyncio import Redis

from control.connected import connected
from control.contract.observations import Observations, Quality
from control.observed.following import Following
from control.observed.quality import Votes
from kit import log

KEY = "votes"
MOST_MESSAGES = 2000
"""Kept in the stream, of some kilobytes each."""
POLL_S = 1.0
BATCH = 100


class SharedVotes(Following):
    """Passes on what this process is told, takes in what others were. `start` inside the loop, `close` at the end."""

    def __init__(self, redis: Redis, votes: Votes) -> None:
        super().__init__(redis, "votes", POLL_S)
        self._votes = votes
        self._by = secrets.token_hex(8)
        self._has = "0-0"

    @classmethod
    def connect(cls, url: str, votes: Votes) -> Self:
        """At `url`; nothing is sent yet."""
        return cls(connected(url, connections=16), votes)

    async def share(self, edge: str, qualities: Sequence[Quality]) -> None:
        """Pass on what an edge told this process."""
        if qualities:
            told = Observations(quality=tuple(qualities)).encode().decode()
            with self._noticing():
                entry: dict[str | bytes, str | bytes] = {"by": self._by, "edge": edge, "told": told}
                await self._redis.xadd(KEY, entry, maxlen=MOST_MESSAGES, approximate=True)  # type: ignore[arg-type]

    async def _look(self) -> None:
        await self._begun_anew()
        for _ in range(MOST_MESSAGES // BATCH * 2):
            if await self._batch() < BATCH:
                return

    async def _begun_anew(self) -> None:
        """A Redis that lost its stream counts from its own time again: nothing newer than what we have is behind."""
        newest: Any = await self._redis.xrevrange(KEY, count=1)
        if not newest or _number(newest[0][0]) < _number(self._has):
            self._has = "0-0"

    async def _batch(self) -> int:
        entries: list[Any] = await self._redis.xrange(KEY, min=f"({self._has}", count=BATCH) or []
        if not entries:
            return 0
        seconds, micros = await self._redis.time()
        for name, entry in entries:
            self._has = name
            if entry.get("by") != self._by:
                age_s = max(0.0, seconds + micros / 1e6 - _number(name)[0] / 1000)
                self._take(entry, age_s)
        return len(entries)

    def _take(self, entry: dict[str, str], age_s: float) -> None:
        try:
            told = Observations.model_validate_json(entry["told"])
            self._votes.note(entry["edge"], told.quality, age_s=age_s)
        except (ValidationError, KeyError):  # of another version of ours
            log.get("observed").warning("a message in the stream of votes is not understood")


def _number(name: str) -> tuple[int, int]:
    ms, _, place = name.partition("-")
    return int(ms), int(place)
