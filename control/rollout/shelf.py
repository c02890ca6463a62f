"""Where the state of rollouts is kept: in this process, or in Redis for all control processes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from control.rollout.model import State
from kit.errors import Overloaded

TIMEOUT_S = 1.0
_PUT = """
-- ARGV: the revision that this follows, JSON. 0 when another came first
local kept = redis.call('GET', 'rollout')
local revision = kept and cjson.decode(kept)['revision'] or 0
if revision ~= tonumber(ARGV[1]) then return 0 end
redis.call('SET', 'rollout', ARGV[2])
return 1
"""


class ShelfAway(Overloaded):
    """Redis cannot be asked; nodes keep the versions that they have."""

    kind = "rollout_away"


class Shelf(Protocol):
    """Keeps one state. Both calls may raise ShelfAway."""

    async def get(self) -> State:
        """The state."""
        ...

    async def put(self, state: State) -> bool:
        """Replace the state of the revision before; False when another came first."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class MemoryShelf:
    """A Shelf in this process."""

    def __init__(self) -> None:
        self._state = State()

    async def get(self) -> State:
        """See Shelf."""
        return self._state

    async def put(self, state: State) -> bool:
        """See Shelf."""
        if state.revision != self._state.revision + 1:
            return False
        self._state = state
        return True

    async def close(self) -> None:
        """See Shelf."""


class RedisShelf:
    """A Shelf in Redis, key `rollout`."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=16,
        )
        self._put = self._redis.register_script(_PUT)

    async def get(self) -> State:
        """See Shelf."""
        async with _translated():
            kept: Any = await self._redis.get("rollout")
        return State.model_validate_json(kept) if kept else State()

    async def put(self, state: State) -> bool:
        """See Shelf."""
        async with _translated():
            return bool(await self._put(args=[state.revision - 1, state.encode()]))

    async def close(self) -> None:
        """See Shelf."""
        await self._redis.aclose()


def shelf(url: str | None) -> Shelf:
    """The shelf of this installation; without Redis that of this process."""
    return RedisShelf(url) if url else MemoryShelf()


@contextlib.asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(2 * TIMEOUT_S):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise ShelfAway(f"Redis: {type(error).__name__}: {error}") from None
