"""One worker of a caching node: where the parts of the engine meet."""

import asyncio
import contextlib
import mmap
import resource
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import uvloop
from yarl import URL

from configs.schema.node import NodeSettings, StoreSettings
from kit import log
from kit.clock import Clock, SystemClock
from kit.errors import SettingsError
from kit.metrics import Board, Family, Row
from kit.post import Sender
from kit.service import stop_signal
from kit.tasks import Owner
from kit.workers import Told
from proxy.fill import filler, runs
from proxy.fill.filler import Filler
from proxy.fill.leases import Leases
from proxy.fill.neighbours import Neighbours
from proxy.host import listeners, tls
from proxy.serve import account, pacing
from proxy.serve.account import AccessLog, Account
from proxy.serve.connection import Patience, Server
from proxy.serve.contact import FD as CONTACT
from proxy.serve.contact import ContactTier
from proxy.serve.fast import FastServer
from proxy.serve.lane import Lane
from proxy.serve.own import OwnTier
from proxy.serve.pacing import Pacing
from proxy.serve.passing import Passer
from proxy.serve.pipeline import Pipeline
from proxy.serve.tier import Tier
from proxy.serve.watch import Busy, Watch
from proxy.store import accounts, store
from proxy.store.admission import Admission
from proxy.store.admit import SecondHit, size_for
from proxy.store.evict import Marks
from proxy.store.pinning import Pinning
from proxy.store.shards import SHARDS
from proxy.store.store import Bounds, NodeCounts, Store
from proxy.store.volumes import Volume, Volumes, share
from proxy.store.volumes import metrics as volume_metrics
from proxy.tls.handshake import Handshakes, quiet
from proxy.upstream import probes
from proxy.upstream.client import Client, Manners, Sign

_FLUSH_S = 0.5
_NOTE_S = 1.0
"""How often a worker tells its supervisor what it saw."""
_NOTES = 8
"""Notes in a row at most."""
NOTES = Family("headrace_notes_lost_total", "Notes of workers that the supervisor did not take")
_JUST_COME_S = 0.5
"""Whoever connected before a drain has this long to say what for: closed at once, it would count as refused."""
_LATER_S = 15.0
"""A worker that follows another's fill in a body gives up so much later than that one gives up its upstream."""
_GAUGES = ("connections", "waiting", "followed_now", "store_memory_bytes", "store_entries", "upstreams_unwell")
_OPEN_FILES = 8_192
"""Stored files kept open at most, and an eighth of what the system allows: a hit on another is opened off the loop."""


@dataclass(frozen=True, slots=True)
class Role:
    """What makes a node an edge or a shield: its tier's rules and whom it asks."""

    tier: Tier
    bases: tuple[str, ...]
    authority: str | None = None
    sign: Sign | None = None
    watch: Callable[[Busy], Watch] | None = None
    """Makes what a worker looks at its viewers with."""

    @property
    def keys_authority(self) -> str:
        """The authority in this node's cache keys (contracts.md)."""
        return self.authority or URL(self.bases[0]).authority


def same_keys(old: Role, new: Role) -> None:
    """SettingsError when a node that runs cannot become `new`: what it has stored would have other keys."""
    if old.keys_authority != new.keys_authority:
        raise SettingsError(f"`authority`: {new.keys_authority} in cache keys takes a restart of the node")


def families(reasons: tuple[str, ...], volumes: int = 1, tenants: tuple[str, ...] = ()) -> tuple[Family, ...]:
    """Every metric of a node whose tier refuses for `reasons`, and that has so many cache directories."""
    return (
        *account.METRICS,
        account.refusals(reasons),
        NOTES,
        *pacing.METRICS,
        *filler.METRICS,
        *runs.METRICS,
        *probes.METRICS,
        *store.METRICS,
        *volume_metrics(volumes),
        *accounts.metrics(tenants),
        *tls.METRICS,
    )


def run(told: Told, settings: NodeSettings, role: Role) -> None:
    """Serve until SIGTERM; `told.payload` has `number` and `rows` (kit.metrics) and `own` (OwnTier), `told.fds` what is
    shared."""
    log.setup(f"{settings.name}-worker")
    _raise_descriptor_limit()
    tier = role.tier
    if settings.max_isolation_s is not None:
        tier = ContactTier(tier, told.fds[CONTACT], settings.max_isolation_s, SystemClock())
    role = replace(role, tier=OwnTier(tier, told.payload["own"]))
    with quiet(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(told, settings, role))


