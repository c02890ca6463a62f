"""A node follows its orders: an endless task that asks control what to do, does it, keeps the cursor, acknowledges.

At least once: a node that dies between doing and keeping does it again, to the same result. Control away is no fault
of the node: it goes on as it is and goes on asking.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from control.contract.orders import (
    ACK_PATH,
    LONG_POLL_S,
    MAX_ANSWER_BYTES,
    ORDERS_PATH,
    Ack,
    Acked,
    Drain,
    Order,
    OrdersAnswer,
    Outcome,
    Prefetch,
    Purge,
    Revoke,
    Standing,
    Undrain,
)
from control.node import kept as kept_file
from control.node.applier import Applier
from control.node.kept import MAX_PREFETCHES, Kept, Untold
from control.node.link import ControlLink
from control.node.purged import Purged
from kit import log
from kit.backoff import Backoff
from kit.clock import Clock
from kit.errors import BadRequest, HeadraceError, Overloaded, UpstreamFailed
from kit.tasks import Owner

ASK_S = LONG_POLL_S + 5.0
TELL_S = 3.0
AGAIN = Backoff(first_s=0.1, most_s=2.0)
"""Between two tries to reach control."""
TRIES = Backoff(first_s=0.2, most_s=2.0, attempts=3)
"""Between two tries to do an order that could not be done for now."""
PREFETCH_FRESH_S = 3600.0
"""An older prefetch is not done any more: the moment it was for is over."""


@dataclass(frozen=True)
class FollowerState:
    """For a node's /health. `error`: why control was not heard last, or the state not kept; None when all is well."""

    cursor: str | None
    """As it is on the disk: all before it is done."""
    purged: str
    """The newest purge that is done, as all before it are; empty when one failed, or nothing is known."""
    draining: bool
    revoked: int
    done: int
    failed: int
    resets: int
    untold: int
    error: str | None


