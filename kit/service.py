"""Run the aiohttp applications of one process until it is told to stop, then drain."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import uvloop
from aiohttp import web

from kit import log
from kit.errors import SettingsError

IDLE_S = 15.0
"""A connection without a request, or with half of one, is closed after this."""

Ready = Callable[[list[str]], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(app: web.Application, host: str, port: int, *, drain_s: float = 10.0) -> AsyncIterator[str]:
    """Serve `app`; yields its base URL (port 0 is resolved). On leaving: no new connection, answers under way get
    `drain_s`. SettingsError when the address cannot be had."""
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE_S, shutdown_timeout=drain_s)
    await runner.setup()
    try:
        await _bind(runner, host, port)
        actual = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{actual}"
    finally:
        await runner.cleanup()


async def _bind(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
        raise SettingsError(f"cannot listen on {host}:{port}: {why}") from None


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets. Call it once, inside the loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def reload_signal() -> asyncio.Event:
    """An event that SIGHUP sets. Call it once, inside the loop."""
    again = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again.set)
    return again


async def serve(*sites: tuple[web.Application, str, int], drain_s: float = 10.0, ready: Ready | None = None) -> None:
    """Serve every (app, host, port) until SIGTERM or SIGINT. `ready` is called with the base URLs, in order."""
    stop = stop_signal()
    async with contextlib.AsyncExitStack() as stack:
        urls = [
            await stack.enter_async_context(listening(app, host, port, drain_s=drain_s)) for app, host, port in sites
        ]
        log.get("service").info("listening", urls=urls)
        if ready:
            await ready(urls)
        await stop.wait()
        log.get("service").info("draining")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
