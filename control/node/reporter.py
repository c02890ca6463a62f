"""The heartbeat of a node: an endless task that tells control once a second how the node is.

Control away is no fault of the node: it goes on serving, and goes on trying.
"""

import asyncio
import contextlib
import inspect
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from configs.schema.base import NodeIdentity
from control.contract.messages import HEARTBEAT_PATH, LEAVE_PATH, HeartbeatAnswer, Report
from control.node.link import ControlLink
from kit import log
from kit.clock import Clock
from kit.errors import HeadraceError
from kit.tasks import Owner

Describe = Callable[[], Awaitable[Report] | Report]
INTERVAL_S = 1.0
LONGEST_S = 2.0
"""Never further apart than this, start to start, so that a control that is back knows us within its expiry."""
TIMEOUT_S = 1.5
"""For one heartbeat; less than LONGEST_S."""


@dataclass(frozen=True)
class ReporterState:
    """For a process's /health. Ages in seconds, None before the first success."""

    control: str
    last_success_age_s: float | None
    map_version: int | None
    failures: int
    """In a row."""
    error: str | None
    """Why the last one failed; None when it did not."""


class Reporter:
    """Owns the heartbeat task of one node. `start` inside the loop, `leave` on drain, `close` at the end."""

    def __init__(
        self,
        identity: NodeIdentity,
        role: str,
        describe: Describe,
        clock: Clock,
        session: aiohttp.ClientSession,
        *,
        heard: Callable[[HeartbeatAnswer], None] = lambda _: None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """`describe` is called once a heartbeat, `heard` with control's answer, in the loop; both must be quick; `lost`
        at the first heartbeat that fails after one that did not. SettingsError as ControlLink."""
        self._link = ControlLink(identity, role, clock, session)
        self._describe, self._clock, self._heard, self._lost = describe, clock, heard, lost
        self._owner = Owner("reporter")
        self._stop, self._wake = False, asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._answer: HeartbeatAnswer | None = None
        self._succeeded: float | None = None
        self._failures = 0
        self._error: str | None = None

    def start(self) -> None:
        """Begin to report, at once."""
        self._task = self._owner.spawn("heartbeat", self._run())

    def state(self) -> ReporterState:
        """How reporting goes."""
        age = None if self._succeeded is None else self._clock.monotonic() - self._succeeded
        version = self._answer.map_version if self._answer else None
        return ReporterState(self._link.url, age, version, self._failures, self._error)

    def hurry(self) -> None:
        """Report at once: something changed that sessions depend on. While a heartbeat is under way, right after it."""
        self._wake.set()

    async def leave(self) -> bool:
        """Stop reporting and take the node out of the map at once; whether control heard it.

        The heartbeat under way ends first: one that overtook the farewell would bring the node back.
        """
        self._stop = True
        self._wake.set()
        if self._task:
            await asyncio.wait([self._task], timeout=TIMEOUT_S + 1)
        try:
            path = LEAVE_PATH.format(id=self._link.id)
            await self._link.post(path, None, HeartbeatAnswer, timeout_s=TIMEOUT_S)
        except HeadraceError as error:
            log.get("reporter").warning("control did not hear the farewell", error=str(error))
            return False
        return True

    async def close(self) -> None:
        """Stop reporting without a farewell: control drops the node when it expires."""
        self._stop = True
        await self._owner.close()

    async def _run(self) -> None:
        while not self._stop:
            begun = self._clock.monotonic()
            self._wake.clear()
            await self._beat()
            interval = self._answer.interval_s if self._answer else INTERVAL_S
            due = pause_s(interval, self._failures, random.random())  # noqa: S311 (jitter, no secret)
            left = begun + due - self._clock.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.05, left)):  # wait_for may swallow a cancellation
                    await self._wake.wait()

    async def _beat(self) -> None:
        try:
            report = self._describe()
            if inspect.isawaitable(report):
                report = await report
            path = HEARTBEAT_PATH.format(id=self._link.id)
            self._answer = await self._link.post(path, report, HeartbeatAnswer, timeout_s=TIMEOUT_S)
        except Exception as error:
            self._failed(error)
            return
        if self._failures:
            log.get("reporter").info("control hears us again", after=self._failures)
        self._succeeded, self._failures, self._error = self._clock.monotonic(), 0, None
        self._heard(self._answer)

    def _failed(self, error: Exception) -> None:
        """Noted, not raised: a figure that cannot be taken now must not end the heartbeat for ever."""
        self._failures += 1
        self._error = str(error) if isinstance(error, HeadraceError) else repr(error)
        if self._failures == 1:
            self._lost()
            log.get("reporter").warning("heartbeat failed", error=self._error)


def pause_s(interval_s: float, failures: int, chance: float) -> float:
    """Seconds from one heartbeat's start to the next. `chance` is 0-1.

    After failures it spreads, wider each time, so that a fleet does not return in step; LONGEST_S at most.
    """
    steady = min(max(interval_s, 0.1), LONGEST_S)
    widest = min(LONGEST_S, steady * (1 + 0.25 * failures))
    return steady + (widest - steady) * chance
