"""The book that all control processes share: `overrides`, a hash of id -> JSON. Each process keeps a picture of it."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from control.connected import TIMEOUT_S, connected
from control.overrides.book import MOST, Book, BookAway, InForce, MemoryBook, Row, full
from control.steering.overrides import Override
from kit import log
from kit.clock import Clock
from kit.tasks import Owner

POLL_S = 1.0
_PUT = """
-- ARGV: id, JSON, seconds since the epoch, how many there may be. 0 when there is no room; those past their end go
for _, row in ipairs(redis.call('HVALS', 'overrides')) do
  local kept = cjson.decode(row)
  if kept['until'] <= tonumber(ARGV[3]) then redis.call('HDEL', 'overrides', kept['id']) end
end
if redis.call('HLEN', 'overrides') >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', 'overrides', ARGV[1], ARGV[2])
return 1
"""


class RedisBook:
    """See Book. `start` inside the loop."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis, self._clock = redis, clock
        self._picture, self._owner = InForce(clock), Owner("overrides")
        self._put = redis.register_script(_PUT)
        self._away, self._strange = False, set[str]()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def connect(cls, url: str, clock: Clock) -> "RedisBook":
        """A book at `url`; nothing is sent yet."""
        return cls(connected(url, connections=4), clock)

    async def start(self) -> None:
        """Read once (Redis may be away) and keep the picture fresh from then on."""
        await self._read()
        self._task = self._owner.spawn("poll", self._poll())

    def in_force(self) -> tuple[Override, ...]:
        """See Book."""
        return self._picture.get()

    async def put(self, override: Override) -> None:
        """See Book."""
        row = Row.of(override).model_dump_json(by_alias=False)
        with _translated():
            kept = await self._put(args=[override.id, row, self._clock.wall(), MOST])
        if not kept:
            raise full()
        await self._read()

    async def drop(self, override_id: str) -> bool:
        """See Book."""
        with _translated():
            was = bool(await self._redis.hdel("overrides", override_id))
        await self._read()
        return was

    async def close(self) -> None:
        """See Book. The read under way may end: a cancelled call would leave its connection half read."""
        self._closing.set()
        if self._task:
            await asyncio.wait([self._task], timeout=TIMEOUT_S + POLL_S)
        await self._owner.close()
        await self._redis.aclose()

    async def _poll(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._closing.wait()
            await self._read()

    async def _read(self) -> None:
        try:
            with _translated():
                rows: Any = await self._redis.hvals("overrides")
        except BookAway as error:
            if not self._away:
                log.get("overrides").error("those known stay in force", error=str(error))
            self._away = True
            return
        self._away = False
        self._take(rows)

    def _take(self, rows: list[str]) -> None:
        """A row that another version of ours wrote must not keep the others from being followed."""
        found, strange = [], set()
        for row in rows:
            try:
                found.append(Row.model_validate_json(row).override())
            except ValidationError:
                strange.add(row)
        if strange - self._strange:
            log.get("overrides").error("overrides that are not understood are not followed", count=len(strange))
        self._strange = strange
        self._picture.set(tuple(sorted(found, key=lambda each: (each.until, each.id))))


async def opened(url: str | None, clock: Clock) -> Book:
    """The book of this installation; without Redis that of this process."""
    if url is None:
        return MemoryBook(clock)
    book = RedisBook.connect(url, clock)
    await book.start()
    return book


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise BookAway(f"Redis: {type(error).__name__}: {error}") from None
