"""What lies in a cache directory, by name, by key and by tag: an LMDB file beside the objects.

It is only a cache of the directory: when it is missing, of another boot or torn, it is made anew from the files. One
writer, the keeper's thread; commands that look at a node's store offline read it. A transaction is not synced to disk:
a process that dies loses nothing, a machine that dies makes us rebuild.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import lmdb
import orjson

from proxy.store.accounts import Account, Accounts, By, Tenants

FOLDER = "index"
VERSION = 2
_ROW = struct.Struct(">IQQ?")
_SEQUENCE = struct.Struct(">Q")
_PLACE = struct.Struct(">20sIQ?")
_KEY_BYTES = 440
"""LMDB keys hold 511 bytes: so much of a key or tag is sorted, the rest is compared with the row."""
BATCH = 1_000
"""Objects of a purge at a time: a million rows are half a gigabyte."""
_MAP_BYTES = 64 << 30
"""Address space, not memory or disk: LMDB grows its file as needed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One stored object. `sequence` is its place in the order of arrival; `size` what it takes on disk."""

    name: bytes
    slot: int
    size: int
    sequence: int
    key: str
    tags: tuple[str, ...]
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """What the order of eviction needs of an object."""

    name: bytes
    slot: int
    size: int
    pinned: bool


class Index:
    """Reads and batched writes. Not safe for two threads; `read_only` for looking at a store from outside."""

    def __init__(self, directory: Path, tenants: Tenants | None = None, *, read_only: bool = False) -> None:
        """lmdb.Error when it cannot be opened: the keeper then makes it anew. A writer says whose objects are."""
        folder = directory / FOLDER
        if not read_only:
            folder.mkdir(exist_ok=True)
        self._folder, self._read_only, self._tenants = folder, read_only, tenants or Tenants()
        self._open()

    def _open(self) -> None:
        self._env = lmdb.open(
            str(self._folder),
            max_dbs=6,
            map_size=_MAP_BYTES,
            sync=False,
            metasync=False,
            readonly=self._read_only,
            readahead=False,
        )
        names = (b"rows", b"order", b"keys", b"tags", b"about", b"accounts")
        self._rows, self._order, self._keys, self._tags, self._about, self._sums = (
            self._env.open_db(name, create=not self._read_only) for name in names
        )
        self._accounts = Accounts(self._sums, self._tenants)

    def reopen(self) -> None:
        """Let go of the pages that were read: while they are mapped they count as this process's memory, 390 bytes an
        object after a load. They stay in the system's cache. lmdb.Error when it cannot be opened again."""
        self._env.close()
        self._open()

    def close(self) -> None:
        """Close the file."""
        self._env.close()

    def about(self) -> dict[str, Any]:
        """What the last writer noted: version, boot, whether it ended in order, totals."""
        with self._env.begin(db=self._about) as txn:
            blob = txn.get(b"about")
        return dict(orjson.loads(blob)) if blob else {}

    def note(self, **facts: object) -> None:
        """Note facts for the next life, whole."""
        with self._env.begin(write=True, db=self._about) as txn:
            txn.put(b"about", orjson.dumps({"version": VERSION, **facts}))

    def get(self, name: bytes) -> Row | None:
        """The row of an object's file name."""
        with self._env.begin(db=self._rows) as txn:
            blob = txn.get(name)
        return _decode(name, blob) if blob else None

    def count(self) -> int:
        """How many objects."""
        with self._env.begin(db=self._rows) as txn:
            return int(txn.stat()["entries"])

    def put(self, rows: Iterable[Row]) -> None:
        """Add or replace objects, in one transaction."""
        with self._env.begin(write=True) as txn:
            for row in rows:
                old = txn.get(row.name, db=self._rows)
                if old:
                    self._unlink(txn, _decode(row.name, old))
                txn.put(row.name, _encode(row), db=self._rows)
                txn.put(
                    _SEQUENCE.pack(row.sequence), _PLACE.pack(row.name, row.slot, row.size, row.pinned), db=self._order
                )
                txn.put(_sortable(row.key, row.name), b"", db=self._keys)
                for tag in row.tags:
                    txn.put(_sortable(tag, row.name), b"", db=self._tags)
                self._accounts.add(txn, row.key, row.tags, row.size, 1)

    def remove(self, names: Iterable[bytes]) -> None:
        """Drop objects, in one transaction."""
        with self._env.begin(write=True) as txn:
            for name in names:
                blob = txn.get(name, db=self._rows)
                if blob:
                    self._unlink(txn, _decode(name, blob))
                    txn.delete(name, db=self._rows)

    def clear(self) -> None:
        """Drop everything."""
        with self._env.begin(write=True) as txn:
            for database in (self._rows, self._order, self._keys, self._tags, self._sums):
                txn.drop(database, delete=False)

    def account(self, by: By, name: str = "") -> Account:
        """Objects and bytes of a tag or a tenant, or of all."""
        with self._env.begin() as txn:
            return self._accounts.get(txn, by, name)

    def accounts(self, by: By) -> list[Account]:
        """Objects and bytes of every tag or tenant."""
        with self._env.begin() as txn:
            return list(self._accounts.each(txn, by))

    def reckon(self) -> None:
        """Sum up anew from the rows: whose objects are was settled otherwise."""
        with self._env.begin(write=True) as txn:
            txn.drop(self._sums, delete=False)
            for name, blob in txn.cursor(db=self._rows):
                row = _decode(bytes(name), blob)
                self._accounts.add(txn, row.key, row.tags, row.size, 1)

    def by_arrival(self) -> Iterator[Place]:
        """All objects, oldest first: 40 bytes each, the rows are not touched. Not while writing."""
        with self._env.begin() as txn:
            for _, place in txn.cursor(db=self._order):
                yield Place(*_PLACE.unpack(place))

    def last_sequence(self) -> int:
        """The newest place in the order of arrival, 0 when empty."""
        with self._env.begin() as txn, txn.cursor(db=self._order) as cursor:
            return int(_SEQUENCE.unpack(cursor.key())[0]) if cursor.last() else 0

    def rows(self) -> Iterator[Row]:
        """All objects by name, for those who look from outside."""
        with self._env.begin() as txn:
            for name, blob in txn.cursor(db=self._rows):
                yield _decode(bytes(name), blob)

    def with_tag(self, tag: str) -> Iterator[list[Row]]:
        """The objects that carry a tag, in batches: O(matches). Those of a batch may be removed before the next."""
        return self._starting(self._tags, tag, lambda row: tag in row.tags, exact=True)

    def with_prefix(self, prefix: str) -> Iterator[list[Row]]:
        """The objects whose key begins with `prefix`, as with_tag."""
        return self._starting(self._keys, prefix, lambda row: row.key.startswith(prefix), exact=False)

    def _starting(self, database: Any, text: str, fits: Callable[[Row], bool], *, exact: bool) -> Iterator[list[Row]]:
        start = _bytes(text)[:_KEY_BYTES]
        if exact and len(start) < _KEY_BYTES:
            start += b"\0"
        after = start
        while found := self._sorted(database, start, after):
            after = found[-1] + b"\0"  # the least that is greater
            with self._env.begin(db=self._rows) as txn:
                rows = [_decode(name, blob) for name in (each[-20:] for each in found) if (blob := txn.get(name))]
            yield [row for row in rows if fits(row)]

    def _sorted(self, database: Any, start: bytes, least: bytes) -> list[bytes]:
        """The next keys of a table, from `least` on, that begin with `start`."""
        with self._env.begin() as txn, txn.cursor(db=database) as cursor:
            there = cursor.set_range(least)
            keys = islice(cursor.iternext(values=False), BATCH) if there else ()
            return [bytes(key) for key in takewhile(lambda each: each.startswith(start), keys)]

    def _unlink(self, txn: lmdb.Transaction, row: Row) -> None:
        txn.delete(_SEQUENCE.pack(row.sequence), db=self._order)
        txn.delete(_sortable(row.key, row.name), db=self._keys)
        for tag in row.tags:
            txn.delete(_sortable(tag, row.name), db=self._tags)
        self._accounts.add(txn, row.key, row.tags, row.size, -1)


def _encode(row: Row) -> bytes:
    return _ROW.pack(row.slot, row.size, row.sequence, row.pinned) + orjson.dumps([row.key, row.tags])


def _decode(name: bytes, blob: bytes) -> Row:
    slot, size, sequence, pinned = _ROW.unpack_from(blob)
    key, tags = orjson.loads(blob[_ROW.size :])
    return Row(name, slot, size, sequence, key, tuple(tags), pinned)


def _sortable(text: str, name: bytes) -> bytes:
    return _bytes(text)[:_KEY_BYTES] + b"\0" + name


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
