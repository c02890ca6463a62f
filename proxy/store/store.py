"""The store of one worker: an index over the directory that all workers of the node share."""

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from kit import log
from kit.metrics import Family, Row
from proxy.rules.meta import Meta
from proxy.rules.variants import MARK as VARIANT
from proxy.store import disk
from proxy.store.bodies import FileBody, MemoryBody
from proxy.store.descriptors import Descriptors, Lease
from proxy.store.disk import Found
from proxy.store.evict import Marks
from proxy.store.format import Foreign, Layout
from proxy.store.sparse import SparseBody, SparseFile, reopen

T = TypeVar("T")

_ENTRIES = 50_000
_DESCRIPTORS = 256
_TOUCH_EVERY_S = 60.0

SHARDS = tuple(f"{number:02x}" for number in range(32))
"""One counter for all keys would let every POST spoil every fill under way."""

METRICS = (
    Family("headrace_store_disk_bytes", "Bytes in the cache directory, fills under way included", "gauge"),
    Family("headrace_store_memory_bytes", "Bytes of bodies in memory", "gauge"),
    Family("headrace_store_entries", "Answers in the workers' indexes", "gauge"),
    Family("headrace_store_errors_total", "Failed disk operations; each was served as a miss"),
    Family(
        "headrace_store_foreign_total", "Files, and slices of files, that were not whole or not ours; each was a miss"
    ),
    Family(
        "headrace_invalidations_total",
        "Answers removed because something changed them (RFC 9111 4.4), by shard of the keys",
        label="shard",
        values=SHARDS,
    ),
    Family("headrace_purges_total", "Purges done", label="kind", values=("hard", "soft")),
    Family("headrace_store_objects", "Objects in the cache directory", "gauge"),
    Family("headrace_store_evictions_total", "Files removed to stay within the bytes allowed"),
)


def shard_of(key: str) -> str:
    """Which counter of invalidations a key shares, with its variants; the same in every worker."""
    return SHARDS[zlib.crc32(key.partition(VARIANT)[0].encode("utf-8", "surrogateescape")) % len(SHARDS)]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one worker may use: bytes on disk (of the node), bytes in memory (its share), largest body in memory."""

    disk: int
    memory: int
    memory_object: int


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """What this worker must know of the others."""

    disk_used: Callable[[], int]
    """Bytes in the cache directory, fills under way included."""
    epoch: Callable[[str], int]
    """How many invalidations there were in a shard of the keys."""


@dataclass(slots=True)
class Entry:
    """A stored answer as the index has it. `body` is there when it is small; `layout` when it has a file."""

    meta: Meta
    path: Path
    body: MemoryBody | None
    layout: Layout | None
    touched: float
    """When its use was last noted."""
    epoch: int
    """The node's count of invalidations when this was found; after another one it must be found again."""
    slot: int = 0
    """Where SIEVE wants hits marked, from 1; 0 until the keeper gave it one."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored answer, ready to be served."""

    meta: Meta
    body: MemoryBody | FileBody | SparseBody
    entry: Entry


