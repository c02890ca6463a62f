"""The process that a node's pid names: reserves the port, keeps the workers, the disk's bounds and the counters."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from configs.schema.base import host_port
from configs.schema.node import NodeSettings
from kit import log
from kit.errors import HeadraceError, SettingsError
from kit.metrics import Board
from kit.service import listening, stop_signal
from kit.tasks import Owner
from kit.workers import Supervisor
from proxy.host.worker import families, payload
from proxy.store import disk
from proxy.store.janitor import Janitor


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node knows of itself, for /health and for heartbeats."""

    url: str
    board: Board
    supervisor: Supervisor
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
    ready_file: Path | None = None,
) -> None:
    """Run a node until SIGTERM. `module` is its worker; `labels` stand on every metric; `ready_file` gets one JSON
    line {url, admin, pid} once all workers serve."""
    stop = stop_signal()
    _prepare(settings)
    with _reserved(settings) as port, contextlib.closing(Board(families(reasons), settings.workers + 1)) as board:
        supervisor = Supervisor(
            module, settings.workers, lambda number: payload(board, number, port, settings), pass_fds=(board.fd,)
        )
        facts = Facts(_url(settings, port), board, supervisor, time.time())
        owner = Owner("node")
        janitor = Janitor(settings.store.cache_dir, settings.store.disk, board, settings.workers)
        owner.spawn("janitor", janitor.run(), endless=True)
        try:
            await _started(supervisor)
            await _until(stop, settings, facts, labels, embed, ready_file)
        finally:
            await supervisor.stop(settings.limits.drain_s)
            await owner.close()


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
    ready_file: Path | None,
) -> None:
    async with _admin(settings, facts, labels, embed) as admin_url:
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
async def _admin(settings: NodeSettings, facts: Facts, labels: dict[str, str], embed: Embed) -> AsyncIterator[str]:
    """The node's own endpoints, on their own address (contracts.md: the public listener owns no path)."""
    async with embed(facts) as embedded:

        async def health(_: web.Request) -> web.Response:
            return web.json_response(
                {
                    "status": "ok",
                    "url": facts.url,
                    "workers": {"wanted": settings.workers, "ready": facts.supervisor.alive},
                    "restarts": sum(worker.restarts for worker in facts.supervisor.workers),
                    "started": facts.started,
                    "listener": {"tls": False, "body": "copied"},
                    **embedded(),
                }
            )

        async def ready(_: web.Request) -> web.Response:
            whole = facts.supervisor.alive == settings.workers
            return web.json_response({"ready": whole}, status=200 if whole else 503)

        async def metrics(_: web.Request) -> web.Response:
            return web.Response(text=render(facts.board, labels), content_type="text/plain")

        app = web.Application()
        app.add_routes([web.get("/health", health), web.get("/ready", ready), web.get("/metrics", metrics)])
        host, port = _admin_address(settings, facts.url)
        async with contextlib.AsyncExitStack() as stack:
            try:
                url = await stack.enter_async_context(listening(app, host, port, drain_s=1.0))
            except OSError as error:
                raise SettingsError(f"`admin`: cannot listen on {host}:{port}: {_why(error)}") from None
            yield url


def render(board: Board, labels: dict[str, str]) -> str:
    """All metrics of the node, with the names that the seeds use as aliases (OBS-07)."""
    hits = sum(board.total("headrace_responses_total", how) for how in ("hit", "stale", "revalidated"))
    misses = sum(board.total("headrace_responses_total", how) for how in ("miss", "collapsed", "pass"))
    inside = ",".join(f'{name}="{value}"' for name, value in labels.items())
    aliases = (
        "# HELP cdn_cache_hits_total Answers from this cache\n# TYPE cdn_cache_hits_total counter\n"
        f"cdn_cache_hits_total{{{inside}}} {hits}\n"
        "# HELP cdn_cache_misses_total Answers from upstream\n# TYPE cdn_cache_misses_total counter\n"
        f"cdn_cache_misses_total{{{inside}}} {misses}\n"
    )
    return board.render(**labels) + aliases


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
