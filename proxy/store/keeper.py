"""The one who keeps a cache directory: knows every file, holds it within its bytes, does what is to be purged.

One a directory, a thread of the supervisor, so that no loop ever waits for the index or the disk. It learns of files
from the journal; workers learn of purges from counters in shared memory, and look again. After a crash the journal and
the directory say what there is. A directory whose disk fails it ejects, tries now and then, and takes back empty.
"""

import contextlib
import errno
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lmdb

from kit import log
from kit.clock import Clock
from kit.metrics import Row as BoardRow
from proxy.rules.variants import MARK as VARIANT
from proxy.store import disk, outage
from proxy.store.accounts import OTHER, TENANT_BYTES, TENANT_OBJECTS
from proxy.store.admit import full
from proxy.store.directory import remove_orphans, size_of_index
from proxy.store.evict import Evictor
from proxy.store.index import Index, Row
from proxy.store.inventory import Inventory, Policy
from proxy.store.ledger import Ledger
from proxy.store.opening import boot_id, open_index
from proxy.store.purge import Purge, Purged
from proxy.store.shards import SHARDS, shard_of
from proxy.store.soften import soften
from proxy.store.strays import Strays
from proxy.store.volumes import HIGH, LOW, Volume, Volumes, failing

LOOK_EVERY_S = 0.1
_MEASURE_EVERY_S = 1.0
_REOPEN_EVERY_S = 60.0
_REST_S = 0.2
_INVALIDATIONS = "headrace_invalidations_total"


@dataclass(frozen=True, slots=True)
class _Task:
    """A purge to do, and where its result goes."""

    purge: Purge
    result: "Future[Purged]"


ALL_ALIKE = Policy()


