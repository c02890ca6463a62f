"""The process that a node's pid names: holds the sockets, keeps the workers, the disk's bounds and the counters."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from configs.schema.base import host_port
from configs.schema.node import NodeSettings, StoreSettings
from kit import log
from kit.clock import SystemClock
from kit.errors import HeadraceError, SettingsError
from kit.metrics import Board
from kit.nursery import Nursery
from kit.post import Post
from kit.service import listening, reload_signal, stop_signal
from kit.tasks import Owner
from kit.workers import Supervisor, most_numbers
from proxy.host import admin, listeners, tls
from proxy.host.reload import Reload
from proxy.host.worker import Shared, at_rest, families, mapped, payload, pinning, remembered, volumes
from proxy.serve.contact import FD as CONTACT
from proxy.serve.contact import Contact
from proxy.serve.own import new_secret
from proxy.store import disk
from proxy.store.accounts import Tenants
from proxy.store.admit import size_for
from proxy.store.evict import Lru, Sieve
from proxy.store.inventory import Policy
from proxy.store.keeper import Keeper
from proxy.store.keepers import Keepers
from proxy.store.volumes import Volumes
from proxy.tls.certificates import Certificates


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node knows of itself, for /health and for heartbeats."""

    url: str
    board: Board
    supervisor: Supervisor
    reload: Reload
    keeper: Keepers
    volumes: Volumes
    started: float
    certificates: Certificates | None
    draining: asyncio.Event
    """Set while the node takes no new session; what it serves goes on."""
    secret: str
    """Opens the node to its own requests, see proxy.serve.own."""
    post: Post
    """What workers tell; nobody has to listen."""
    contact: Contact
    """Told by whoever is heard from; nobody has to tell it."""

    def pids(self) -> list[int]:
        """The node's processes."""
        return [os.getpid(), *self.supervisor.pids()]

    def connections(self) -> int:
        """Open connections of viewers."""
        return self.board.total("headrace_connections")

    def sent_bytes(self) -> int:
        """Body bytes handed to viewers since the start."""
        return self.board.overall("headrace_sent_bytes_total")

    def answers(self) -> tuple[int, int, int, int]:
        """See admin.answers."""
        return admin.answers(self.board)

    def drains(self) -> bool:
        """Whether the node takes no new session."""
        return self.draining.is_set()

    @property
    def cache_dirs(self) -> tuple[Path, ...]:
        """Where the node stores."""
        return self.reload.settings.store.cache_dir


Embed = Callable[[Facts], AbstractAsyncContextManager[Callable[[], dict[str, Any]]]]
"""Runs beside the node (heartbeats); yields what it adds to /health. Leaving it means that the node drains."""