class Follower:
    """Owns the order task of one node. `start` inside the loop, `close` at the end."""

    def __init__(
        self,
        link: ControlLink,
        applier: Applier,
        directory: Path,
        clock: Clock,
        drained: Callable[[], None] = lambda: None,
    ) -> None:
        """The state is kept in `directory`, which is there. `drained` is called when the node begins or ends to drain:
        heartbeats say so."""
        self._link, self._applier, self._directory, self._clock = link, applier, directory, clock
        self._drained = drained
        self._kept = Kept()
        self._counts = {"done": 0, "failed": 0, "reset": 0}
        self._error: str | None = None
        self._unkept: str | None = None
        self._cursor: str | None = None
        self._asked: asyncio.Task[OrdersAnswer] | None = None
        self._owed: tuple[Untold, ...] = ()
        """What control is to hear and the disk has: what was said to be done is still so after a crash."""
        self._owing = asyncio.Event()
        self._owner = Owner("orders")
        self._keeping, self._warming = asyncio.Lock(), asyncio.Lock()

    async def start(self) -> None:
        """Take up what was kept, at once: a node that drained still does, what was refused still is. Then follow."""
        self._kept = await asyncio.to_thread(kept_file.load, self._directory)
        self._cursor, self._owed = self._kept.cursor, self._kept.untold
        self._applier.drain(self._kept.draining)
        self._refuse(())
        self._purged(self._kept.purged)
        for order in self._kept.prefetches:
            self._owner.spawn("prefetch", self._prefetched(order))
        self._owner.spawn("follow", self._run(), endless=True)
        self._owner.spawn("tell", self._tell_all(), endless=True)

    def state(self) -> FollowerState:
        """How following goes."""
        kept, counts = self._kept, self._counts
        return FollowerState(
            cursor=self._cursor,
            purged=kept.purged.done_text if kept.purged else "",
            draining=kept.draining,
            revoked=len(kept.revoked),
            done=counts["done"],
            failed=counts["failed"],
            resets=counts["reset"],
            untold=len(kept.untold),
            error=self._error or self._unkept,
        )

    def again(self) -> None:
        """Ask anew, if an answer is waited for: a heartbeat failed, so whoever was asked may be gone without a word,
        and another control process may be there."""
        if self._asked is not None:
            self._asked.cancel()

    async def close(self) -> None:
        """End. What was not kept is done again by the next life."""
        await self._owner.close()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._do(await self._ask())
                await self._make_good()
            except (HeadraceError, OSError) as error:  # a log that cannot be written must not end the following
                self._error = str(error)
                if not failures:
                    with contextlib.suppress(OSError):
                        log.get("orders").warning("orders are not heard", error=self._error)
                failures += 1
                await asyncio.sleep(AGAIN.delay_s(failures - 1, random.random()))  # noqa: S311 (jitter)
            else:
                failures, self._error = 0, None

    async def _tell_all(self) -> None:
        """Beside the orders: acknowledgements that control cannot keep now must not keep it from being asked."""
        failures = 0
        while True:
            if not self._owed:
                self._owing.clear()
                await self._owing.wait()
            try:
                await self._tell()
            except (HeadraceError, OSError) as error:  # as in _run
                if not failures:
                    with contextlib.suppress(OSError):
                        log.get("orders").warning("acknowledgements are not heard", error=str(error))
                failures += 1
                await asyncio.sleep(AGAIN.delay_s(failures - 1, random.random()))  # noqa: S311 (jitter)
            else:
                failures = 0

    async def _ask(self) -> OrdersAnswer:
        path = ORDERS_PATH.format(id=self._link.id)
        if self._kept.cursor:
            path += f"?after={self._kept.cursor}"
        asking = self._link.get(path, OrdersAnswer, timeout_s=ASK_S, most_bytes=MAX_ANSWER_BYTES)
        self._asked = self._owner.spawn("ask", asking)
        try:
            return await self._asked
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise UpstreamFailed("control is asked anew") from None
        finally:
            self._asked = None

    async def _do(self, answer: OrdersAnswer) -> None:
        """All of an answer, then the cursor: orders between two cursors may be done again."""
        if answer.reset is not None:
            await self._begin_anew(answer.reset, answer.cursor)
        for order in answer.orders:
            await self._one(order)
        if self._kept.cursor != answer.cursor:
            self._kept = self._kept.with_(cursor=answer.cursor)
            await self._keep()

    async def _begin_anew(self, standing: Standing, cursor: str) -> None:
        """Orders were missed: what they added up to, and everything stale. A log of another epoch may know nothing of
        the drain that we know of: only an order ends that then."""
        same = (self._kept.cursor or "").partition(".")[0] == cursor.partition(".")[0]
        self._drain(standing.draining or (self._kept.draining and not same))
        self._refuse(standing.revoked)
        epoch = cursor.partition(".")[0]
        purged = Purged(epoch=epoch, heard=standing.purged)
        self._purged(purged)
        await self._applier.purge_all()
        self._purged(purged.whole())
        self._counts["reset"] += 1
        log.get("orders").warning("orders were missed: all that is stored is stale now", cursor=cursor)

    async def _one(self, order: Order) -> None:
        if isinstance(order.command, Prefetch):
            await self._begin_prefetch(order)
            return
        began, purged = time.monotonic(), self._kept.purged if isinstance(order.command, Purge) else None
        if purged is not None:
            purged = purged.hearing(order.number)
            self._purged(purged)  # before it is done: what comes in from now on must not be older
        failure = await self._tried(order)
        if purged is not None:  # under a name that cannot be, nothing is stored
            well = failure is None or isinstance(failure, BadRequest)
            self._purged(purged.ending(order.number, well=well))
        self._note(order, *_said(failure), time.monotonic() - began)

    async def _make_good(self) -> None:
        """A purge could not be done: that everything is stale stands for it, tried again with every answer."""
        purged = self._kept.purged
        if purged is None or purged.done is not None:
            return
        try:
            await self._applier.purge_all()
        except HeadraceError as error:
            log.get("orders").error("a purge that failed is not made good yet", error=str(error))
        else:
            self._purged(purged.whole())
            await self._keep()

    async def _tried(self, order: Order) -> Exception | None:
        """Why it could not be done, after as many tries as TRIES allows; None when it is."""
        for attempt in range(TRIES.attempts + 1):
            try:
                await self._apply(order)
            except Exception as error:  # an order that cannot be done must not keep the node from the others
                if not getattr(error, "retry", False) or attempt == TRIES.attempts:
                    return error
                await asyncio.sleep(TRIES.delay_s(attempt, random.random()))  # noqa: S311 (jitter)
            else:
                return None
        raise AssertionError("unreachable: the last try returns")

    async def _apply(self, order: Order) -> None:
        match order.command:
            case Purge(by=by, what=what, soft=soft):
                await self._applier.purge(by, what, soft=soft)
            case Drain():
                self._drain(True)
            case Undrain():
                self._drain(False)
            case Revoke() as revoke:
                self._refuse((revoke,))
            case Prefetch(paths=paths):
                await self._applier.prefetch(paths)
            case _:
                assert_never(order.command)

    def _drain(self, draining: bool) -> None:
        self._kept = self._kept.with_(draining=draining)
        self._applier.drain(draining)
        self._drained()

    def _purged(self, purged: Purged | None) -> None:
        self._kept = self._kept.with_(purged=purged)
        self._applier.purged(*(purged.heard_text, purged.done_text) if purged else ("", ""))

    def _refuse(self, revoked: tuple[Revoke, ...]) -> None:
        self._kept = self._kept.refusing(revoked, self._clock.wall())
        named: dict[str, list[str]] = {}
        for each in self._kept.revoked:
            named.setdefault(each.by, []).append(each.what)
        self._applier.revoke(named)

    # prefetches take long: beside the other orders, one at a time

    async def _begin_prefetch(self, order: Order) -> None:
        running: Sequence[Order] = self._kept.prefetches
        if any(each.number == order.number for each in running):
            return
        if self._clock.wall() - order.issued > PREFETCH_FRESH_S:
            self._note(order, "failed", "too old: its moment is over", 0.0)
        elif len(running) >= MAX_PREFETCHES:
            self._note(order, "failed", str(Overloaded(f"{MAX_PREFETCHES} prefetches wait already")), 0.0)
        else:
            self._kept = self._kept.with_(prefetches=(*running, order))
            self._owner.spawn("prefetch", self._prefetched(order))

    async def _prefetched(self, order: Order) -> None:
        async with self._warming:
            began = time.monotonic()
            failure = await self._tried(order)
            left = tuple(each for each in self._kept.prefetches if each.number != order.number)
            self._kept = self._kept.with_(prefetches=left)
            self._note(order, *_said(failure), time.monotonic() - began)
            await self._keep()

    # what control is to hear, and what is kept

    def _note(self, order: Order, outcome: Outcome, detail: str, seconds: float) -> None:
        self._counts[outcome] += 1
        if outcome == "failed":
            log.get("orders").error("order failed", number=order.number, kind=order.command.kind, detail=detail)
        ack = Ack(outcome=outcome, seconds=min(1e6, round(seconds, 4)), detail=detail[:200])
        self._kept = self._kept.owing(order.number, ack)

    async def _tell(self) -> None:
        for each in self._owed:
            path = ACK_PATH.format(id=self._link.id, number=each.number)
            await self._link.post(path, each.ack, Acked, timeout_s=TELL_S)
            self._kept = self._kept.told(each.number)
        await self._keep()

    async def _keep(self) -> None:
        """A disk that takes no note is told in /health; a restart then begins anew."""
        async with self._keeping:
            kept = self._kept
            try:
                await asyncio.to_thread(kept_file.save, self._directory, kept)
            except OSError as error:
                self._unkept = f"the state of the orders is not kept: {error}"
                log.get("orders").error("not kept", error=str(error))
            else:
                self._cursor, self._unkept = kept.cursor, None
            self._owed = kept.untold
            self._owing.set()


def _said(failure: Exception | None) -> tuple[Outcome, str]:
    """What control is told became of an order."""
    if failure is None:
        return "done", ""
    return "failed", str(failure) if isinstance(failure, HeadraceError) else repr(failure)
