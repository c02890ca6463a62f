"""Writing one answer into the store while readers follow it."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

from kit.errors import UpstreamFailed
from proxy.rules.meta import Meta
from proxy.store import disk
from proxy.store.bodies import GrowingBody, MemoryBody
from proxy.store.disk import Part, Published
from proxy.store.format import Foreign, Layout
from proxy.store.store import Entry, Store, Stored

A = TypeVar("A")


class NoRoom(Exception):
    """The answer cannot be kept: over the bytes allowed, or the disk refused."""


class TooLarge(UpstreamFailed):
    """An answer of unknown length outgrew the disk: it can be passed on, not brought in."""


class Writer:
    """One fill's way into the store. Not published means failed: `abort` unless `publish` returned."""

    def __init__(self, store: Store, meta: Meta, body: GrowingBody, part: Part | None, epoch: int) -> None:
        self.meta, self.body = meta, body
        self._epoch = epoch
        self._store, self._part = store, part
        self._hash = hashlib.sha256()
        self._written = 0
        self._held = b""
        self._reserved = 0
        if part is not None:
            self._reserved = body.length or 0  # open did that
            self._reserve(part.offset)

    @classmethod
    async def open(cls, store: Store, meta: Meta, length: int | None, epoch: int) -> "Writer":
        """Begin: a small body of known length grows in memory, others in a part file. NoRoom: it may not be kept.

        `epoch` is the store's when upstream was asked: after another invalidation nothing is published.
        """
        if length is not None and length <= store.bounds.memory_object:
            return cls(store, meta, GrowingBody(length), None, epoch)
        if not store.room_for(length or 0):
            raise NoRoom
        store.reserve(length or 0)  # before the first await: who asks for room next must see it taken
        try:
            part = await store.blocking(disk.start_part, store.directory, meta, length)
        except BaseException as error:
            store.reserve(-(length or 0))
            if not isinstance(error, OSError):
                raise
            store.disk_error("start", error)
            raise NoRoom from None
        return cls(store, meta, GrowingBody(length, lease=part.lease, offset=part.offset), part, epoch)

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
        if self.body.length is None:
            if not self._store.room_for(len(piece)):
                raise TooLarge("the answer is larger than the cache")
            self._reserve(len(piece))
        try:
            await self._store.blocking(disk.write, part, piece, self._written)
        except OSError as error:
            self._store.disk_error("write", error)
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
            self._reserve(-self._reserved)

    async def abort(self, why: str) -> None:
        """The fill failed: readers that want more get UpstreamFailed, nothing is kept."""
        self.body.failed(why)
        self._reserve(-self._reserved)
        if self._part is not None:
            await self._discard(self._part)

    async def _publish_part(self, now: float) -> Stored | None:
        part = self._part
        assert part is not None
        published = await self._name(self._publish, part)
        if published is None:
            await self._discard(part)
            return None
        entry = Entry(self.meta, published.path, None, published.layout, now, self._epoch)
        return self._store.keep(entry, part.lease)

    async def _publish_small(self, now: float) -> Stored | None:
        """A small body is kept in memory whatever the disk says; the file is for the next life."""
        data = self.body.contents()
        path = disk.path_of(self._store.directory, self.meta.key)
        layout: Layout | None = None
        if self._store.room_for(len(data)) and not self._overtaken():
            published = await self._name(self._write_small, data)
            layout = published.layout if published else None
        if self._overtaken():
            return None
        return self._store.keep(Entry(self.meta, path, MemoryBody(data), layout, now, self._epoch))

    async def _name(self, publish: Callable[[A], Published | None], argument: A) -> Published | None:
        """Publish, account for the bytes; a disk that refuses is counted."""
        try:
            return await self._store.counted(_added, publish, argument)
        except (OSError, Foreign) as error:
            self._store.disk_error("publish", error)
            return None

    def _publish(self, part: Part) -> Published | None:
        return disk.publish(
            self._store.directory, part, self.meta, self._written, self.digest, lambda: not self._overtaken()
        )

    def _write_small(self, data: bytes) -> Published | None:
        part = disk.start_part(self._store.directory, self.meta, len(data))
        try:
            disk.write(part, data, 0)
            return self._publish(part)
        except BaseException:
            disk.discard(part)
            raise

    def _overtaken(self) -> bool:
        """Something was invalidated since upstream was asked: what it said may be of before."""
        return self._store.epoch(self.meta.key) != self._epoch

    def _reserve(self, size: int) -> None:
        self._reserved += size
        self._store.reserve(size)

    async def _discard(self, part: Part) -> None:
        try:
            await self._store.blocking(disk.discard, part)
        except OSError as error:
            self._store.disk_error("discard", error)


def _added(published: Published | None) -> int:
    return published.layout.body_offset + published.layout.body_length - published.replaced if published else 0
