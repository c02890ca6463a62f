"""Orders as the rest of control sees them: issue, status, list; and what nodes ask and tell."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from control.contract.orders import LONG_POLL_S, Ack, Command, Order, OrdersAnswer, Targets
from control.orders import rules
from control.orders.feed import ROLES
from control.orders.model import LogState, NoSuchOrder, OrderLog, OrdersAway, OrderStatus
from control.registry.model import Registry
from kit import log
from kit.clock import Clock
from kit.errors import HeadraceError, Unprocessable
from kit.tasks import Owner

LOOK_S = 0.25
"""It is looked this often whether a shield for which edges wait went down, and whether a connection broke."""
NOTED_S = 60.0
"""A node that follows is noted this often."""
MAX_NODES = 20_000


@dataclass
class _Asking:
    """A node that waits."""

    gone: Callable[[], bool]
    over: bool = False


class Orders:
    """All orders of an installation, as one control process serves them. `start` in the loop, `close` at the end."""

    def __init__(
        self,
        log_: OrderLog,
        registry: Registry,
        clock: Clock,
        *,
        expiry_s: float,
        shield_wait_s: float,
        broken: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`expiry_s`: a node silent for so long is down; `shield_wait_s`: edges wait for shields so long at most;
        `broken` hears of a node whose connection broke while it waited."""
        self._log, self._registry, self._clock = log_, registry, clock
        self._expiry_s, self._shield_wait_s = expiry_s, shield_wait_s
        self._noted: TTLCache[str, bool] = TTLCache(MAX_NODES, NOTED_S)
        self._broken = broken
        self._asking: dict[str, _Asking] = {}
        self._owner, self._released, self._closing = Owner("orders"), False, False

    def start(self) -> None:
        """Begin to tell edges when shields are done."""
        self._owner.spawn("stages", self._stages(), endless=True)
        self._owner.spawn("broken", self._watch(), endless=True)

    async def issue(
        self, command: Command, *, targets: Targets = rules.EVERYBODY, by: str = "", key: str = ""
    ) -> Order:
        """Issue an order; on return it is in the log and on its way. A `key` makes repeating safe: the same order comes
        back. Unprocessable for targets that do not fit, OtherOrder, TooManyOrders, OrdersAway (repeat with the key)."""
        nodes = await self._registry.roster()
        drafted = rules.draft(command, targets, nodes, issued=self._clock.wall(), by=by, key=key)
        order = await self._log.issue(drafted)
        log.get("orders").info("issued", number=order.number, kind=command.kind, by=by)
        return order

    async def status(self, number: int) -> OrderStatus:
        """How far an order is. NoSuchOrder, OrdersAway."""
        found = await self._log.statuses((number,))
        if not found:
            raise NoSuchOrder(f"no order {number} is kept")
        return found[0]

    async def list(self, limit: int = 50) -> tuple[OrderStatus, ...]:
        """The newest orders, newest first. OrdersAway."""
        return tuple(await self._log.statuses(limit=limit))

    async def wait(
        self,
        node_id: str,
        role: str,
        cursor: str | None,
        *,
        seconds: float = LONG_POLL_S,
        gone: Callable[[], bool] = lambda: False,
    ) -> OrdersAnswer:
        """What a node has to do after `cursor`, as soon as there is something, or nothing after `seconds`. Works with
        the log away, once it was read: OrdersAway before. A second question of the same node ends the first.
        Unprocessable for a role without orders. `gone`: whether nobody is there to be answered any more."""
        if role not in ROLES:
            raise Unprocessable(f"{role} takes no orders")
        await self._note(node_id, role)
        mine = self._supersede(node_id, gone)
        try:
            async with asyncio.timeout(seconds):
                while not (mine.over or self._released):
                    bell = self._log.feeds.bell
                    if answer := self._answer(node_id, role, cursor):
                        return answer
                    await bell.wait()
        except TimeoutError:
            pass
        finally:
            if self._asking.get(node_id) is mine:
                del self._asking[node_id]
        if not self._log.feeds.known:
            raise OrdersAway("the log of orders was not read yet")
        return self._answer(node_id, role, cursor) or self._log.feeds.nothing(role)

    def state(self) -> LogState:
        """Where the log is kept and whether that works."""
        return self._log.state()

    @property
    def asking(self) -> int:
        """How many nodes wait for orders."""
        return len(self._asking)

    async def ack(self, node_id: str, number: int, ack: Ack) -> None:
        """A node says what became of an order. OrdersAway: it must say so again."""
        if ack.outcome == "failed":
            log.get("orders").warning("failed on a node", number=number, node=node_id, detail=ack.detail)
        await self._log.ack(number, node_id, ack, self._clock.wall())

    async def close(self) -> None:
        """End the task and let go of the log."""
        self.release()
        self._closing = True
        await self._owner.close()
        await self._log.close()

    def release(self) -> None:
        """Answer all who wait, and nobody waits from now on: the process is about to stop."""
        self._released = True
        self._log.feeds.ring()

    def _answer(self, node_id: str, role: str, cursor: str | None) -> OrdersAnswer | None:
        node = self._registry.map().nodes.get(node_id)
        region = node.region if node else None
        return self._log.feeds.answer(node_id, role, region, cursor, self._clock.wall())

    def _supersede(self, node_id: str, gone: Callable[[], bool]) -> "_Asking":
        """One question a node: those that a broken connection left behind must not add up."""
        if before := self._asking.get(node_id):
            before.over = True
            self._log.feeds.ring()
        mine = self._asking[node_id] = _Asking(gone)
        return mine

    async def _note(self, node_id: str, role: str) -> None:
        """Redis away is no reason to keep orders from a node."""
        if node_id not in self._noted:
            with contextlib.suppress(HeadraceError):
                await self._log.follows(node_id, role)
                self._noted[node_id] = True

    async def _watch(self) -> None:
        while not self._closing:
            await asyncio.sleep(LOOK_S)
            broken = [id_ for id_, asking in self._asking.items() if not asking.over and asking.gone()]
            for id_ in broken:
                self._asking[id_].over = True
                self._broken(id_)
            if broken:
                self._log.feeds.ring()

    async def _stages(self) -> None:
        since: dict[int, float] = {}
        while not self._closing:  # a call to Redis may swallow the cancellation
            feeds = self._log.feeds
            bell, now = feeds.bell, self._clock.monotonic()
            since = {number: since.get(number, now) for number in feeds.staged}
            for staged in tuple(feeds.staged.values()):
                seconds = now - since[staged.number]  # not from its issue: that is another process's clock
                nodes = self._registry.map()
                most = self._shield_wait_s
                if rules.may_tell(staged, nodes, now, expiry_s=self._expiry_s, seconds=seconds, most_s=most):
                    await self._tell(staged.number, late=seconds >= most)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if feeds.staged else None):
                    await bell.wait()

    async def _tell(self, number: int, *, late: bool) -> None:
        if late:
            log.get("orders").error("edges are told before every shield has acknowledged", number=number)
        try:
            await self._log.tell(number)
        except HeadraceError as error:
            log.get("orders").warning("edges cannot be told now", number=number, error=str(error))
