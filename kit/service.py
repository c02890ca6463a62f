"""Run the aiohttp applications of one process until it is told to stop, then drain."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Protocol

import uvloop
from aiohttp import web

from kit import log
from kit.errors import SettingsError

_BACKLOG = 1024
IDLE_S = 15.0
"""A connection without a request, or with half of one, is closed after this."""


class Entrance(Protocol):
    """What a listener needs for each connection that comes, and at the end."""

    def __call__(self) -> asyncio.BaseProtocol: ...
    def close(self) -> None: ...


Front = Callable[[web.Server], Entrance]
"""Makes what stands before aiohttp's server on a listener and hands it the connections that are its own."""
Site = tuple[web.Application, str, int] | tuple[web.Application, str, int, Front]
Ready = Callable[[list[str]], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, front: Front | None = None, *, drain_s: float = 10.0
) -> AsyncIterator[str]:
    """Serve `app`, behind `front` if there is one; yields its base URL (port 0 is resolved). On leaving: no new
    connection, answers under way get `drain_s`. SettingsError when the address cannot be had."""
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE_S, shutdown_timeout=drain_s)
    await runner.setup()
    try:
        async with _fronted(runner, host, port, front) if front else _plain(runner, host, port) as actual:
            yield f"http://{f'[{host}]' if ':' in host else host}:{actual}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _plain(runner: web.AppRunner, host: str, port: int) -> AsyncIterator[int]:
    await _bind(runner, host, port)
    yield runner.addresses[0][1]


@contextlib.asynccontextmanager
async def _fronted(runner: web.AppRunner, host: str, port: int, front: Front) -> AsyncIterator[int]:
    assert runner.server is not None
    entrance = front(runner.server)
    try:
        server = await asyncio.get_running_loop().create_server(entrance, host, port, backlog=_BACKLOG)
    except OSError as error:
        raise _taken(host, port, error) from None
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        entrance.close()


async def _bind(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
    except OSError as error:
        raise _taken(host, port, error) from None


def _taken(host: str, port: int, error: OSError) -> SettingsError:
    why = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
    return SettingsError(f"cannot listen on {host}:{port}: {why}")


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


async def serve(*sites: Site, drain_s: float = 10.0, ready: Ready | None = None) -> None:
    """Serve every (app, host, port) or (app, host, port, front) until SIGTERM or SIGINT. `ready` is called with the
    base URLs, in order."""
    stop = stop_signal()
    async with contextlib.AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(listening(*site, drain_s=drain_s)) for site in sites]
        log.get("service").info("listening", urls=urls)
        if ready:
            await ready(urls)
        await stop.wait()
        log.get("service").info("draining")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
