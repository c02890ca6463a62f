"""The log of orders in Redis, shared by all control processes.

What nodes are told is a picture in this process, kept by a task that waits for Redis to ring: with Redis away, nodes
that were away are still told what was issued before. Nothing can be issued then: an order is in Redis, or refused.
"""

import asyncio
import uuid

from redis.exceptions import RedisError

from control.contract.orders import Ack, Order
from control.orders.feed import Feeds, new_epoch
from control.orders.model import Bounds, Draft, LogState, OrdersAway, OrderStatus
from control.orders.redis_rows import OrderRows
from kit import log
from kit.clock import Clock
from kit.tasks import Owner

RETRY_S = 0.25
"""Between two tries while Redis is away."""
TRIES = 3
"""An issue whose answer was lost is asked again under the same key."""
FORGOTTEN_S = 86_400.0
"""A node that did not ask for orders for a day is not waited for any more."""
FAILURES = (RedisError, OSError, TimeoutError)


class RedisLog:
    """An OrderLog over Redis. `start` inside the loop, `close` at the end."""

    def __init__(self, rows: OrderRows, clock: Clock, bounds: Bounds) -> None:
        self.feeds = Feeds(new_epoch(), bounds.kept, known=False)
        self._rows, self._clock, self._bounds = rows, clock, bounds
        self._error: str | None = "not asked yet"
        self._owner, self._lock, self._closing = Owner("order-log"), asyncio.Lock(), False

    async def start(self) -> None:
        """Read the log once (Redis may be away already) and keep the picture fresh from then on."""
        await self._try_sync()
        self._owner.spawn("sync", self._run(), endless=True)

    async def issue(self, draft: Draft) -> Order:
        """See OrderLog."""
        key = draft.key or uuid.uuid4().hex
        for left in reversed(range(TRIES)):
            try:
                order = await self._rows.issue(draft, key, self._bounds, self.feeds.epoch)
                break
            except FAILURES as error:
                if not left:
                    raise _away(error) from None
                await asyncio.sleep(RETRY_S)
        await self._try_sync()
        return order

    async def tell(self, number: int) -> None:
        """See OrderLog."""
        try:
            await self._rows.tell(number, self._bounds.kept, self.feeds.epoch)
        except FAILURES as error:
            raise _away(error) from None
        await self._try_sync()

    async def ack(self, number: int, node_id: str, ack: Ack, now: float) -> None:
        """See OrderLog."""
        try:
            await self._rows.ack(number, node_id, ack, now, self.feeds.epoch)
        except FAILURES as error:
            raise _away(error) from None
        if number in self.feeds.staged:
            await self._try_sync()

    async def follows(self, node_id: str, role: str) -> None:
        """See OrderLog."""
        now = self._clock.wall()
        try:
            await self._rows.follows(node_id, role, now, now - FORGOTTEN_S)
        except FAILURES as error:
            raise _away(error) from None

    async def statuses(self, numbers: tuple[int, ...] | None = None, limit: int = 50) -> list[OrderStatus]:
        """See OrderLog."""
        try:
            return [record.status() for record in await self._rows.records(numbers, limit)]
        except FAILURES as error:
            raise _away(error) from None

    def state(self) -> LogState:
        """See OrderLog."""
        return LogState("redis", "away" if self._error else "up", self._error, len(self.feeds.staged))

    async def close(self) -> None:
        """See OrderLog."""
        self._closing = True  # a call to Redis may swallow the cancellation
        await self._owner.close()
        await self._rows.close()

    async def _run(self) -> None:
        while not self._closing:
            try:
                if not await self._try_sync():
                    await asyncio.sleep(RETRY_S)
                    continue
                await self._rows.rung(self.feeds)
            except FAILURES as error:
                self._failed(error)
                await asyncio.sleep(RETRY_S)

    async def _try_sync(self) -> bool:
        """Bring the picture up to date; whether Redis answered."""
        async with self._lock:
            try:
                changed = await self._rows.sync(self.feeds, self._bounds.kept)
            except FAILURES as error:
                self._failed(error)
                return False
        if self._error:
            log.get("orders").info("the log of orders is there", epoch=self.feeds.epoch)
        self._error = None
        if changed or not self.feeds.known:
            self.feeds.known = True
            self.feeds.ring()
        return True

    def _failed(self, error: BaseException) -> None:
        if self._error is None:
            log.get("orders").error("redis is away: no order can be issued", error=repr(error))
        self._error = f"{type(error).__name__}: {error}"


def _away(error: BaseException) -> OrdersAway:
    return OrdersAway(f"the log of orders is away: {type(error).__name__}: {error}")
