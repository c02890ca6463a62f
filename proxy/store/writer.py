"""Writing one answer into the store while readers follow it."""

import hashlib
from pathlib import Path

from kit.errors import UpstreamFailed
from proxy.rules.meta import Meta
from proxy.store import disk
from proxy.store.bodies import GrowingBody, MemoryBody
from proxy.store.disk import Part
from proxy.store.format import Layout
from proxy.store.store import Entry, Store, Stored


class NoRoom(Exception):
    """The answer cannot be kept: over the bytes allowed, or the disk refused."""


class Writer:
    """One fill's way into the store. Not published means failed: `abort` unless `publish` returned."""

    def __init__(self, store: Store, meta: Meta, body: GrowingBody, part: Part | None, epoch: int) -> None:
        self.meta, self.body = meta, body
        self._epoch = epoch
        self._store, self._part = store, part
        self._hash = hashlib.sha256()

    @classmethod
    async def open(cls, store: Store, meta: Meta, length: int | None, epoch: int) -> "Writer":
        """Begin: a small body of known length grows in memory, others in a part file. NoRoom: it may not be kept.

        `epoch` is the store's when upstream was asked: after another invalidation nothing is published.
        """
        if length is not None and length <= store.bounds.memory_object:
            return cls(store, meta, GrowingBody(length), None, epoch)
        if not store.room_for(length or 0):
            raise NoRoom
        try:
            part = await store.blocking(disk.start_part, store.directory, meta, length)
        except OSError as error:
            store.disk_error("start", error)
            raise NoRoom from None
        return cls(store, meta, GrowingBody(length, lease=part.lease, offset=part.offset), part, epoch)

    async def append(self, piece: bytes) -> None:
        """Add bytes; when this returns, readers can have them. UpstreamFailed when the disk refuses."""
        self._hash.update(piece)
        if self._part is not None:
            try:
                await self._store.blocking(disk.write, self._part, piece, self.body.ready)
            except OSError as error:
                self._store.disk_error("write", error)
                raise UpstreamFailed("the cache's disk failed during a fill") from None
        self.body.grown(piece)

    @property
    def digest(self) -> bytes:
        """SHA-256 of what was appended."""
        return self._hash.digest()

    async def publish(self, now: float) -> Stored | None:
        """All bytes are there and right: make the answer findable, then end the body. None when it could not be kept;
        readers have it all the same."""
        stored = await (self._publish_part(now) if self._part else self._publish_small(now))
        self.body.ended()
        return stored

    async def abort(self, failure: UpstreamFailed) -> None:
        """The fill failed: readers that want more get `failure`, nothing is kept."""
        self.body.failed(failure)
        if self._part is not None:
            await self._store.blocking(disk.discard, self._part)

    async def _publish_part(self, now: float) -> Stored | None:
        part, length = self._part, self.body.ready
        assert part is not None
        if self._overtaken() or not self._store.room_for(length):
            await self._store.blocking(disk.discard, part)
            return None
        try:
            path, layout = await self._store.blocking(
                disk.publish, self._store.directory, part, self.meta, length, self.digest
            )
        except OSError as error:
            self._store.disk_error("publish", error)
            await self._store.blocking(disk.discard, part)
            return None
        return self._store.keep(Entry(self.meta, path, None, layout, now, self._epoch), part.lease)

    async def _publish_small(self, now: float) -> Stored | None:
        """A small body is kept in memory whatever the disk says; the file is for the next life."""
        if self._overtaken():
            return None
        data = self.body.contents()
        path = disk.path_of(self._store.directory, self.meta.key)
        layout: Layout | None = None
        if self._store.room_for(len(data)):
            try:
                path, layout = await self._store.blocking(self._write_small, data)
            except OSError as error:
                self._store.disk_error("publish", error)
        return self._store.keep(Entry(self.meta, path, MemoryBody(data), layout, now, self._epoch))

    def _overtaken(self) -> bool:
        """Something was invalidated since upstream was asked: what it said may be of before."""
        return self._store.epoch() != self._epoch

    def _write_small(self, data: bytes) -> tuple[Path, Layout]:
        part = disk.start_part(self._store.directory, self.meta, len(data))
        try:
            disk.write(part, data, 0)
            return disk.publish(self._store.directory, part, self.meta, len(data), self.digest)
        except OSError:
            disk.discard(part)
            raise
