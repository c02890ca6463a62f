"""What every test is held to: no blocked loop, no task or socket left behind; and the real servers tests start."""

import asyncio
import gc
import inspect
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support.installation import Installation, installation

BLOCKED_S = 0.5
"""A callback that holds the loop longer than this has blocked it; the machine may be busy, so it is generous."""


@pytest.fixture
async def guarded_loop() -> AsyncIterator[None]:
    """Fail an async test that blocks its loop or leaves tasks running. Every async test uses it (see below)."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks(loop)
    watch = _BlockWatch(loop)
    watch.start()
    yield
    blocked = watch.stop()
    left = {t for t in asyncio.all_tasks(loop) - before if not t.done()} - {asyncio.current_task()}
    if left:  # tasks that were cancelled in this very turn of the loop may still have to run
        _, left = await asyncio.wait(left, timeout=1.0)
    assert not left, f"tasks left behind: {[t.get_name() for t in left]}"
    assert blocked < BLOCKED_S, f"the loop was blocked for {blocked:.2f} s of CPU"


class _BlockWatch:
    """Ticks on the loop; measures the CPU time of this thread between ticks, so that a busy machine is no alarm."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._worst, self._last = loop, 0.0, 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._last = time.thread_time()
        self._tick()

    def _tick(self) -> None:
        now = time.thread_time()
        self._worst = max(self._worst, now - self._last - 0.05)
        self._last = now
        self._handle = self._loop.call_later(0.02, self._tick)

    def stop(self) -> float:
        if self._handle:
            self._handle.cancel()
        return max(self._worst, time.thread_time() - self._last - 0.05)


@pytest.fixture(autouse=True, scope="module")
def _only_new_objects_are_looked_at() -> None:
    """What earlier modules left for good (libraries, the clients of other tests) is no business of the collector: going
    through all of it takes half a second by the end of the suite, and blocks the loop."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_socket_left() -> Iterator[None]:
    """Fail a test after which this process has more sockets open than before."""
    before = _sockets()
    yield
    if _sockets() > before:
        gc.collect()
    assert _sockets() <= before, "sockets left behind"


def _sockets() -> int:
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
        except OSError:
            continue
    return count


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for all tests that leave it as it was: the demo's topology and clip."""
    with installation(tmp_path_factory.mktemp("installation") / "state") as up:
        yield up


def pytest_collection_modifyitems(config: Any, items: list[pytest.Item]) -> None:
    """Guard every async test; run soak tests only when asked for."""
    for item in items:
        if inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.fixturenames.insert(0, "guarded_loop")
    if config.getoption("-m") and "soak" in config.getoption("-m"):
        return
    skip = [i for i in items if i.get_closest_marker("soak")]
    if skip:
        config.hook.pytest_deselected(items=skip)
        items[:] = [i for i in items if not i.get_closest_marker("soak")]
