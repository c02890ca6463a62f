"""Votes that other control processes were told, by a stream in Redis: each process sums all of them for itself.

Key: `votes`, a stream of {by, edge, told}, cut to MOST_MESSAGES. With Redis away a process goes on with what it is told
itself; what it could not pass on is lost to the others: votes fade anyway.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Self

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from control.connected import connected
from control.contract.observations import Observations, Quality
from control.observed.quality import Votes
from kit import log
from kit.tasks import Owner

KEY = "votes"
MOST_MESSAGES = 2000
"""Kept in the stream, of some kilobytes each."""
POLL_S = 1.0
BATCH = 100
FAILURES = (RedisError, OSError, TimeoutError)


class SharedVotes:
    """Passes on what this process is told, takes in what others were. `start` inside the loop, `close` at the end."""

    def __init__(self, redis: Redis, votes: Votes) -> None:
        self._redis, self._votes = redis, votes
        self._by = secrets.token_hex(8)
        self._has = "0-0"
        self._owner = Owner("votes")
        self.error: str | None = None
        """Why Redis could not be used the last time."""

    @classmethod
    def connect(cls, url: str, votes: Votes) -> Self:
        """At `url`; nothing is sent yet."""
        return cls(connected(url, connections=16), votes)

    async def start(self) -> None:
        """Take in what the stream has (Redis may be away), and keep up from then on."""
        await self.poll()
        self._owner.spawn("poll", self._run(), endless=True)

    async def share(self, edge: str, qualities: Sequence[Quality]) -> None:
        """Pass on what an edge told this process."""
        if qualities:
            told = Observations(quality=tuple(qualities)).encode().decode()
            with self._noticing():
                entry: dict[str | bytes, str | bytes] = {"by": self._by, "edge": edge, "told": told}
                await self._redis.xadd(KEY, entry, maxlen=MOST_MESSAGES, approximate=True)  # type: ignore[arg-type]

    async def poll(self) -> None:
        """Take in what others passed on since the last look."""
        with self._noticing():
            await self._begun_anew()
            for _ in range(MOST_MESSAGES // BATCH * 2):
                if await self._batch() < BATCH:
                    return

    async def close(self) -> None:
        """Let go of task and connections."""
        await self._owner.close()
        await self._redis.aclose()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            await self.poll()

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

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        """Redis away costs nobody an answer; said once each time."""
        try:
            yield
        except FAILURES as error:
            if self.error is None:
                log.get("observed").warning("redis is away", error=repr(error))
            self.error = f"{type(error).__name__}: {error}"
        else:
            self.error = None


def _number(name: str) -> tuple[int, int]:
    ms, _, place = name.partition("-")
    return int(ms), int(place)