async def run(
    settings: NodeSettings,
    read: Callable[[], NodeSettings],
    nursery: Nursery,
    reasons: tuple[str, ...],
    labels: dict[str, str],
    embed: Embed,
    authority: str,
    ready_file: Path | None = None,
    share: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Run a node until SIGTERM. `read` reads its settings again on SIGHUP, see Reload; `nursery` has its workers;
    `labels` stand on every metric; `authority` is that of its keys; `ready_file` gets one JSON line {url, admin, pid}
    once all workers serve; `share` are descriptors that every worker gets, by name."""
    stop, again = stop_signal(), reload_signal()
    certificates = _prepare(settings)
    token = admin.read_token(settings.admin_token_file)
    secret = new_secret()
    with (
        listeners.opened(*host_port(settings.listen), settings.workers) as listening_at,
        contextlib.closing(_board(settings, reasons)) as board,
        contextlib.closing(Post()) as post,
        contextlib.closing(Contact(SystemClock())) as contact,
        _keeping(settings, board) as (keeper, shared),
    ):
        told = {"board": board.fd, "post": post.fd, CONTACT: contact.fd}
        rows = [board.row(number) for number in range(most_numbers(settings.workers))]
        supervisor = Supervisor(
            nursery,
            settings.workers,
            lambda _, number: payload(board, number, settings, secret),
            share=lambda place: {**told, **share, **shared.fds, **listening_at.fds(place)},
            ended=lambda number: at_rest(rows[number]),
        )

        async def replace(new: NodeSettings) -> None:
            await supervisor.replace(lambda _, number: payload(board, number, new, secret), new.limits.drain_s)

        reload = Reload(settings, lambda: _checked(read()), replace, SystemClock())
        own_row = board.row(len(rows))
        seen = volumes(settings.store, board, own_row, None)
        url = _url(settings, listening_at.port)
        draining = asyncio.Event()
        began = time.time()
        facts = Facts(
            url, board, supervisor, reload, keeper, seen, began, certificates, draining, secret, post, contact
        )
        owner = Owner("node")
        try:
            await _started(supervisor)
            owner.spawn("reload", reload.follow(again), endless=True)
            async with tls.in_supervisor(certificates, settings, SystemClock(), own_row):
                await _until(stop, settings, facts, labels, embed, admin.Purging(keeper, authority, token), ready_file)
        finally:
            await owner.close()
            listening_at.close()
            await supervisor.stop(reload.settings.limits.drain_s)


def _board(settings: NodeSettings, reasons: tuple[str, ...]) -> Board:
    """A row for each number that a worker may have, then a row a keeper."""
    directories = len(settings.store.cache_dir)
    rows = most_numbers(settings.workers) + directories
    return Board(families(reasons, directories, settings.store.tenants), rows)


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
                "status": "ok" if _whole(facts) else "degraded",
                "url": facts.url,
                "workers": {"wanted": settings.workers, "ready": facts.supervisor.alive},
                "restarts": sum(worker.restarts for worker in facts.supervisor.workers),
                "started": facts.started,
                "draining": facts.draining.is_set(),
                "isolation": _isolation(facts),
                "settings": facts.reload.health(),
                "listener": tls.describe(facts.reload.settings, facts.certificates),
                "pacing": facts.reload.settings.pacing.rates,
                "keeper": {"alive": facts.keeper.alive, "loaded": facts.keeper.loaded},
                "store": {"keeps": bool(facts.volumes.well()), "volumes": _volumes(facts.volumes)},
                **embedded(),
            }

        def ready() -> bool:
            whole = facts.supervisor.alive == settings.workers
            return whole and not facts.draining.is_set() and not _isolated(facts)

        app = admin.application(health, ready, lambda: admin.render(facts.board, labels), purging)
        host, port = _admin_address(settings, facts.url)
        async with contextlib.AsyncExitStack() as stack:
            try:
                url = await stack.enter_async_context(listening(app, host, port, drain_s=1.0))
            except SettingsError as error:
                raise SettingsError(f"`admin`: {error}") from None
            yield url


def _isolation(facts: Facts) -> dict[str, Any] | None:
    """How long nothing was heard of control, in seconds, and how long that may be (None: for ever); None where nobody
    is to be heard."""
    settings = facts.reload.settings
    if settings.identity is None or settings.identity.control is None:
        return None
    return {
        "age_s": round(facts.contact.age_s(), 1),
        "most_s": settings.max_isolation_s,
        "serves": not _isolated(facts),
    }


def _isolated(facts: Facts) -> bool:
    """Whether the node serves nobody, because it was too long without word."""
    most_s = facts.reload.settings.max_isolation_s
    return most_s is not None and facts.contact.age_s() > most_s


def _whole(facts: Facts) -> bool:
    """Whether no part of the node fails."""
    well = len(facts.volumes.well()) == len(list(facts.volumes))
    return facts.keeper.alive and well and not (facts.certificates and facts.certificates.refused)


def _volumes(volumes: Volumes) -> list[dict[str, Any]]:
    return [
        {"directory": str(each.directory), "out": each.out, "bytes": each.used, "limit": each.limit} for each in volumes
    ]


@contextlib.contextmanager
def _keeping(settings: NodeSettings, board: Board) -> Iterator[tuple[Keepers, Shared]]:
    """The keepers, and what they share with the workers."""
    with _sharing(settings.store) as shared:
        count = range(len(settings.store.cache_dir))
        keepers = Keepers([_keeper(settings, board, number, shared) for number in count])
        keepers.start()
        try:
            yield keepers, shared
        finally:
            keepers.close()


@contextlib.contextmanager
def _sharing(store: StoreSettings) -> Iterator[Shared]:
    with contextlib.ExitStack() as stack:

        def memory(name: str, size: int) -> int:
            fd = os.memfd_create(f"headrace-{name}")
            stack.callback(os.close, fd)
            os.ftruncate(fd, size)
            return fd

        leases = memory("leases", 0)
        visited = memory("visited", store.objects) if store.eviction == "sieve" else None
        asked = memory("asked", size_for(store.objects)) if store.admission == "second-hit" else None
        yield Shared(leases, visited, asked)


def _keeper(settings: NodeSettings, board: Board, number: int, shared: Shared) -> Keeper:
    """The keeper of a directory; the first one lets the memory of requests age."""
    store, row = settings.store, board.row(most_numbers(settings.workers) + number)
    marks = None if shared.visited is None else mapped(shared.visited, store.objects)
    seen = volumes(store, board, row, marks)
    volume = list(seen)[number]
    slots = store.objects // len(store.cache_dir)
    evictor = Lru() if volume.visited is None else Sieve(slots, volume.visited)
    asked = remembered(shared.asked, store) if shared.asked is not None and number == 0 else None
    policy = Policy(pinning(store), store.pinned_share, Tenants(store.tenants), asked)
    return Keeper(volume, seen, slots, evictor, row, SystemClock(), policy)


def _prepare(settings: NodeSettings) -> Certificates | None:
    """What workers need, tried here first: told at start, not by dying workers."""
    _prepare_directories(settings.store.cache_dir)
    return _usable(settings)


def _checked(settings: NodeSettings) -> NodeSettings:
    """The settings, if new workers can do with them."""
    _usable(settings)
    return settings


def _usable(settings: NodeSettings) -> Certificates | None:
    """What the listener serves; SettingsError when something that workers open cannot be opened."""
    try:
        if settings.access_log and str(settings.access_log) != "-":
            settings.access_log.open("ab").close()
    except OSError as error:
        raise SettingsError(f"`access_log`: {error}") from None
    return tls.usable(settings)


def _prepare_directories(directories: tuple[Path, ...]) -> None:
    """One of several that cannot be made is its keeper's to eject: a dead disk must not keep the node from starting."""
    failures = []
    for directory in directories:
        try:
            disk.prepare(directory)
        except OSError as error:
            failures.append(error)
            log.get("node").error("cache directory cannot be used", directory=str(directory), error=str(error))
    if len(failures) == len(directories):
        raise SettingsError(f"`store.cache_dir`: {failures[0]}")


def _url(settings: NodeSettings, port: int) -> str:
    host, _ = host_port(settings.listen)
    scheme = "https" if settings.tls else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _admin_address(settings: NodeSettings, url: str) -> tuple[str, int]:
    if settings.admin:
        return host_port(settings.admin)
    listen = host_port(settings.listen)[1]
    port = int(url.rpartition(":")[2]) + 1000
    return "127.0.0.1", port if listen and port < 65_536 else 0
