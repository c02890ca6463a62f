"""The one who keeps a cache directory: knows every file, holds it within its bytes, does what is to be purged.

One a node, a thread of the supervisor, so that no loop ever waits for the index or the disk. It learns of files from
the journal; workers learn of purges from counters in shared memory, and look again. After a crash the journal and the
directory say what there is.
"""

import queue
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lmdb

from kit import log
from kit.clock import Clock
from kit.metrics import Board
from proxy.rules.variants import MARK as VARIANT
from proxy.store import disk, journal
from proxy.store.directory import readable, remove_orphans, scan
from proxy.store.evict import NONE, Evictor
from proxy.store.index import Index, Row
from proxy.store.opening import boot_id, open_index
from proxy.store.purge import Purge, Purged
from proxy.store.soften import soften
from proxy.store.store import SHARDS, shard_of
from proxy.store.tags import tags_of

HIGH, LOW = 0.90, 0.80
"""Watermarks (D-09): above HIGH objects go until LOW."""
LOOK_EVERY_S = 0.1
_RECOUNT_EVERY_S = 60.0
_BATCH = 1_000
_REST_S = 0.2
_NAME = 20
_DISK = "headrace_store_disk_bytes"
_INVALIDATIONS = "headrace_invalidations_total"


@dataclass(frozen=True, slots=True)
class _Task:
    """A purge to do, and where its result goes."""

    purge: Purge
    result: "Future[Purged]"


