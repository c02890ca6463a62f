"""Tokens and names in Redis, shared by all control processes. A task keeps the revoked names; with Redis away, or back
and empty, what was revoked stays refused."""

import asyncio
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from control.connected import connected
from control.enrolment.model import (
    MAX_NAMES,
    MAX_TOKENS,
    EnrolmentAway,
    EnrolmentState,
    Invitation,
    TooManyTokens,
    names_of,
)
from kit import log
from kit.tasks import Owner

LOOK_S = 0.4
"""A revocation is known to every control process after this."""
FAILURES = (RedisError, OSError, TimeoutError)
_INVITE = """
-- ARGV: hash, invitation, expires, now, most tokens, most names
for _, digest in ipairs(redis.call('ZRANGEBYSCORE', 'enrol:ends', '-inf', ARGV[4])) do
  redis.call('HDEL', 'enrol:tokens', digest)
  redis.call('ZREM', 'enrol:ends', digest)
end
if redis.call('HLEN', 'enrol:tokens') >= tonumber(ARGV[5]) then return 0 end
if redis.call('SCARD', 'enrol:names') >= tonumber(ARGV[6]) then return 0 end
redis.call('HSET', 'enrol:tokens', ARGV[1], ARGV[2])
redis.call('ZADD', 'enrol:ends', ARGV[3], ARGV[1])
return 1
"""
_REDEEM = """
-- ARGV: hash, the invitation as it was read, name
if redis.call('HGET', 'enrol:tokens', ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', 'enrol:tokens', ARGV[1])
redis.call('ZREM', 'enrol:ends', ARGV[1])
redis.call('SADD', 'enrol:names', ARGV[3])
return 1
"""
_REVOKE = """
-- ARGV: names
for _, name in ipairs(ARGV) do
  redis.call('SADD', 'enrol:revoked', name)
  redis.call('SREM', 'enrol:names', name)
end
return redis.call('SCARD', 'enrol:revoked')
"""


class RedisRoll:
    """A Roll over Redis. `start` inside the loop, `close` at the end."""

    def __init__(self, redis: Redis, looking: Redis) -> None:
        """`looking` is for revocations alone: whoever floods control with tokens that are none holds up no node's."""
        self.revoked: frozenset[str] = frozenset()
        self._redis, self._looking = redis, looking
        self._invite, self._redeem = map(redis.register_script, (_INVITE, _REDEEM))
        self._revoke = looking.register_script(_REVOKE)
        self._owner, self._closing, self._error = Owner("enrolment"), False, ""

    @classmethod
    def connect(cls, url: str) -> Self:
        """At `url`; nothing is sent yet."""
        return cls(connected(url, connections=8), connected(url, connections=2))

    async def start(self) -> None:
        """Read the revoked names once (Redis may be away already) and keep them fresh from then on."""
        await self._look()
        self._owner.spawn("revoked", self._run(), endless=True)

    async def invite(self, digest: str, invitation: Invitation, now: float) -> None:
        """See Roll."""
        args: list[str | int | float]
        args = [digest, invitation.model_dump_json(), invitation.expires, now, MAX_TOKENS, MAX_NAMES]
        try:
            kept = await self._invite(args=args)
        except FAILURES as error:
            raise _away(error) from None
        if not kept:
            raise TooManyTokens(f"{MAX_TOKENS} tokens wait, or {MAX_NAMES} nodes are enrolled")

    async def invited(self, now: float) -> tuple[Invitation, ...]:
        """See Roll."""
        try:
            rows: list[Any] = await self._redis.hvals("enrol:tokens")
        except FAILURES as error:
            raise _away(error) from None
        held = (Invitation.model_validate_json(row) for row in rows)
        return tuple(each for each in held if each.expires > now)

    async def redeem(self, digest: str, node_id: str, role: str, serial: str, now: float) -> bool:
        """See Roll. The script takes only the invitation that was looked at here."""
        try:
            row = await self._redis.hget("enrol:tokens", digest)
            if row is None:
                return False
            held = Invitation.model_validate_json(row)
            if held.expires <= now or (held.id, held.role) != (node_id, role):
                return False
            return bool(await self._redeem(args=[digest, str(row), f"{node_id}:{serial}"]))
        except FAILURES as error:
            raise _away(error) from None

    async def revoke(self, node_id: str) -> tuple[str, ...]:
        """See Roll."""
        try:
            known: set[Any] = await self._looking.sunion(["enrol:names", "enrol:revoked"])
            names = names_of(node_id, known)
            await self._revoke(args=list(names))
        except FAILURES as error:
            raise _away(error) from None
        self.revoked |= set(names)
        return names

    def state(self) -> EnrolmentState:
        """See Roll."""
        return EnrolmentState("redis", "away" if self._error else "up", len(self.revoked))

    async def close(self) -> None:
        """See Roll."""
        self._closing = True  # a call to Redis may swallow the cancellation
        await self._owner.close()
        await self._redis.aclose()
        await self._looking.aclose()

    async def _run(self) -> None:
        while not self._closing:
            await asyncio.sleep(LOOK_S)
            await self._look()

    async def _look(self) -> None:
        """Revoked is for ever: what this process knows and Redis does not, Redis has lost."""
        try:
            there: set[Any] = await self._looking.smembers("enrol:revoked")
            if lost := self.revoked - there:
                await self._revoke(args=sorted(lost))
        except FAILURES as error:
            if not self._error:
                log.get("enrolment").error("redis is away: revoked names stay as they are", error=repr(error))
            self._error = repr(error)
            return
        self.revoked, self._error = self.revoked | there, ""


def _away(error: BaseException) -> EnrolmentAway:
    return EnrolmentAway(f"enrolment is away: {type(error).__name__}: {error}")