async def _serve(told: Told, settings: NodeSettings, role: Role) -> None:
    fds, number = told.fds, told.payload["number"]
    made_of = families(role.tier.reasons, len(settings.store.cache_dir), settings.store.tenants)
    board = Board(made_of, told.payload["rows"], fd=fds["board"])
    stop = stop_signal()
    visited = mapped(fds["visited"], settings.store.objects) if "visited" in fds else None
    asked = remembered(fds["asked"], settings.store) if "asked" in fds else None
    leases = Leases(fds["leases"], number)
    post = Sender(fds["post"])
    loop = asyncio.get_running_loop()
    async with engine(settings, role, board, number, SystemClock(), visited, leases, asked, post) as server:
        accepting = [
            await loop.create_server(server.entrance or server, sock=each, backlog=listeners.BACKLOG)
            for each in listeners.given(fds)
        ]
        told.ready()
        await stop.wait()
        for each in accepting:
            each.close()
        await drain(server, settings.limits.drain_s, _JUST_COME_S)


def at_rest(row: Row) -> None:
    """A worker ended: it has no connections and holds nothing. What it counted, and the bytes that it put on disk,
    stay."""
    for gauge in _GAUGES:
        row.set(f"headrace_{gauge}", 0)
    tls.at_rest(row)


@contextlib.asynccontextmanager
async def engine(
    settings: NodeSettings,
    role: Role,
    board: Board,
    number: int,
    clock: Clock,
    visited: Marks | None = None,
    leases: Leases | None = None,
    asked: SecondHit | None = None,
    post: Sender | None = None,
) -> AsyncIterator[Server]:
    """The parts of one worker, put together; yields the protocol factory to listen with. `visited`, `asked`: shared by
    the workers of the node, see Volume and Admission; `leases`: where the node has other workers; `post`: where a
    supervisor is told what viewers do."""
    row = board.row(number)
    kept = _store(settings, board, row, visited, asked)
    access_log = AccessLog(settings.access_log, row) if settings.access_log else None
    owner = Owner("worker")
    certificates = tls.certificates(settings)
    trusted = tls.trusted(settings, role.bases)
    async with Client(role.bases, role.authority, _manners(settings), clock, role.sign, trusted) as client:
        neighbours = _neighbours(settings, board, row, leases) if leases else None
        filling = _filler(settings, client, kept, clock, row, neighbours)
        await filling.start()
        watch = role.watch(_busy(settings, row)) if role.watch else None
        listening = watch if watch is not None and watch.listens else None
        accounts = Account(row, access_log, role.tier.reasons, listening)
        pipeline = Pipeline(
            name=settings.name,
            tier=role.tier,
            store=kept,
            filler=filling,
            passer=Passer(settings.name, role.tier, client, kept, settings.limits.send_timeout_s),
            account=accounts,
            clock=clock,
            authority=client.authority,
            send_timeout_s=settings.limits.send_timeout_s,
            watch=watch,
        )
        lane = Lane(
            name=settings.name,
            tier=role.tier,
            store=kept,
            account=accounts,
            clock=clock,
            authority=client.authority,
        )
        owner.spawn("upstreams", probes.watch(client, clock, row, settings.upstream.probe_s), endless=True)
        if access_log:
            owner.spawn("access-log", _flush(access_log), endless=True)
        try:
            server = _server(settings, lane, pipeline, row, clock)
            server.watch = watch
            if watch is not None and post is not None:
                owner.spawn("notes", _notes(watch, post, row), endless=True)
            row.set("headrace_listeners", 1, tls.path(settings))
            if certificates is not None:
                server.entrance = Handshakes(server, certificates, row)
                owner.spawn("certificates", tls.in_worker(certificates, settings, row), endless=True)
            yield server
        finally:
            await owner.close()
            await filling.close()
            await kept.close()
            if access_log:
                await access_log.close()


def _manners(settings: NodeSettings) -> Manners:
    upstream = settings.upstream
    return Manners(
        upstream.connect_timeout_s,
        upstream.head_timeout_s,
        upstream.read_timeout_s,
        upstream.connections,
        upstream.idle_s,
    )


def _neighbours(settings: NodeSettings, board: Board, row: Row, leases: Leases) -> Neighbours:
    patience, silence = settings.upstream.follow_timeout_s, settings.upstream.read_timeout_s + _LATER_S
    by_all, cells, ours = board.reader(filler.LED), row.cells, row.column(filler.LED)
    return Neighbours(leases, lambda: by_all() - cells[ours], patience, silence)


