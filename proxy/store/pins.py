"""The order of eviction with a class that goes last: pinned objects, up to a share of the bytes. Pure."""

from array import array

from proxy.store.evict import NONE, Evictor, Lru


class Pins:
    """Ordinary objects go as `ordinary` says; pinned ones only when there is no other. Beyond their share the oldest of
    them becomes an ordinary one."""

    def __init__(self, ordinary: Evictor, share: int) -> None:
        """`share` is in bytes."""
        self._ordinary, self._share = ordinary, share
        self._pinned = Lru()
        self._sizes = array("L")  # slot -> bytes of a pinned object, 0 of another
        self.bytes = 0
        """Bytes of pinned objects."""

    def __len__(self) -> int:
        return len(self._ordinary) + len(self._pinned)

    def added(self, slot: int, size: int, *, pinned: bool) -> None:
        """A new object took the slot."""
        if not pinned:
            self._ordinary.added(slot)
            return
        if slot >= len(self._sizes):
            self._sizes.extend([0] * (slot + 1 - len(self._sizes)))
        self._sizes[slot] = size
        self.bytes += size
        self._pinned.added(slot)
        while self.bytes > self._share:
            oldest = self._pinned.victim()
            self._forget(oldest)
            self._ordinary.added(oldest)

    def changed(self, slot: int, size: int, *, pinned: bool) -> None:
        """The object in the slot was replaced by another of its key."""
        if pinned or self._holds(slot):
            self.removed(slot)
            self.added(slot, size, pinned=pinned)

    def used(self, slot: int) -> None:
        """See Evictor; the pinned stay in the order in which they came."""
        if not self._holds(slot):
            self._ordinary.used(slot)

    def removed(self, slot: int) -> None:
        """See Evictor."""
        if self._holds(slot):
            self._pinned.removed(slot)
            self._forget(slot)
        else:
            self._ordinary.removed(slot)

    def victim(self) -> int:
        """See Evictor."""
        slot = self._ordinary.victim()
        if slot == NONE and (slot := self._pinned.victim()) != NONE:
            self._forget(slot)
        return slot

    def _holds(self, slot: int) -> bool:
        return slot < len(self._sizes) and self._sizes[slot] > 0

    def _forget(self, slot: int) -> None:
        self.bytes -= self._sizes[slot]
        self._sizes[slot] = 0
