"""Every task has an owner and a name. An endless task that stops is an incident: logged, counted, and not silent."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from typing import Any

from kit import log

AGAIN_S = 10.0
"""Longer than what a task does on its way out."""


class Owner:
    """Holds the tasks of one part of a process; `close` ends them all and waits for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.incidents = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, name: str, work: Coroutine[Any, Any, Any], *, endless: bool = False) -> asyncio.Task[Any]:
        """Run `work` under this owner. With `endless`, returning at all counts as an incident."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}:{name}")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, name, endless))
        return task

    async def close(self) -> None:
        """Cancel what runs and wait until it is gone. A task's own failure was already logged."""
        self._closing = True
        await end(self._tasks)

    def _ended(self, task: asyncio.Task[Any], name: str, endless: bool) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is None and (self._closing or not endless):
            return
        self.incidents += 1
        error = repr(failure) if failure else "returned"
        with contextlib.suppress(OSError):  # in a callback a log that cannot be written would upset the loop
            log.get("tasks").error("task ended", owner=self.name, task=name, error=error)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they are gone; what they raise is nobody's business any more. A cancellation that a
    library swallowed (one that came just when a connection broke) is said again after AGAIN_S, or an endless task would
    be waited for without end."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        gone, left = await asyncio.wait(left, timeout=AGAIN_S)
        for task in gone:
            if not task.cancelled():
                task.exception()