def _filler(
    settings: NodeSettings, client: Client, kept: Store, clock: Clock, row: Row, neighbours: Neighbours | None
) -> Filler:
    return Filler(
        client,
        kept,
        clock,
        row,
        neighbours,
        follow_timeout_s=settings.upstream.follow_timeout_s,
        slice_size=settings.store.slice,
    )


def _busy(settings: NodeSettings, row: Row) -> Busy:
    open_now, most = row.column("headrace_connections"), settings.limits.connections
    return lambda: (row.cells[open_now], most)


def _server(settings: NodeSettings, lane: Lane, pipeline: Pipeline, row: Row, clock: Clock) -> Server:
    limits = settings.limits
    patience = Patience(
        limits.header_timeout_s,
        limits.idle_timeout_s,
        limits.send_timeout_s,
        limits.connections,
        limits.connections_per_client,
    )
    rates = settings.pacing.rates
    paces = Pacing(rates, row) if rates else None
    if settings.fast_lane:
        return FastServer(lane, pipeline, patience, row, clock, paces)
    return Server(pipeline, patience, row, clock, paces)


async def drain(server: Server, seconds: float, just_come_s: float = 0.0) -> None:
    """Idle connections close after `just_come_s`, busy ones after their answer, all of them after `seconds`. From the
    start, answers say so."""
    server.drain()
    grace = min(just_come_s, seconds)
    await _empty(server, grace)
    server.pre_shutdown()
    await _empty(server, seconds - grace)
    await server.shutdown(0.1)


async def _empty(server: Server, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await server.empty.wait()


def _store(settings: NodeSettings, board: Board, row: Row, visited: Marks | None, asked: SecondHit | None) -> Store:
    memory = settings.store.memory // settings.workers
    files = min(_OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)
    bounds = Bounds(memory, settings.store.memory_object, int(memory * settings.store.pinned_share), files)
    admission = Admission(row, asked, settings.store.admission_above)
    node = NodeCounts({shard: board.reader("headrace_invalidations_total", shard) for shard in SHARDS})
    seen = volumes(settings.store, board, row, visited)
    return Store(seen, bounds, row, node, admission, pinning(settings.store))


def pinning(settings: StoreSettings) -> Pinning:
    """What is pinned on this node."""
    return Pinning(settings.pinned_types, settings.pinned_names)


def remembered(fd: int, settings: StoreSettings) -> SecondHit:
    """The memory of requests that all workers share."""
    return SecondHit(mapped(fd, size_for(settings.objects)))


def volumes(settings: StoreSettings, board: Board, row: Row, visited: Marks | None) -> Volumes:
    """The cache directories as the owner of `row` sees them: each has an even share of the bytes and of the marks."""
    count = len(settings.cache_dir)
    return Volumes(
        [
            Volume(number, directory, settings.disk // count, board, row, share(visited, number, count))
            for number, directory in enumerate(settings.cache_dir)
        ]
    )


async def _flush(access_log: AccessLog) -> None:
    while True:
        await asyncio.sleep(_FLUSH_S)
        await access_log.flush()


async def _notes(watch: Watch, post: Sender, row: Row) -> None:
    """Tell the supervisor what was seen; the last time when the worker ends."""
    try:
        while True:
            await asyncio.sleep(_NOTE_S)
            await watch.digest()
            _tell(watch, post, row)
    finally:
        _tell(watch, post, row)


def _tell(watch: Watch, post: Sender, row: Row) -> None:
    for _ in range(_NOTES):
        if (note := watch.note()) is None:
            return
        if not post.send(note):
            row.add(NOTES.name)


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def mapped(fd: int, size: int) -> Marks:
    """A file in memory that several processes see, as bytes."""
    return memoryview(mmap.mmap(fd, size))


@dataclass(frozen=True, slots=True)
class Shared:
    """Descriptors of memory that the workers of a node share: whose locks say which worker fetches what; where SIEVE's
    hits are marked, and where requests are remembered for admission, or None where the settings want none."""

    leases: int
    visited: int | None
    asked: int | None

    @property
    def fds(self) -> dict[str, int]:
        """Those that there are, by name."""
        named = {"leases": self.leases, "visited": self.visited, "asked": self.asked}
        return {name: fd for name, fd in named.items() if fd is not None}


def payload(board: Board, number: int, settings: NodeSettings, secret: str) -> dict[str, Any]:
    """What the supervisor tells worker `number`; `secret` opens the node to its own requests."""
    return {"rows": board.rows, "number": number, "settings": settings.model_dump(mode="json"), "own": secret}