class Keeper:
    """Start it, then `purge` from any thread; `close` writes down that all is in order."""

    def __init__(self, directory: Path, limit: int, slots: int, evictor: Evictor, board: Board, clock: Clock) -> None:
        """`limit` bytes and `slots` objects at most; the last row of `board` is ours."""
        self._directory, self._limit, self._slots = directory, limit, slots
        self._evictor, self._board, self._clock = evictor, board, clock
        self._row = board.row(board.rows - 1)
        self._names = bytearray()  # slot -> name, 20 bytes each
        self._free: list[int] = []
        self._total = 0
        self._sequence = 0
        self._recounted = 0.0
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self.loaded = threading.Event()
        """Set once every file of before is known."""

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def purge(self, purge: Purge) -> "Future[Purged]":
        """Do it; the result comes when every file is gone (or stale) and no fill begun before can bring one back."""
        result: Future[Purged] = Future()
        self._tasks.put(_Task(purge, result))
        if not self.alive:
            result.cancel()
        return result

    def close(self) -> None:
        """End in order. Blocks until the journal so far is in the index."""
        if self.alive:
            self._tasks.put(None)
            self._thread.join()

    def _run(self) -> None:
        index, known = open_index(self._directory)
        try:
            self._load(index) if known else self._rebuild(index)
            self.loaded.set()
            while self._turn(index):
                pass
            index.note(clean=True, boot=boot_id())
        except BaseException as error:
            log.get("keeper").error("the keeper ended", error=repr(error), exc_info=True)
            raise
        finally:
            index.close()
            while not self._tasks.empty():
                task = self._tasks.get_nowait()
                if task:
                    task.result.cancel()

    def _turn(self, index: Index) -> bool:
        """Wait a little for something to do, then do all there is. False when told to end."""
        try:
            task = self._tasks.get(timeout=LOOK_EVERY_S)
        except queue.Empty:
            task = _IDLE
        try:
            self._read_journal(index)
            if task is not None and task is not _IDLE:
                self._do(index, task)
            self._make_room(index)
            if time.monotonic() - self._recounted > _RECOUNT_EVERY_S:
                self._recount()
        except (OSError, lmdb.Error) as error:
            self._refused(error, task)
        return task is not None

    def _refused(self, error: Exception, task: _Task | None) -> None:
        """The disk refused: what was asked fails, the journal stays, and we try again."""
        self._row.add("headrace_store_errors_total")
        log.get("keeper").warning("the disk refused", error=str(error))
        if task is not None and task is not _IDLE and not task.result.done():
            task.result.set_exception(error)
        time.sleep(_REST_S)

    # what there is

    def _load(self, index: Index) -> None:
        for place in index.by_arrival():
            self._take_slot(place.slot, place.name)
            self._evictor.added(place.slot)
            self._total += place.size
        used = {slot for slot in range(len(self._names) // _NAME) if self._name(slot) != bytes(_NAME)}
        self._free = [slot for slot in range(len(self._names) // _NAME) if slot not in used]
        self._sequence = index.last_sequence()
        self._recount()

    def _rebuild(self, index: Index) -> None:
        """The index is not to be trusted: read every file's head, least recently used first."""
        files = sorted(scan(self._directory), key=lambda each: each.used)
        if files:
            log.get("keeper").info("reading the directory", files=len(files))
        batch: list[Row] = []
        for file, meta in readable(files):
            batch.append(self._new_row(disk.name_of(meta.key), file.size, meta.key, tags_of(meta.fields)))
            if len(batch) == _BATCH:
                index.put(batch)
                batch = []
        index.put(batch)
        self._recount()

    def _read_journal(self, index: Index) -> None:
        """Bring the index up to what the workers did. The last event of a key counts, checked against the directory."""
        with disk.locked(self._directory):
            if not journal.take(self._directory):
                return
        events: dict[str, tuple[str, ...] | None] = {}
        used: set[str] = set()
        for kind, key, tags in journal.taken(self._directory):
            if kind == "used":
                used.add(key)
            elif kind == "group":
                self._apply(index, events)
                events = {}
                self._remove(index, index.with_tag(key))
            else:
                events[key] = tags if kind == "stored" else None
        self._apply(index, events)
        for key in used:
            row = index.get(disk.name_of(key))
            if row:
                self._evictor.used(row.slot)
        journal.done(self._directory)

    def _apply(self, index: Index, events: dict[str, tuple[str, ...] | None]) -> None:
        put: list[Row] = []
        gone: list[Row] = []
        for key, tags in events.items():
            name = disk.name_of(key)
            path = disk.path_of_name(self._directory, name)
            old, size = index.get(name), disk.size_of(path)
            if size == 0:
                gone += [old] if old else []
            elif old:
                self._total += size - old.size
                put.append(Row(name, old.slot, size, old.sequence, key, old.tags if tags is None else tags))
                disk.write_slot(path, old.slot + 1)
            else:
                put.append(self._new_row(name, size, key, tags or ()))
        index.put(put)
        self._drop(index, gone)

    def _new_row(self, name: bytes, size: int, key: str, tags: tuple[str, ...]) -> Row:
        slot = self._free.pop() if self._free else len(self._names) // _NAME
        self._take_slot(slot, name)
        self._evictor.added(slot)
        self._sequence += 1
        self._total += size
        disk.write_slot(disk.path_of_name(self._directory, name), slot + 1)
        return Row(name, slot, size, self._sequence, key, tags)

    def _take_slot(self, slot: int, name: bytes) -> None:
        start = slot * _NAME
        if len(self._names) < start + _NAME:
            self._names.extend(bytes(start + _NAME - len(self._names)))
        self._names[start : start + _NAME] = name

    def _name(self, slot: int) -> bytes:
        return bytes(self._names[slot * _NAME : slot * _NAME + _NAME])

    def _drop(self, index: Index, rows: Iterable[Row], *, ordered: bool = True) -> None:
        """Forget objects whose files are gone. `ordered`: they are still in the order of eviction."""
        rows = list(rows)
        index.remove(row.name for row in rows)
        for row in rows:
            if ordered:
                self._evictor.removed(row.slot)
            self._take_slot(row.slot, bytes(_NAME))
            self._free.append(row.slot)
            self._total -= row.size

    def _recount(self) -> None:
        """Set right what the counters say: files known, parts growing."""
        self._recounted = time.monotonic()
        growing = remove_orphans(self._directory / "parts")
        others = self._board.total(_DISK) - self._row.cells[self._row.column(_DISK)]
        self._row.set(_DISK, self._total + growing - others)
        self._row.set("headrace_store_objects", len(self._evictor))

    # room

    def _make_room(self, index: Index) -> None:
        over = self._board.total(_DISK) > self._limit * HIGH
        while len(self._evictor) > self._slots or (over and self._board.total(_DISK) > self._limit * LOW):
            rows = self._victims(index, 64)
            if not rows:
                return
            for row in rows:
                self._row.add(_DISK, amount=-self._unlink(row))
            self._drop(index, rows, ordered=False)
            self._row.add("headrace_store_evictions_total", amount=len(rows))
            self._row.set("headrace_store_objects", len(self._evictor))

    def _victims(self, index: Index, most: int) -> list[Row]:
        """The next to go, taken out of the order; as many as the bytes above LOW (and the slots) ask for."""
        rows: list[Row] = []
        excess = self._board.total(_DISK) - int(self._limit * LOW)
        while len(rows) < most and (excess > 0 or len(self._evictor) > self._slots):
            slot = self._evictor.victim()
            if slot == NONE:
                break
            row = index.get(self._name(slot))
            if row is None or row.slot != slot:  # a batch that the disk refused left it behind
                self._take_slot(slot, bytes(_NAME))
                self._free.append(slot)
                continue
            rows.append(row)
            excess -= row.size
        return rows

    def _unlink(self, row: Row) -> int:
        path = disk.path_of_name(self._directory, row.name)
        try:
            with disk.locked(self._directory):
                size = disk.size_of(path)
                path.unlink(missing_ok=True)
        except OSError as error:
            self._row.add("headrace_store_errors_total")
            log.get("keeper").warning("cannot remove", file=str(path), error=str(error))
            return 0
        return size

    # purge

    def _do(self, index: Index, task: _Task) -> None:
        began = time.monotonic()
        count = self._purge(index, task.purge)
        self._row.add("headrace_purges_total", "soft" if task.purge.soft else "hard")
        task.result.set_result(Purged(count, time.monotonic() - began))

    def _purge(self, index: Index, purge: Purge) -> int:
        """A fill that asked upstream before now publishes nothing after: the counters move first, under the lock, then
        the journal tells of everything that was published until then."""
        with disk.locked(self._directory):
            for shard in [shard_of(purge.what)] if purge.by == "key" else SHARDS:
                self._row.add(_INVALIDATIONS, shard)
        self._read_journal(index)
        rows = self._matching(index, purge)
        if purge.soft:
            for row in rows:
                self._soften(row)
        else:
            self._remove(index, rows)
        return len(rows)

    def _matching(self, index: Index, purge: Purge) -> list[Row]:
        if purge.by == "key":
            row = index.get(disk.name_of(purge.what))
            return [*([row] if row else []), *index.with_prefix(purge.what + VARIANT)]
        return index.with_tag(purge.what) if purge.by == "tag" else index.with_prefix(purge.what)

    def _remove(self, index: Index, rows: list[Row]) -> None:
        """Remove files; workers that looked since the counters moved must look again."""
        for row in rows:
            size = disk.remove(self._directory, row.key, partial(self._changed, row))
            self._row.add(_DISK, amount=-size)
        self._drop(index, rows)

    def _soften(self, row: Row) -> None:
        with disk.locked(self._directory):
            soften(self._directory, row.key, self._clock.wall())
            self._changed(row)

    def _changed(self, row: Row) -> None:
        self._row.add(_INVALIDATIONS, shard_of(row.key))


_IDLE = _Task(Purge("key", ""), Future())
