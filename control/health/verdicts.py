"""Where verdicts are kept: in Redis for all control processes, of which one at a time judges; else in this process."""

import contextlib
import secrets
from collections.abc import Mapping
from typing import Any, Protocol, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from control.connected import connected
from control.health.rules import State, Verdict

FAILURES = (RedisError, OSError, TimeoutError)
_TURN = """
-- ARGV: who, for how long in ms. Whose turn it is keeps it; another takes it when that is over.
local who = redis.call('GET', 'health:judge')
if who and who ~= ARGV[1] then return 0 end
redis.call('SET', 'health:judge', ARGV[1], 'PX', ARGV[2])
return 1
"""
_WRITE = """
-- ARGV: who, how many change, then id verdict ..., then ids of nodes that are no more. Only who has the turn writes.
if redis.call('GET', 'health:judge') ~= ARGV[1] then return 0 end
local changed = tonumber(ARGV[2])
for i = 3, 2 + 2 * changed, 2 do redis.call('HSET', 'health:verdicts', ARGV[i], ARGV[i + 1]) end
for i = 3 + 2 * changed, #ARGV do redis.call('HDEL', 'health:verdicts', ARGV[i]) end
return 1
"""


class Verdicts(Protocol):
    """Verdicts by node. Nothing here fails: with Redis away this process judges for itself, from what it knew."""

    async def turn(self, seconds: float) -> bool:
        """Whether this process is the judge for the next `seconds`."""
        ...

    async def read(self) -> Mapping[str, Verdict]:
        """All verdicts."""
        ...

    async def write(self, verdicts: Mapping[str, Verdict]) -> None:
        """These and no others."""
        ...

    async def put(self, node_id: str, verdict: Verdict) -> None:
        """One of them, out of turn."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class MemoryVerdicts:
    """Of this process alone."""

    def __init__(self) -> None:
        self._verdicts: dict[str, Verdict] = {}

    async def turn(self, seconds: float) -> bool:
        """See Verdicts."""
        return True

    async def read(self) -> Mapping[str, Verdict]:
        """See Verdicts."""
        return self._verdicts

    async def write(self, verdicts: Mapping[str, Verdict]) -> None:
        """See Verdicts."""
        self._verdicts = dict(verdicts)

    async def put(self, node_id: str, verdict: Verdict) -> None:
        """See Verdicts."""
        self._verdicts[node_id] = verdict

    async def close(self) -> None:
        """See Verdicts."""


class RedisVerdicts:
    """Shared: hash `health:verdicts`, key `health:judge`."""

    def __init__(self, redis: Redis) -> None:
        self._redis, self._who = redis, secrets.token_hex(8)
        self._turn, self._write = redis.register_script(_TURN), redis.register_script(_WRITE)
        self._known: dict[str, Verdict] = {}

    @classmethod
    def connect(cls, url: str) -> Self:
        """At `url`; nothing is sent yet."""
        return cls(connected(url, connections=8))

    async def turn(self, seconds: float) -> bool:
        """See Verdicts."""
        try:
            return bool(await self._turn(args=[self._who, max(1, int(seconds * 1000))]))
        except FAILURES:
            return True

    async def read(self) -> Mapping[str, Verdict]:
        """See Verdicts."""
        try:
            rows: dict[Any, Any] = await self._redis.hgetall("health:verdicts")
        except FAILURES:
            return self._known
        self._known = {id_: _verdict(text) for id_, text in rows.items()}
        return self._known

    async def write(self, verdicts: Mapping[str, Verdict]) -> None:
        """See Verdicts."""
        changed = [(id_, _text(v)) for id_, v in verdicts.items() if self._known.get(id_) != v]
        gone = self._known.keys() - verdicts.keys()
        self._known = dict(verdicts)
        args: list[str | int] = [self._who, len(changed), *(part for pair in changed for part in pair), *gone]
        with contextlib.suppress(*FAILURES):
            await self._write(args=args)

    async def put(self, node_id: str, verdict: Verdict) -> None:
        """See Verdicts."""
        self._known = {**self._known, node_id: verdict}
        with contextlib.suppress(*FAILURES):
            await self._redis.hset("health:verdicts", node_id, _text(verdict))

    async def close(self) -> None:
        """See Verdicts."""
        await self._redis.aclose()


def _text(verdict: Verdict) -> str:
    return f"{verdict.state} {verdict.bad} {verdict.worse} {verdict.well} {verdict.good}"


def _verdict(text: str) -> Verdict:
    state, *counts = text.split()
    bad, worse, well, good = map(int, counts)
    return Verdict(State(state), bad, worse, well, good)
