"""Sliced objects in one worker's store: begin one, make room for slices, bring bytes in, see it complete.

What sparse does to the file is here done off the loop, counted and accounted for.
"""

from proxy.http.digests import stated_sha256
from proxy.rules.meta import Meta
from proxy.store import sparse
from proxy.store.disk import BLOCK
from proxy.store.entries import Entry
from proxy.store.format import RECORD
from proxy.store.sparse import Created, SparseBody, SparseFile
from proxy.store.store import Store, Stored
from proxy.store.writer import NoRoom, reserved

_ROTTEN = "a slice is not what was written"


async def begin(store: Store, meta: Meta, length: int, slice_size: int, epoch: int, now: float) -> Stored | None:
    """A new object of `length` bytes without any slice, findable. None when an invalidation since `epoch` overtook it
    or it would have too many slices; NoRoom when the disk refuses."""
    volume, table = store.home(meta.key), reserved(RECORD * -(-length // slice_size))
    if volume is None or not volume.take(table):
        raise NoRoom

    def current() -> bool:
        return store.epoch(meta.key) == epoch

    try:
        made = await store.counted(
            volume, table, _added, sparse.create, volume.directory, meta, length, slice_size, current
        )
    except OSError as error:
        store.disk_error("start", error, volume)
        raise NoRoom from None
    if made is None:
        return None
    entry = Entry(meta, None, made.file.layout, now, epoch, volume=volume)
    return store.keep(entry, store.known(made.file))


def _added(made: Created | None) -> int:
    return made.taken - made.published.replaced if made else 0


def _itself(size: int) -> int:
    return size


async def make_room(store: Store, file: SparseFile, key: str, start: int, end: int) -> None:
    """Take the space for body bytes `start` to `end`, and tell the keeper. NoRoom: over the bytes allowed, or the disk
    refused. A file that was removed meanwhile grows for those who read it now, and is not to be found again."""
    volume, taken = store.home(key), end - start + BLOCK
    if volume is None or not volume.take(taken):
        raise NoRoom
    try:
        took = await store.counted(volume, taken, _itself, sparse.allocate, file, start, end)
        if not await store.blocking(sparse.note_growth, volume.directory, file, key):
            volume.add(-took)
            store.forget(key)
    except OSError as error:
        store.disk_error("allocate", error, volume)
        raise NoRoom from None


async def readable(store: Store, file: SparseFile, index: int) -> bool:
    """Whether a slice is there and sound; what another worker brought in is seen. OSError when the disk refuses."""
    if not file.there(index):
        await store.blocking(sparse.read_table, file)
    if file.trusted[index] or not file.there(index):
        return bool(file.trusted[index])
    if await store.blocking(sparse.sound, file, index):
        return True
    store.foreign(_ROTTEN, slice=index)
    return False


async def all_there(store: Store, file: SparseFile, indexes: range) -> bool:
    """Whether the table has these slices; whether they are sound shows when they are read."""
    if 0 not in file.trusted[indexes.start : indexes.stop]:
        return True
    return await store.blocking(sparse.all_there, file, indexes)


async def put(store: Store, file: SparseFile, at: int, piece: bytes, whole: list[tuple[int, int]]) -> None:
    """Bring in body bytes, and with them the slices that are `whole`: (index, CRC-32). OSError when the disk
    refuses."""
    await store.blocking(sparse.put, file, at, piece, whole)


async def grown(store: Store, file: SparseFile, meta: Meta) -> bool:
    """After a run: where every slice is there and sound the object is complete. False when it is not what upstream's
    digest says (RFC 9530)."""
    try:
        if file.complete or not await store.blocking(sparse.all_there, file, range(file.grid.count)):
            return True
        rotten = await store.blocking(sparse.rotten, file)
        for index in rotten:
            store.foreign(_ROTTEN, slice=index)
        return bool(rotten) or await store.blocking(_complete, file, stated_sha256(meta.fields))
    except OSError as error:
        store.disk_error("complete", error, store.home(meta.key))
        return True


def _complete(file: SparseFile, stated: bytes | None) -> bool:
    if stated is not None and sparse.digest(file) != stated:
        return False
    sparse.complete(file)
    return True


async def withdraw(store: Store, body: SparseBody, key: str, now: float) -> None:
    """Invalidate the object under `key`, if `body` is still its body: upstream has another version."""
    stored = await store.lookup(key, now)
    if stored is not None and isinstance(stored.body, SparseBody) and stored.body.file is body.file:
        await store.invalidate(key)
