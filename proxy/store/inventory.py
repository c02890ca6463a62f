"""What a keeper knows of its directory: the index, the order of eviction and the slots, which change together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import lmdb

from kit import log
from proxy.store import disk, journal
from proxy.store.accounts import BY_AUTHORITY, Tenants
from proxy.store.admit import SecondHit
from proxy.store.directory import readable, scan
from proxy.store.evict import NONE, Evictor
from proxy.store.index import BATCH, Index, Row
from proxy.store.journal import Event
from proxy.store.pinning import NOTHING_PINNED, Pinning
from proxy.store.pins import Pins
from proxy.store.slots import Slots
from proxy.store.tags import tags_of
from proxy.store.volumes import Volume


@dataclass(frozen=True, slots=True)
class Policy:
    """What a keeper is told of settings: what is pinned and how much of the bytes that may have, whose objects are, and
    where requests for what is not here are remembered, when it is this keeper that lets them age."""

    pinning: Pinning = NOTHING_PINNED
    pinned_share: float = 0.0
    tenants: Tenants = BY_AUTHORITY
    asked: SecondHit | None = None


class Inventory:
    """The objects of one directory. `total`: bytes of their files."""

    def __init__(self, volume: Volume, evictor: Evictor, policy: Policy) -> None:
        self._directory, self._policy = volume.directory, policy
        self.order = Pins(evictor, int(volume.limit * policy.pinned_share))
        self.slots = Slots()
        self.total = self._sequence = 0

    def __len__(self) -> int:
        return len(self.order)

    def reset(self) -> None:
        """Know nothing."""
        while self.order.victim() != NONE:
            pass
        self.slots, self.total, self._sequence = Slots(), 0, 0

    def load(self, index: Index) -> None:
        """Take over what the index of an earlier life knows."""
        for place in index.by_arrival():
            self.slots.put(place.slot, place.name)
            self.order.added(place.slot, place.size, pinned=place.pinned)
            self.total += place.size
        self.slots.settle()
        self._sequence = index.last_sequence()

    def rebuild(self, index: Index) -> None:
        """The index is not to be trusted: read every file's head, least recently used first."""
        files = sorted(scan(self._directory), key=lambda each: each.used)
        if files:
            log.get("keeper").info("reading the directory", files=len(files))
        batch: list[tuple[Row | None, Row]] = []
        for file, meta in readable(files):
            pinned = self._policy.pinning.pins(meta, file.size)
            event = Event("stored", meta.key, tags_of(meta.fields), pinned)
            batch.append((None, self._new_row(disk.name_of(meta.key), file.size, event)))
            if len(batch) == BATCH:
                self._put(index, batch)
                batch = []
        self._put(index, batch)

    def read_journal(self, index: Index) -> Iterator[list[Row]]:
        """Bring the index up to what the workers did. The last event of a key counts, checked against the directory.
        Yields what an origin invalidated by group; the caller removes it."""
        with disk.locked(self._directory):
            if not journal.take(self._directory):
                return
        events: dict[str, Event] = {}
        used: set[str] = set()
        for event in journal.taken(self._directory):
            if event.kind == "used":
                used.add(event.key)
            elif event.kind != "group":
                events[event.key] = event
            if event.kind == "group" or len(events) + len(used) >= BATCH:
                self._happened(index, events, used)
            if event.kind == "group":
                yield from index.with_tag(event.key)
        self._happened(index, events, used)
        journal.done(self._directory)

    def _happened(self, index: Index, events: dict[str, Event], used: set[str]) -> None:
        """Take over what the journal told so far; then nothing is left of it."""
        self._apply(index, events)
        for key in used:
            row = index.get(disk.name_of(key))
            if row:
                self.order.used(row.slot)
        events.clear()
        used.clear()

    def _apply(self, index: Index, events: dict[str, Event]) -> None:
        """The index first, in one transaction: what it refuses has not happened, and is tried again as a whole."""
        names = {key: disk.name_of(key) for key in events}
        sizes = {name: disk.size_of(disk.path_of_name(self._directory, name)) for name in names.values()}
        rows = {name: index.get(name) for name in names.values()}
        put: list[tuple[Row | None, Row]] = []
        for key, event in events.items():
            name = names[key]
            old, size = rows[name], sizes[name]
            if size:
                put.append((old, _changed(old, size, event) if old else self._new_row(name, size, event)))
        self._put(index, put)
        self.drop(index, [row for name, row in rows.items() if row is not None and not sizes[name]])

    def _put(self, index: Index, changes: list[tuple[Row | None, Row]]) -> None:
        """Rows with those that they take the place of, if any."""
        try:
            index.put(row for _, row in changes)
        except lmdb.Error:
            for old, row in changes:
                if old is None:
                    self.slots.free(row.slot)
            raise
        for old, row in changes:
            self._count(old, row)
        for _, row in changes:
            disk.write_slot(disk.path_of_name(self._directory, row.name), row.slot + 1)

    def _count(self, old: Row | None, row: Row) -> None:
        if old is None:
            self.order.added(row.slot, row.size, pinned=row.pinned)
            self.total += row.size
        else:
            self.order.changed(row.slot, row.size, pinned=row.pinned)
            self.total += row.size - old.size

    def _new_row(self, name: bytes, size: int, event: Event) -> Row:
        self._sequence += 1
        return Row(name, self.slots.take(name), size, self._sequence, event.key, event.tags, event.pinned)

    def drop(self, index: Index, rows: Iterable[Row], *, ordered: bool = True) -> None:
        """Forget objects whose files are gone. `ordered`: they are still in the order of eviction; what the index
        refuses to forget is so in any case, and goes another time."""
        rows = list(rows)
        try:
            index.remove(row.name for row in rows)
        except lmdb.Error:
            for row in rows if not ordered else ():
                self.order.added(row.slot, row.size, pinned=row.pinned)
            raise
        for row in rows:
            if ordered:
                self.order.removed(row.slot)
            self.slots.free(row.slot)
            self.total -= row.size

    def victim(self, index: Index) -> Row | None:
        """The next to go, taken out of the order; None when nothing is left."""
        while (slot := self.order.victim()) != NONE:
            row = index.get(self.slots.name(slot))
            if row is not None and row.slot == slot:
                return row
            self.slots.free(slot)  # the index knows nothing of it
        return None


def _changed(old: Row, size: int, event: Event) -> Row:
    """The row of an object that was stored again, or changed in place."""
    tags, pinned = (event.tags, event.pinned) if event.kind == "stored" else (old.tags, old.pinned)
    return Row(old.name, old.slot, size, old.sequence, old.key, tags, pinned)
