"""Keeping up, through Redis, with what other control processes are told."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kit import log
from kit.tasks import Owner

FAILURES = (RedisError, OSError, TimeoutError)


class Following(ABC):
    """Looks for news every `poll_s` seconds. `start` inside the loop, `close` at the end."""

    def __init__(self, redis: Redis, owner: str, poll_s: float) -> None:
        """`owner` names the task."""
        self._redis, self._owner, self._poll_s = redis, Owner(owner), poll_s
        self.error: str | None = None
        """Why Redis could not be used the last time."""

    async def start(self) -> None:
        """Take in what there is (Redis may be away), and keep up from then on."""
        await self.poll()
        self._owner.spawn("poll", self._run(), endless=True)

    async def poll(self) -> None:
        """Take in what came since the last look."""
        with self._noticing():
            await self._look()

    async def close(self) -> None:
        """Let go of task and connections."""
        await self._owner.close()
        await self._redis.aclose()

    @abstractmethod
    async def _look(self) -> None:
        """Ask Redis once, in batches."""

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            await self.poll()

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
