"""The store of one worker: an index over the directories that all workers of the node share."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from kit import log
from kit.metrics import Family, Row
from proxy.rules.meta import Meta
from proxy.store import admission, disk
from proxy.store.admission import Admission
from proxy.store.bodies import FileBody, MemoryBody
from proxy.store.descriptors import Descriptors, Lease
from proxy.store.disk import Found
from proxy.store.entries import Entries, Entry
from proxy.store.format import Foreign, Layout
from proxy.store.pinning import Pinning
from proxy.store.shards import SHARDS, shard_of
from proxy.store.sparse import SparseBody, SparseFile, reopen
from proxy.store.volumes import Volume, Volumes

T = TypeVar("T")

_ENTRIES = 20_000
_MEMORY_AN_ENTRY = 2_560
"""Entries are 1.8 KB each with a dozen fields. What is not among them is found in its directory, at twenty times the
price of a hit: so many are kept as there may be small bodies in memory."""
_TOUCH_EVERY_S = 60.0

METRICS = (
    *admission.METRICS,
    Family("headrace_store_disk_bytes", "Bytes in the cache directories, fills under way included", "gauge"),
    Family("headrace_store_memory_bytes", "Bytes of bodies in memory, growing ones included", "gauge"),
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


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one worker may use: bytes in memory (its share), largest body in memory; bytes of pinned bodies among them.
    What it may use on disk its volumes say."""

    memory: int
    memory_object: int
    pinned: int = 0
    descriptors: int = 256
    """Files kept open for the next reader."""

    @property
    def entries(self) -> int:
        """Answers remembered."""
        return max(_ENTRIES, self.memory // _MEMORY_AN_ENTRY)


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """What this worker must know of the others."""

    epochs: Mapping[str, Callable[[], int]]
    """How many invalidations there were, by shard of the keys."""


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
        volumes: Volumes,
        bounds: Bounds,
        row: Row,
        node: NodeCounts,
        admission: Admission | None = None,
        pinning: Pinning | None = None,
    ) -> None:
        """`row` counts for this worker, `node` reads the counts of all. Where a volume has marks, SIEVE orders it; else
        its keeper is told of uses now and then, as LRU wants. Without `admission` all is admitted."""
        self.volumes, self.bounds = volumes, bounds
        self.admission, self.pinning = admission or Admission(row, None, 0), pinning or Pinning()
        self._row, self._node = row, node
        self._entries = Entries(bounds.entries, bounds.memory, bounds.pinned)
        self._descriptors = Descriptors(bounds.descriptors)
        self._sparse: WeakValueDictionary[bytes, SparseFile] = WeakValueDictionary()
        self._changing: set[asyncio.Future[Any]] = set()

    def home(self, key: str) -> Volume | None:
        """The directory that `key` lives in; None while every one is out: then nothing can be kept on disk."""
        return self.volumes.home(key)

    async def lookup(self, key: str, now: float) -> Stored | None:
        """What is stored under `key`: from memory, from the index, or found in the directory."""
        entry = self._entries.get(key)
        stored = self._ready(entry)
        if entry is None or stored is None:
            return await self._found(key, now)
        entry.used = True
        await self._note_use(entry, now)
        return stored

    def peek(self, key: str, now: float) -> tuple[Meta, MemoryBody | FileBody | SparseBody] | None:
        """`lookup` of what this worker can serve at once, without the disk: answer and body; None: ask `lookup`."""
        entry = self._entries.get(key)
        if entry is None or (body := self._body(entry)) is None:
            return None
        volume = entry.volume
        if volume is not None and not _mark(entry, volume) and _must_note(entry, volume, now):
            return None
        entry.used = True
        return entry.meta, body

    def unchanged(self, key: str, stored: Stored | None) -> bool:
        """Whether this worker still remembers `stored` as what lies under `key`, and as it was; or, where `stored` is
        None, nothing."""
        entry = self._entries.get(key)
        if stored is None:
            return entry is None
        return entry is stored.entry and entry.meta is stored.meta

    async def _note_use(self, entry: Entry, now: float) -> None:
        """Let the order of eviction know of a hit: one byte for SIEVE, a line a minute for LRU."""
        volume = entry.volume
        if volume is None or _mark(entry, volume) or not _must_note(entry, volume, now):
            return
        entry.touched = now
        if volume.visited is None:
            await self.blocking(disk.note_use, volume.directory, entry.meta.key)
        else:
            entry.slot = await self.blocking(disk.read_slot, disk.path_of(volume.directory, entry.meta.key))

    def _ready(self, entry: Entry | None) -> Stored | None:
        """An indexed answer, unless it must be looked for again."""
        body = None if entry is None else self._body(entry)
        return None if entry is None or body is None else Stored(entry.meta, body, entry)

    def _body(self, entry: Entry) -> MemoryBody | FileBody | SparseBody | None:
        """The body of an entry; None where it must be looked for again: an invalidation came, its file is not open."""
        if entry.epoch != self._node.epochs[entry.shard]():
            return None
        if entry.body is not None:
            return entry.body
        lease = self._descriptors.get(entry.meta.key)
        if lease is None or entry.layout is None:
            return None
        return _body(lease, entry.layout)

    async def _found(self, key: str, now: float) -> Stored | None:
        """Look in the directory: another worker, or an earlier life of this one, may have stored it."""
        old, epoch, volume = self._entries.get(key), self.epoch(key), self.home(key)
        found, data = await self._read(key, volume)
        entry = self._entries.get(key)
        if entry is not old and (stored := self._ready(entry)):
            return stored  # a fill ended while we looked: what we saw is of before
        if found is None:
            self.forget(key)
            return None
        meta, layout = found.meta, found.layout
        if old and old.epoch == epoch and old.layout and old.layout.digest == layout.digest:
            meta = max(old.meta, meta, key=lambda each: each.response_time)  # a 304's fields may not have fitted
        body = None if data is None else MemoryBody(data)
        entry = Entry(meta, body, layout, now, epoch, layout.slot, volume, layout.pinned)
        return self.keep(entry, found.lease if body is None else None)

    async def _read(self, key: str, volume: Volume | None) -> tuple[Found | None, bytes | None]:
        """The file for `key`, and its body when that is small. (None, None): a miss."""
        if volume is None:
            return None, None
        try:
            found = await self.blocking(disk.find, volume.directory, key)
            if found is not None and found.layout.slice_size:
                return replace(found, lease=self.known(await self.blocking(reopen, found))), None
            if found is None or found.layout.body_length > self.bounds.memory_object:
                return found, None
            return found, await self.blocking(disk.read_whole, found)
        except OSError as error:
            self.disk_error("read", error, volume)
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
        if lease is None:
            assert entry.body is not None
            self._remember(entry)
            return Stored(entry.meta, entry.body, entry)
        assert entry.layout is not None
        self._remember(entry)
        self._descriptors.add(entry.meta.key, lease)
        return Stored(entry.meta, _body(lease, entry.layout), entry)

    async def freshen(self, stored: Stored, meta: Meta, epoch: int) -> Stored:
        """New metadata after a 304, in memory and, where it fits, in the file; `epoch` is of when upstream was asked.

        After another invalidation, or when other bytes were stored since, only the answer given back has it.
        """
        entry = stored.entry

        def current() -> bool:
            return epoch == self.epoch(meta.key)

        if not current():
            return Stored(meta, stored.body, replace(entry, meta=meta))
        entry.meta = meta
        if entry.layout is not None and entry.volume is not None:
            try:
                await self.blocking(disk.freshen, entry.volume.directory, entry.layout, meta, current)
            except (OSError, Foreign) as error:
                self.disk_error("rewrite", error, entry.volume)
        return Stored(meta, stored.body, entry)

    def forget(self, key: str) -> None:
        """Drop an entry from this worker's index; the file stays."""
        entry = self._entries.pop(key)
        if entry:
            self._let_go([entry])

    async def invalidate(self, key: str) -> None:
        """Remove the answer for `key` on this node: every worker looks again before it serves what it remembers, and a
        fill begun before this publishes nothing (RFC 9111 4.4)."""
        shard = shard_of(key)

        def removed() -> None:
            self._row.add("headrace_invalidations_total", shard)

        self.forget(key)
        well = self.volumes.well()  # one that was its home before may hold it still
        if not well:
            removed()
        for volume in well:
            try:
                await self.counted(volume, 0, lambda gone: -gone, disk.remove, volume.directory, key, removed)
            except OSError as error:
                removed()
                self.disk_error("remove", error, volume)

    async def invalidate_groups(self, groups: Iterable[str]) -> None:
        """Remove every answer that carries one of these tags, and was published until now (RFC 9875 3). The keeper does
        it as soon as it looks, within a tenth of a second."""

        def changed() -> None:
            for shard in SHARDS:
                self._row.add("headrace_invalidations_total", shard)

        well = self.volumes.well()
        if not well:
            changed()
        for volume in well:
            try:
                await self.blocking(disk.note_groups, volume.directory, tuple(groups), changed)
            except OSError as error:
                self.disk_error("note", error, volume)

    def epoch(self, key: str) -> int:
        """How many invalidations this node has seen, of `key` or of others that share its counter."""
        return self._node.epochs[shard_of(key)]()

    def take_memory(self, size: int) -> bool:
        """Count bytes of a body that is about to grow in memory, others make room; False when too many grow already."""
        room = self._entries.grow(size)
        if room is None:
            return False
        self._let_go(room)
        return True

    def give_memory(self, size: int) -> None:
        """A body grows no more."""
        self._entries.shrink(size)
        self._show()

    def disk_error(self, what: str, error: Exception, volume: Volume | None) -> None:
        """Count a failed disk operation; the request goes on as a miss. A `volume` that goes on so is ejected."""
        self._row.add("headrace_store_errors_total")
        log.get("store").warning("disk error", operation=what, error=str(error))
        if volume is not None:
            volume.failed(error)

    async def counted(
        self, volume: Volume, taken: int, change: Callable[[T], int], work: Callable[..., T], *arguments: object
    ) -> T:
        """Run file work off the loop that changes what lies in `volume`. When it has ended, though whoever asked may be
        gone before: what `change` says of its result counts, and the bytes `taken` for it do not any more."""

        def count(done: "asyncio.Future[T]") -> None:
            volume.add((change(done.result()) if done.exception() is None else 0) - taken)

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
        self._entries.clear()

    def _remember(self, entry: Entry) -> None:
        """Stay within entries and memory; what has a file can be found again."""
        self._let_go(self._entries.put(entry))

    def _let_go(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._descriptors.drop(entry.meta.key)
        self._show()

    def _show(self) -> None:
        self._row.set("headrace_store_memory_bytes", self._entries.memory + self._entries.growing)
        self._row.set("headrace_store_entries", len(self._entries))


def _body(lease: Lease, layout: Layout) -> FileBody | SparseBody:
    """The body in an open file."""
    if isinstance(lease, SparseFile) and not lease.complete:
        return SparseBody(lease)
    return FileBody(lease, layout.body_offset, layout.body_length)


def _mark(entry: Entry, volume: Volume) -> bool:
    """Mark a hit for SIEVE; False where the keeper gave no slot yet, or orders by last use."""
    if not entry.slot or volume.visited is None:
        return False
    volume.visited[(entry.slot - 1) % len(volume.visited)] = 1
    return True


def _must_note(entry: Entry, volume: Volume, now: float) -> bool:
    """Whether the disk must be asked, or told, before another hit goes by."""
    return entry.layout is not None and now - entry.touched > (1.0 if volume.visited is not None else _TOUCH_EVERY_S)
