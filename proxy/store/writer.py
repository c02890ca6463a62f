"""Writing one answer into the store while readers follow it."""

import hashlib
from collections.abc import Callable

from kit.errors import UpstreamFailed
from proxy.rules.meta import Meta
from proxy.store import disk
from proxy.store.bodies import GrowingBody, MemoryBody
from proxy.store.disk import BLOCK, Part, Published
from proxy.store.entries import Entry
from proxy.store.format import READ_FIRST, Foreign, Layout
from proxy.store.store import Store, Stored
from proxy.store.volumes import Volume


class NoRoom(Exception):
    """The answer cannot be kept: over the bytes allowed, or the disk refused."""


class TooLarge(UpstreamFailed):
    """An answer of unknown length outgrew the disk: it can be passed on, not brought in."""


class Writer:
    """One fill's way into the store. Not published means failed: `abort` unless `publish` returned."""

    def __init__(
        self, store: Store, meta: Meta, body: GrowingBody, volume: Volume | None, part: Part | None, epoch: int
    ) -> None:
        """`open` has counted what is about to grow: a part's bytes in `volume`, else the body's in memory."""
        self.meta, self.body = meta, body
        self._epoch = epoch
        self._store, self._volume, self._part = store, volume, part
        self._hash = hashlib.sha256()
        self._written = 0
        self._held = b""
        self._reserved = 0 if part is None or volume is None else reserved(body.length)
        if part is not None and volume is not None and part.offset > READ_FIRST:
            self._reserved += part.offset - READ_FIRST
            volume.add(part.offset - READ_FIRST)
        self._memory = body.length or 0 if part is None else 0

    @classmethod
    async def open(cls, store: Store, meta: Meta, length: int | None, epoch: int) -> "Writer":
        """Begin: a small body of known length grows in memory, others in a part file. NoRoom: it may not be kept.

        `epoch` is the store's when upstream was asked: after another invalidation nothing is published.
        """
        volume = store.home(meta.key)
        if length is not None and length <= store.bounds.memory_object and store.take_memory(length):
            return cls(store, meta, GrowingBody(length), volume, None, epoch)
        if volume is None or not volume.take(reserved(length)):
            raise NoRoom
        try:
            part = await store.blocking(disk.start_part, volume.directory, meta, length)
        except BaseException as error:
            volume.add(-reserved(length))
            if not isinstance(error, OSError):
                raise
            store.disk_error("start", error, volume)
            raise NoRoom from None
        return cls(store, meta, GrowingBody(length, lease=part.lease, offset=part.offset), volume, part, epoch)

    async def append(self, piece: bytes) -> None:
        """Add bytes; when this returns readers can have them, but for those that complete an announced length: they
        wait for `checked`. UpstreamFailed when the disk refuses, TooLarge when there is no room for more."""
        self._hash.update(piece)
        if self._part is not None:
            await self._write(self._part, piece)
        self._written += len(piece)
        if self._written == self.body.length:
            self._held = piece
        else:
            self.body.grown(piece)

    async def _write(self, part: Part, piece: bytes) -> None:
        assert self._volume is not None
        if self.body.length is None:
            if not self._volume.take(len(piece)):
                raise TooLarge("the answer is larger than the cache")
            self._reserved += len(piece)
        try:
            await self._store.blocking(disk.write, part, piece, self._written)
        except OSError as error:
            self._store.disk_error("write", error, self._volume)
            raise UpstreamFailed("the cache's disk failed during a fill") from None

    @property
    def written(self) -> int:
        """Bytes appended."""
        return self._written

    @property
    def digest(self) -> bytes:
        """SHA-256 of what was appended."""
        return self._hash.digest()

    def checked(self) -> None:
        """All bytes are there and right: readers may have the last ones too."""
        held, self._held = self._held, b""
        if held:
            self.body.grown(held)
        self.body.ended()

    async def publish(self, now: float) -> Stored | None:
        """After `checked`: make the answer findable. None when it could not be kept; readers have it all the same."""
        try:
            return await (self._publish_part(now) if self._part else self._publish_small(now))
        finally:
            self._give_back()

    async def abort(self, why: str) -> None:
        """The fill failed: readers that want more get UpstreamFailed, nothing is kept."""
        self.body.failed(why)
        try:
            if self._part is not None:
                await self._discard(self._part)
        finally:
            self._give_back()

    async def _publish_part(self, now: float) -> Stored | None:
        part = self._part
        assert part is not None
        assert self._volume is not None
        pinned = self._store.pinning.pins(self.meta, self._written)
        if not self._admitted(self._volume, pinned=pinned):
            await self._discard(part)
            return None
        published = await self._name(self._volume, self._publish, part, pinned)
        if published is None:
            await self._discard(part)
            return None
        entry = Entry(self.meta, None, published.layout, now, self._epoch, volume=self._volume, pinned=pinned)
        return self._store.keep(entry, part.lease)

    async def _publish_small(self, now: float) -> Stored | None:
        """A small body is kept in memory whatever the disk says; the file is for the next life."""
        data, volume = self.body.contents(), self._volume
        pinned = self._store.pinning.pins(self.meta, len(data))
        entry = Entry(self.meta, MemoryBody(data), None, now, self._epoch, volume=volume, pinned=pinned)
        if volume is not None and not self._overtaken():
            entry.layout = await self._keep_small(volume, data, pinned=pinned)
        self._give_memory()
        return None if self._overtaken() else self._store.keep(entry)

    async def _keep_small(self, volume: Volume, data: bytes, *, pinned: bool) -> Layout | None:
        if not self._admitted(volume, pinned=pinned) or not volume.take(reserved(len(data))):
            return None
        self._reserved = reserved(len(data))
        published = await self._name(volume, self._write_small, volume, data, pinned)
        return published.layout if published else None

    async def _name(
        self, volume: Volume, publish: Callable[..., Published | None], *arguments: object
    ) -> Published | None:
        """Publish; what was taken for it is the file's from here on. A disk that refuses is counted."""
        taken, self._reserved = self._reserved, 0
        try:
            return await self._store.counted(volume, taken, _added, publish, *arguments)
        except (OSError, Foreign) as error:
            self._store.disk_error("publish", error, self._volume)
            return None

    def _admitted(self, volume: Volume, *, pinned: bool) -> bool:
        return self._store.admission.admits(self.meta.key, self._written, full=volume.full, pinned=pinned)

    def _publish(self, part: Part, pinned: bool) -> Published | None:
        assert self._volume is not None
        directory, current = self._volume.directory, lambda: not self._overtaken()
        return disk.publish(directory, part, self.meta, self._written, self.digest, current, pinned=pinned)

    def _write_small(self, volume: Volume, data: bytes, pinned: bool) -> Published | None:
        part = disk.start_part(volume.directory, self.meta, len(data))
        try:
            disk.write(part, data, 0)
            return self._publish(part, pinned)
        except BaseException:
            disk.discard(part)
            raise

    def _overtaken(self) -> bool:
        """Something was invalidated since upstream was asked: what it said may be of before."""
        return self._store.epoch(self.meta.key) != self._epoch

    def _give_back(self) -> None:
        """What was counted and is not there (any more): after the disk says so, so that the counters never say less."""
        if self._volume is not None and self._reserved:
            self._volume.add(-self._reserved)
        self._reserved = 0
        self._give_memory()

    def _give_memory(self) -> None:
        self._store.give_memory(self._memory)
        self._memory = 0

    async def _discard(self, part: Part) -> None:
        try:
            await self._store.blocking(disk.discard, part)
        except OSError as error:
            self._store.disk_error("discard", error, self._volume)


def _added(published: Published | None) -> int:
    return published.size - published.replaced if published else 0


def reserved(length: int | None) -> int:
    """Bytes that an answer may take on disk: head, body of `length` (None: counted as it comes), whole blocks."""
    return READ_FIRST + BLOCK + -(-(length or 0) // BLOCK) * BLOCK