class Store:
    """Look up, keep, freshen, forget. Errors of the disk are counted and mean a miss."""

    def __init__(
        self,
        directory: Path,
        bounds: Bounds,
        row: Row,
        node: NodeCounts,
        visited: Marks | None = None,
    ) -> None:
        """`row` counts for this worker, `node` reads the counts of all. `visited`: a byte a slot for SIEVE, shared with
        the keeper; without it the keeper is told of uses now and then, as LRU wants."""
        self.directory, self.bounds = directory, bounds
        self._row, self._node = row, node
        self._index: OrderedDict[str, Entry] = OrderedDict()
        self._descriptors = Descriptors(_DESCRIPTORS)
        self._sparse: WeakValueDictionary[bytes, SparseFile] = WeakValueDictionary()
        self._memory = 0
        self._visited = visited
        self._changing: set[asyncio.Future[Any]] = set()

    async def lookup(self, key: str, now: float) -> Stored | None:
        """What is stored under `key`: from memory, from the index, or found in the directory."""
        entry = self._index.get(key)
        stored = self._ready(entry)
        if entry is None or stored is None:
            return await self._found(key, now)
        self._index.move_to_end(key)
        await self._note_use(entry, now)
        return stored

    async def _note_use(self, entry: Entry, now: float) -> None:
        """Let the order of eviction know of a hit: one byte for SIEVE, a line a minute for LRU."""
        if entry.slot and self._visited is not None:
            self._visited[(entry.slot - 1) % len(self._visited)] = 1
        elif entry.layout is not None and now - entry.touched > (1.0 if self._visited is not None else _TOUCH_EVERY_S):
            entry.touched = now
            if self._visited is None:
                await self.blocking(disk.note_use, self.directory, entry.meta.key)
            else:
                entry.slot = await self.blocking(disk.read_slot, entry.path)

    def _ready(self, entry: Entry | None) -> Stored | None:
        """An indexed answer, unless it must be looked for again: an invalidation came, or its file is not open."""
        if entry is None or entry.epoch != self.epoch(entry.meta.key):
            return None
        if entry.body is not None:
            return Stored(entry.meta, entry.body, entry)
        lease = self._descriptors.get(entry.path)
        if lease is None or entry.layout is None:
            return None
        return Stored(entry.meta, _body(lease, entry.layout), entry)

    async def _found(self, key: str, now: float) -> Stored | None:
        """Look in the directory: another worker, or an earlier life of this one, may have stored it."""
        old, epoch = self._index.get(key), self.epoch(key)
        found, data = await self._read(key)
        indexed = self._index.get(key)
        if indexed is not old and (stored := self._ready(indexed)):
            return stored  # a fill ended while we looked: what we saw is of before
        if found is None:
            self.forget(key)
            return None
        meta = found.meta
        if old and old.epoch == epoch and old.layout and old.layout.digest == found.layout.digest:
            meta = max(old.meta, meta, key=lambda each: each.response_time)  # a 304's fields may not have fitted
        if data is None:
            return self._remember_file(
                Entry(meta, found.path, None, found.layout, now, epoch, found.layout.slot), found.lease
            )
        return self._remember(Entry(meta, found.path, MemoryBody(data), found.layout, now, epoch, found.layout.slot))

    async def _read(self, key: str) -> tuple[Found | None, bytes | None]:
        """The file for `key`, and its body when that is small. (None, None): a miss."""
        try:
            found = await self.blocking(disk.find, self.directory, key)
            if found is not None and found.layout.slice_size:
                return replace(found, lease=self.known(await self.blocking(reopen, found))), None
            if found is None or found.layout.body_length > self.bounds.memory_object:
                return found, None
            return found, await self.blocking(disk.read_whole, found)
        except OSError as error:
            self.disk_error("read", error)
        except Foreign as error:
            self.foreign(str(error), key=key[:200])
        return None, None

    def known(self, file: SparseFile) -> SparseFile:
        """The one SparseFile of this process for that file: who reads it shares what is known of its slices."""
        known = self._sparse.setdefault(file.identity, file)
        known.complete |= file.complete
        return known

    def foreign(self, why: str, **about: object) -> None:
        """Count a file, or a slice, that is not what we wrote."""
        self._row.add("headrace_store_foreign_total")
        log.get("store").warning("foreign file", why=why, **about)

    def keep(self, entry: Entry, lease: Lease | None = None) -> Stored:
        """Index what was just published: a body in memory, or a file with its open `lease`."""
        return self._remember(entry) if lease is None else self._remember_file(entry, lease)

    async def freshen(self, stored: Stored, meta: Meta, epoch: int) -> Stored:
        """New metadata after a 304, in memory and, where it fits, in the file; `epoch` is of when upstream was asked.

        After another invalidation, or when other bytes were stored since, only the answer given back has it.
        """
        entry = stored.entry
        if epoch != self.epoch(meta.key):
            return Stored(meta, stored.body, replace(entry, meta=meta))
        entry.meta = meta
        if entry.layout is not None:
            try:
                await self.blocking(disk.rewrite, self.directory, entry.layout, meta)
            except (OSError, Foreign) as error:
                self.disk_error("rewrite", error)
        return Stored(meta, stored.body, entry)

    def forget(self, key: str) -> None:
        """Drop an entry from this worker's index; the file stays."""
        entry = self._index.pop(key, None)
        if entry:
            self._let_go(entry)

    async def invalidate(self, key: str) -> None:
        """Remove the answer for `key` on this node: every worker looks again before it serves what it remembers, and a
        fill begun before this publishes nothing (RFC 9111 4.4)."""
        shard = shard_of(key)

        def removed() -> None:
            self._row.add("headrace_invalidations_total", shard)

        self.forget(key)
        try:
            await self.counted(lambda gone: -gone, disk.remove, self.directory, key, removed)
        except OSError as error:
            removed()
            self.disk_error("remove", error)

    async def invalidate_groups(self, groups: Iterable[str]) -> None:
        """Remove every answer that carries one of these tags, and was published until now (RFC 9875 3). The keeper does
        it as soon as it looks, within a tenth of a second."""

        def changed() -> None:
            for shard in SHARDS:
                self._row.add("headrace_invalidations_total", shard)

        try:
            await self.blocking(disk.note_groups, self.directory, tuple(groups), changed)
        except OSError as error:
            self.disk_error("note", error)

    def epoch(self, key: str) -> int:
        """How many invalidations this node has seen, of `key` or of others that share its counter."""
        return self._node.epoch(shard_of(key))

    def room_for(self, size: int) -> bool:
        """Whether storing `size` more bytes keeps the node within its disk."""
        return self._node.disk_used() + size <= self.bounds.disk

    def reserve(self, size: int) -> None:
        """Count bytes that are about to be on disk, or (negative) that went: fills under way have their place."""
        self._row.add("headrace_store_disk_bytes", amount=size)

    def disk_error(self, what: str, error: Exception) -> None:
        """Count a failed disk operation; the request goes on as a miss."""
        self._row.add("headrace_store_errors_total")
        log.get("store").warning("disk error", operation=what, error=str(error))

    async def counted(self, change: Callable[[T], int], work: Callable[..., T], *arguments: object) -> T:
        """Run file work off the loop and reserve what `change` says of its result, though whoever asked may be gone
        before it is done."""

        def count(done: "asyncio.Future[T]") -> None:
            if done.exception() is None:
                self.reserve(change(done.result()))

        running = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
        self._changing.add(running)
        running.add_done_callback(self._changing.discard)
        running.add_done_callback(count)
        return await asyncio.shield(running)

    async def blocking(self, work: Callable[..., T], *arguments: object) -> T:
        """Run file work off the loop."""
        return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)

    async def close(self) -> None:
        """Let what changes the directory end, then close descriptors."""
        if self._changing:
            await asyncio.wait(self._changing)
        self._descriptors.close()
        self._index.clear()

    def _remember(self, entry: Entry) -> Stored:
        assert entry.body is not None
        self.forget(entry.meta.key)
        self._index[entry.meta.key] = entry
        self._memory += entry.body.length
        self._evict()
        return Stored(entry.meta, entry.body, entry)

    def _remember_file(self, entry: Entry, lease: Lease) -> Stored:
        assert entry.layout is not None
        self.forget(entry.meta.key)
        self._descriptors.add(entry.path, lease)
        self._index[entry.meta.key] = entry
        self._evict()
        return Stored(entry.meta, _body(lease, entry.layout), entry)

    def _evict(self) -> None:
        """Stay within entries and memory; what has a file can be found again."""
        while self._index and (len(self._index) > _ENTRIES or self._memory > self.bounds.memory):
            self._let_go(self._index.popitem(last=False)[1])
        self._row.set("headrace_store_memory_bytes", self._memory)
        self._row.set("headrace_store_entries", len(self._index))

    def _let_go(self, entry: Entry) -> None:
        if entry.body is not None:
            self._memory -= entry.body.length
        self._descriptors.drop(entry.path)


def _body(lease: Lease, layout: Layout) -> FileBody | SparseBody:
    """The body in an open file."""
    if isinstance(lease, SparseFile) and not lease.complete:
        return SparseBody(lease)
    return FileBody(lease, layout.body_offset, layout.body_length)
