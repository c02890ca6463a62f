"""Settings that are read again while a node runs (proxy.host.reload)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from configs.schema.node import EdgeSettings
from kit.clock import ManualClock
from kit.errors import SettingsError
from proxy.host.reload import Reload, refused


def _settings(**more: Any) -> EdgeSettings:
    return EdgeSettings.model_validate({"listen": "127.0.0.1:1", "store": {"cache_dir": Path("/c")}} | more)


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({}, []),
        ({"limits": {"idle_timeout_s": 1, "drain_s": 2}, "upstream": {"idle_s": 3}}, []),
        ({"origin": "http://other.example", "fast_lane": False}, []),
        ({"listen": "127.0.0.1:2", "workers": 2}, ["listen", "workers"]),
        ({"limits": {"connections": 9, "drain_s": 2}}, ["limits.connections"]),
        ({"store": {"cache_dir": "/d", "memory": 5, "disk": 5}}, ["store.cache_dir", "store.disk"]),
        ({"identity": {"id": "a", "credential": "/x"}}, ["identity"]),
    ],
)
def test_what_new_workers_do_not_change_is_refused_by_its_name(more: dict[str, Any], names: list[str]) -> None:
    assert refused(_settings().model_dump(), _settings(**more).model_dump()) == names


async def test_signals_that_come_while_workers_are_replaced_are_one_more_reload() -> None:
    """The last settings written are the ones in use."""
    written = [_settings()]
    replaced: list[float] = []
    entered, go = asyncio.Event(), asyncio.Event()

    async def replace(new: Any) -> None:
        replaced.append(new.limits.idle_timeout_s)
        entered.set()
        await go.wait()

    clock, asked = ManualClock(), asyncio.Event()
    reload = Reload(written[0], lambda: written[-1], replace, clock)
    following = asyncio.create_task(reload.follow(asked))
    asked.set()
    await entered.wait()
    for seconds in (1.0, 2.0, 3.0):
        written.append(_settings(limits={"idle_timeout_s": seconds}))
        asked.set()
    entered.clear()
    go.set()
    await entered.wait()
    following.cancel()
    assert replaced == [75.0, 3.0]


async def test_an_attempt_that_fails_is_told_until_one_succeeds() -> None:
    outcome: list[Exception | None] = [SettingsError("bad"), ChildProcessError("worker 0 was not replaced"), None]
    heard: list[dict[str, Any]] = []
    clock, asked = ManualClock(), asyncio.Event()
    done = asyncio.Event()

    def read() -> EdgeSettings:
        heard.append(reload.health())
        if not outcome:
            done.set()
        elif isinstance(outcome[0], SettingsError):
            raise outcome.pop(0)  # type: ignore[misc]
        return _settings(limits={"idle_timeout_s": 1.0})

    async def replace(_: Any) -> None:
        clock.advance(5)
        error = outcome.pop(0) if outcome else None
        if error:
            raise error

    reload = Reload(_settings(), read, replace, clock)
    began = clock.wall()
    following = asyncio.create_task(reload.follow(asked))
    for _ in range(4):
        asked.set()
        count = len(heard)
        while len(heard) == count or asked.is_set():
            await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await done.wait()
    following.cancel()
    assert [each["error"] for each in heard] == [None, "bad", "worker 0 was not replaced", None]
    assert [each["loaded"] - began for each in heard] == [0, 0, 0, 10]