class Keeper:
    """Start it, then `purge` from any thread; `close` writes down that all is in order."""

    def __init__(
        self,
        volume: Volume,
        volumes: Volumes,
        slots: int,
        evictor: Evictor,
        row: BoardRow,
        clock: Clock,
        policy: Policy = ALL_ALIKE,
    ) -> None:
        """`volume` is the one of `volumes` that is kept here, `slots` objects at most; `row` is this thread's alone."""
        self._volume, self._volumes, self._most = volume, volumes, slots
        self._directory = volume.directory
        self._row, self._clock, self._policy = row, clock, policy
        self._inventory = Inventory(volume, evictor, policy)
        self._ledger, self._strays = Ledger(), Strays(volume, volumes)
        self._failures = outage.Failures()
        self._measured = self._reopened = 0.0
        self._read_only = 0
        self._marked = self._ending = False
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"keeper-{volume.number}", daemon=True)
        self.loaded = threading.Event()
        """Set once every file of before is known, or the directory is out."""

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

    def end(self) -> None:
        """Ask for the end; returns at once."""
        self._tasks.put(None)

    def close(self) -> None:
        """End in order. Blocks until the journal so far is in the index."""
        if self.alive:
            self.end()
            self._thread.join()

    def _run(self) -> None:
        try:
            self._begin()
            while not self._ending:
                self._away() if self._volume.out else self._life()
        except BaseException as error:
            log.get("keeper").error("the keeper ended", error=repr(error), exc_info=True)
            raise
        finally:
            while not self._tasks.empty():
                task = self._tasks.get_nowait()
                if task:
                    task.result.cancel()

    def _begin(self) -> None:
        """A directory that an earlier life left while it was out holds what may have been purged since."""
        self._pardon()
        if outage.marked(self._directory, self._places()):
            self._eject("it was out when the node ended")

    def _pardon(self) -> None:
        total, self._read_only = self._volume.failures
        self._failures.reset(total)

    def _life(self) -> None:
        """From opening the index to the end, or until the directory is ejected. After another error it begins anew."""
        try:
            self._serve()
        except (OSError, lmdb.Error) as error:
            self._refused(error, None)
            if failing(error):
                self._eject(str(error))

    def _serve(self) -> None:
        index, known, homes = open_index(self._directory, self._policy.tenants)
        try:
            self._strays.homes = homes
            self._inventory.reset()
            self._inventory.load(index) if known else self._inventory.rebuild(index)
            self._count_anew()
            self.loaded.set()
            self._reopen(index)
            while self._turn(index):
                if self._clock.monotonic() - self._reopened > _REOPEN_EVERY_S:
                    self._reopen(index)
                if self._sick():
                    self._eject("its disk fails")
                    return
            tenants = self._policy.tenants.prefixes
            index.note(clean=True, boot=boot_id(), homes=self._strays.homes, tenants=tenants)
        finally:
            index.close()

    def _reopen(self, index: Index) -> None:
        self._reopened = self._clock.monotonic()
        index.reopen()

    # a disk that fails

    def _sick(self) -> bool:
        total, read_only = self._volume.failures
        return read_only > self._read_only or self._failures.too_many(total, self._clock.monotonic())

    def _places(self) -> list[Path]:
        return [volume.directory for volume in self._volumes]

    def _eject(self, why: str) -> None:
        """Nothing in the directory can be found any more, then nobody serves what he found before, and no fill on its
        way into it is published."""
        self._volume.set_out(True)
        self._forget_all()
        self._marked = outage.mark(self._directory, self._places())
        log.get("keeper").error("cache directory ejected", directory=str(self._directory), why=why, marked=self._marked)
        self.loaded.set()

    def _forget_all(self) -> None:
        for shard in SHARDS:
            self._row.add(_INVALIDATIONS, shard)

    def _away(self) -> None:
        """While the directory is out: a purge finds nothing in it, and it is tried every so often."""
        tried = self._clock.monotonic()
        while self._volume.out and not self._ending:
            task = self._next()
            if task is None:
                self._ending = True
            elif task is not _IDLE:
                self._purge_nothing(task)
            elif self._clock.monotonic() - tried > outage.PROBE_EVERY_S:
                tried = self._clock.monotonic()
                if outage.answers(self._directory):
                    self._take_back()

    def _purge_nothing(self, task: _Task) -> None:
        """What is out comes back empty: so all that the purge names is gone; in a later life too, where that could be
        written down."""
        self._forget_all()
        self._marked = self._marked or outage.mark(self._directory, self._places())
        if self._marked:
            self._finish(task, Purged(0, 0.0))
        else:
            why = f"{self._directory} is out, and no disk takes a note of it: a restart may find it"
            _tell(task, OSError(errno.EIO, why))

    def _take_back(self) -> None:
        try:
            growing = outage.empty(self._directory)
        except OSError as error:
            self._refused(error, None)
            return
        self._volume.add(growing - self._volume.bytes)
        outage.unmark(self._directory, self._places())
        self._pardon()
        self._volume.set_out(False)
        self._forget_all()
        log.get("keeper").info("cache directory taken back, empty", directory=str(self._directory))

    def _next(self) -> _Task | None:
        """Wait a little for something to do."""
        try:
            return self._tasks.get(timeout=LOOK_EVERY_S)
        except queue.Empty:
            return _IDLE

    def _turn(self, index: Index) -> bool:
        """Wait a little for something to do, then do all there is. False when told to end."""
        task = self._next()
        try:
            self._read_journal(index)
            if task is not None and task is not _IDLE:
                self._do(index, task)
            self._make_room(index)
            self._remove_strays(index)
            if self._clock.monotonic() - self._measured > _MEASURE_EVERY_S:
                self._measure()
                self._show_tenants(index)
        except (OSError, lmdb.Error) as error:
            self._refused(error, task)
        self._ending = task is None
        return not self._ending

    def _refused(self, error: Exception, task: _Task | None) -> None:
        """The disk refused: what was asked fails, the journal stays, and we try again."""
        self._row.add("headrace_store_errors_total")
        self._volume.failed(error)
        log.get("keeper").warning("the disk refused", error=str(error))
        if task is not None and task is not _IDLE:
            _tell(task, error)
        time.sleep(_REST_S)

    # what there is

    def _read_journal(self, index: Index) -> None:
        for rows in self._inventory.read_journal(index):
            self._remove(index, rows)

    def _count_anew(self) -> None:
        """What is there now is what counts; nobody else has counted it yet."""
        self._volume.add(self._inventory.total + remove_orphans(self._directory / "parts") - self._volume.bytes)
        self._measure()

    def _measure(self) -> None:
        """Set right what the counters say: files known, parts growing, the index."""
        self._measured, said = self._clock.monotonic(), self._volume.bytes
        known = self._inventory.total + remove_orphans(self._directory / "parts")
        said = max(said, self._volume.bytes)  # a fill that was given up meanwhile was in both
        self._volume.add(-self._ledger.nobodys(said - known, self._measured))
        self._volume.set_index(size_of_index(self._directory))
        self._row.set("headrace_store_objects", len(self._inventory))

    def _show_tenants(self, index: Index) -> None:
        """The configured tenants one by one, all others together."""
        rest = index.account("all")
        objects, size = rest.objects, rest.bytes
        for name in self._policy.tenants.prefixes:
            account = index.account("tenant", name)
            self._row.set(TENANT_OBJECTS, account.objects, name)
            self._row.set(TENANT_BYTES, account.bytes, name)
            objects, size = objects - account.objects, size - account.bytes
        self._row.set(TENANT_OBJECTS, objects, OTHER)
        self._row.set(TENANT_BYTES, size, OTHER)

    # room

    def _make_room(self, index: Index) -> None:
        high = self._volume.used > self._volume.limit * HIGH or len(self._inventory) > self._most
        while len(self._inventory) > self._most or (high and self._excess() > 0):
            rows = self._victims(index, 64)
            if not rows:
                break
            self._evict(index, rows)
        self._volume.set_full(self._still_full(high=high))
        if self._policy.asked is not None:
            self._policy.asked.age(self._volume.objects)

    def _still_full(self, *, high: bool) -> bool:
        """Admission goes on between the watermarks: there, too, what comes in has its price (admit.FREE)."""
        was = high or self._volume.full
        by_bytes = full(was, self._volume.used, self._volume.limit)
        return by_bytes or full(was, len(self._inventory), self._most)

    def _evict(self, index: Index, rows: list[Row]) -> None:
        for row in rows:
            self._volume.add(-self._unlink(row))
        self._inventory.drop(index, rows, ordered=False)
        self._row.add("headrace_store_evictions_total", amount=len(rows))
        self._row.set("headrace_store_objects", len(self._inventory))

    def _excess(self) -> int:
        return self._volume.used - int(self._volume.limit * LOW)

    def _remove_strays(self, index: Index) -> None:
        """What was stored here while its home was out, or not there yet: it would be found again, old, when that goes
        out once more."""
        rows = self._strays.some(index, self._inventory.slots)
        for row in rows:
            self._volume.add(-self._unlink(row))
        self._inventory.drop(index, rows)

    def _victims(self, index: Index, most: int) -> list[Row]:
        """The next to go, taken out of the order; as many as the bytes above LOW (and the slots) ask for."""
        rows: list[Row] = []
        excess = self._excess()
        while len(rows) < most and (excess > 0 or len(self._inventory) > self._most):
            row = self._inventory.victim(index)
            if row is None:
                break
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
            self._volume.failed(error)
            log.get("keeper").warning("cannot remove", file=str(path), error=str(error))
            return 0
        return size

    # purge

    def _do(self, index: Index, task: _Task) -> None:
        began = time.monotonic()
        count = self._purge(index, task.purge)
        self._finish(task, Purged(count, time.monotonic() - began))

    def _finish(self, task: _Task, purged: Purged) -> None:
        """Tell the result; one keeper counts the purges of the node."""
        if self._volume.number == 0:
            self._row.add("headrace_purges_total", "soft" if task.purge.soft else "hard")
        _tell(task, purged)

    def _purge(self, index: Index, purge: Purge) -> int:
        """A fill that asked upstream before now publishes nothing after: the counters move first, under the lock, then
        the journal tells of everything that was published until then."""
        with disk.locked(self._directory):
            for shard in [shard_of(purge.what)] if purge.by == "key" else SHARDS:
                self._row.add(_INVALIDATIONS, shard)
        self._read_journal(index)
        count = 0
        for rows in self._matching(index, purge):
            count += len(rows)
            if purge.soft:
                for row in rows:
                    self._soften(row)
            else:
                self._remove(index, rows)
        return count

    def _matching(self, index: Index, purge: Purge) -> Iterator[list[Row]]:
        """In batches, each dealt with before the next is looked for."""
        if purge.by == "tag":
            yield from index.with_tag(purge.what)
        elif purge.by == "prefix":
            yield from index.with_prefix(purge.what)
        else:
            row = index.get(disk.name_of(purge.what))
            yield [row] if row else []
            yield from index.with_prefix(purge.what + VARIANT)

    def _remove(self, index: Index, rows: list[Row]) -> None:
        """Remove files; workers that looked since the counters moved must look again."""
        for row in rows:
            size = disk.remove(self._directory, row.key, partial(self._changed, row))
            self._volume.add(-size)
        self._inventory.drop(index, rows)

    def _soften(self, row: Row) -> None:
        with disk.locked(self._directory):
            soften(self._directory, row.key, self._clock.wall())
            self._changed(row)

    def _changed(self, row: Row) -> None:
        self._row.add(_INVALIDATIONS, shard_of(row.key))


def _tell(task: _Task, outcome: Purged | Exception) -> None:
    """What became of a purge; whoever asked may have left, or have been told."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(outcome, Purged):
            task.result.set_result(outcome)
        else:
            task.result.set_exception(outcome)


_IDLE = _Task(Purge("key", ""), Future())
