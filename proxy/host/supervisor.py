"""The process that a node's pid names: reserves the port, keeps the workers, the disk's bounds and the counters."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from configs.schema.base import host_port
from configs.schema.node import NodeSettings
from kit import log
from kit.clock import SystemClock
from kit.errors import HeadraceError, SettingsError
from kit.metrics import Board
from kit.service import listening, stop_signal
from kit.workers import Supervisor
from proxy.host import admin
from proxy.host.worker import families, mapped, payload
from proxy.store import disk
from proxy.store.evict import Lru, Sieve
from proxy.store.keeper import Keeper


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node knows of itself, for /health and for heartbeats."""

    url: str
    board: Board
    supervisor: Supervisor
    keeper: Keeper
    started: float

    def pids(self) -> list[int]:
        """The node's processes."""
        return [os.getpid(), *(worker.process.pid for worker in self.supervisor.workers if worker.process)]


Embed = Callable[[Facts], AbstractAsyncContextManager[Callable[[], dict[str, Any]]]]
"""Runs beside the node (heartbeats); yields what it adds to /health. Leaving it means that the node drains."""


async def run(
    settings: NodeSettings,
    module: str,
    reasons: tuple[str, ...],
    labels: dict[str, str],
    embed: Embed,
    authority: str,
    ready_file: Path | None = None,
) -> None:
    """Run a node until SIGTERM. `module` is its worker; `labels` stand on every metric; `authority` is that of its
    keys; `ready_file` gets one JSON line {url, admin, pid} once all workers serve."""
    stop = stop_signal()
    _prepare(settings)
    token = admin.read_token(settings.admin_token_file)
    with (
        _reserved(settings) as port,
        contextlib.closing(Board(families(reasons), settings.workers + 1)) as board,
        _keeping(settings, board) as (keeper, visited),
        _leases() as leases,
    ):
        supervisor = Supervisor(
            module,
            settings.workers,
            lambda number: payload(board, visited, leases, number, port, settings),
            pass_fds=(board.fd, leases) if visited is None else (board.fd, leases, visited),
        )
        facts = Facts(_url(settings, port), board, supervisor, keeper, time.time())
        try:
            await _started(supervisor)
            await _until(stop, settings, facts, labels, embed, admin.Purging(keeper, authority, token), ready_file)
        finally:
            await supervisor.stop(settings.limits.drain_s)


async def _started(supervisor: Supervisor) -> None:
    try:
        await supervisor.start()
    except (ChildProcessError, TimeoutError) as error:
        raise HeadraceError(f"the node did not start: {error or 'its workers took too long'}") from None


async def _until(
    stop: asyncio.Event,
    settings: NodeSettings,
    facts: Facts,
    labels: dict[str, str],
    embed: Embed,
    purging: admin.Purging,
    ready_file: Path | None,
) -> None:
    async with _admin(settings, facts, labels, embed, purging) as admin_url:
        log.get("node").info("serving", url=facts.url, admin=admin_url, workers=settings.workers)
        if ready_file:
            _announce(ready_file, {"url": facts.url, "admin": admin_url, "pid": os.getpid()})
        await stop.wait()
        log.get("node").info("draining")


def _announce(ready_file: Path, line: dict[str, Any]) -> None:
    """Write one JSON line, whole or not at all: scripts wait for the file."""
    part = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
    part.write_bytes(orjson.dumps(line) + b"\n")
    part.replace(ready_file)


@contextlib.asynccontextmanager
async def _admin(
    settings: NodeSettings, facts: Facts, labels: dict[str, str], embed: Embed, purging: admin.Purging
) -> AsyncIterator[str]:
    """The node's own endpoints, on their own address (contracts.md: the public listener owns no path)."""
    async with embed(facts) as embedded:

        def health() -> dict[str, Any]:
            return {
                "status": "ok" if facts.keeper.alive else "degraded",
                "url": facts.url,
                "workers": {"wanted": settings.workers, "ready": facts.supervisor.alive},
                "restarts": sum(worker.restarts for worker in facts.supervisor.workers),
                "started": facts.started,
                "listener": {"tls": False, "body": "copied"},
                "keeper": {"alive": facts.keeper.alive, "loaded": facts.keeper.loaded.is_set()},
                **embedded(),
            }

        def ready() -> bool:
            return facts.supervisor.alive == settings.workers

        app = admin.application(health, ready, lambda: admin.render(facts.board, labels), purging)
        host, port = _admin_address(settings, facts.url)
        async with contextlib.AsyncExitStack() as stack:
            try:
                url = await stack.enter_async_context(listening(app, host, port, drain_s=1.0))
            except SettingsError as error:
                raise SettingsError(f"`admin`: {error}") from None
            yield url


@contextlib.contextmanager
def _keeping(settings: NodeSettings, board: Board) -> Iterator[tuple[Keeper, int | None]]:
    """The keeper, and the descriptor of the bytes in which workers mark hits (SIEVE only)."""
    store = settings.store
    fd = os.memfd_create("headrace-visited") if store.eviction == "sieve" else None
    if fd is not None:
        os.ftruncate(fd, store.objects)
    evictor = Sieve(store.objects, mapped(fd, store.objects)) if fd is not None else Lru()
    keeper = Keeper(store.cache_dir, store.disk, store.objects, evictor, board, SystemClock())
    keeper.start()
    try:
        yield keeper, fd
    finally:
        keeper.close()
        if fd is not None:
            os.close(fd)


@contextlib.contextmanager
def _leases() -> Iterator[int]:
    """The file in memory whose locks say which worker fetches what."""
    fd = os.memfd_create("headrace-leases")
    try:
        yield fd
    finally:
        os.close(fd)


def _prepare(settings: NodeSettings) -> None:
    """What workers need, tried here first: told at start, not by dying workers."""
    try:
        disk.prepare(settings.store.cache_dir)
    except OSError as error:
        raise SettingsError(f"`store.cache_dir`: {error}") from None
    try:
        if settings.access_log and str(settings.access_log) != "-":
            settings.access_log.open("ab").close()
    except OSError as error:
        raise SettingsError(f"`access_log`: {error}") from None


@contextlib.contextmanager
def _reserved(settings: NodeSettings) -> Any:
    """Hold the port for the workers; they listen on it with SO_REUSEPORT, this socket never listens."""
    host, port = host_port(settings.listen)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as holder:
        with _only_ours(host, port):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind((host, port))
        yield holder.getsockname()[1]


@contextlib.contextmanager
def _only_ours(host: str, port: int) -> Any:
    """SO_REUSEPORT would let us share the port with a stranger of the same user: try without it first."""
    try:
        if port:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
                probe.listen(1)
        yield
    except OSError as error:
        raise SettingsError(f"`listen`: cannot listen on {host}:{port}: {_why(error)}") from None


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error.strerror or error)


def _url(settings: NodeSettings, port: int) -> str:
    host, _ = host_port(settings.listen)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _admin_address(settings: NodeSettings, url: str) -> tuple[str, int]:
    if settings.admin:
        return host_port(settings.admin)
    listen = host_port(settings.listen)[1]
    port = int(url.rpartition(":")[2]) + 1000
    return "127.0.0.1", port if listen and port < 65_536 else 0
