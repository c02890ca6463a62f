"""Which stored object goes when room is needed: SIEVE (the default) or LRU, over small integers (slots).

Pure bookkeeping: no sizes, no files, no clock. `used` is all that a hit costs; for SIEVE it is one byte in memory that
the workers of a node share, so that a hit in any of them counts. SIEVE: Zhang et al., NSDI 2024.
"""

from array import array
from typing import Protocol

NONE = -1
Marks = bytearray | memoryview
"""A byte a slot: 1 where the object was hit."""


class Evictor(Protocol):
    """An order over slots: small integers from 0, in any order."""

    def added(self, slot: int) -> None:
        """A new object took the slot."""
        ...

    def used(self, slot: int) -> None:
        """The object in the slot was hit."""
        ...

    def removed(self, slot: int) -> None:
        """The object in the slot is gone for another reason."""
        ...

    def victim(self) -> int:
        """The slot to free next, taken out of the order; NONE when there is none."""
        ...

    def __len__(self) -> int: ...


class _Order:
    """A doubly linked list over slots in two flat arrays: 16 bytes a slot. Head is newest, tail oldest."""

    __slots__ = ("count", "head", "newer", "older", "tail")

    def __init__(self) -> None:
        self.newer = array("q")
        self.older = array("q")
        self.head = self.tail = NONE
        self.count = 0

    def push(self, slot: int) -> None:
        """Put a slot at the head."""
        while slot >= len(self.newer):
            self.newer.append(NONE)
            self.older.append(NONE)
        self.newer[slot], self.older[slot] = NONE, self.head
        if self.head != NONE:
            self.newer[self.head] = slot
        else:
            self.tail = slot
        self.head = slot
        self.count += 1

    def unlink(self, slot: int) -> None:
        """Take a slot out."""
        newer, older = self.newer[slot], self.older[slot]
        if newer != NONE:
            self.older[newer] = older
        else:
            self.head = older
        if older != NONE:
            self.newer[older] = newer
        else:
            self.tail = newer
        self.count -= 1


class Sieve:
    """Objects stay where they came in; a hand moves from the oldest to the newest, spares what was visited since it
    last came by, and evicts the first that was not."""

    def __init__(self, capacity: int, visited: Marks | None = None) -> None:
        """`visited`: a byte a slot, shared with whoever serves hits; made here when not given. Slots beyond its end
        share bytes with the first ones: a burst may take some until room is made."""
        self._order = _Order()
        self.visited: Marks = bytearray(capacity) if visited is None else visited
        self._marks = len(self.visited)
        self._hand = NONE

    def __len__(self) -> int:
        return self._order.count

    def added(self, slot: int) -> None:
        """See Evictor."""
        self.visited[slot % self._marks] = 0
        self._order.push(slot)

    def used(self, slot: int) -> None:
        """See Evictor."""
        self.visited[slot % self._marks] = 1

    def removed(self, slot: int) -> None:
        """See Evictor."""
        if self._hand == slot:
            self._hand = self._order.newer[slot]
        self._order.unlink(slot)

    def victim(self) -> int:
        """See Evictor. Amortised constant: a spared object costs one step, once a hit."""
        order, visited, marks = self._order, self.visited, self._marks
        slot = self._hand if self._hand != NONE else order.tail
        while slot != NONE and visited[slot % marks]:
            visited[slot % marks] = 0
            slot = order.newer[slot]
            if slot == NONE:
                slot = order.tail
        if slot == NONE:
            return NONE
        self._hand = order.newer[slot]
        order.unlink(slot)
        return slot


class Lru:
    """Least recently used first."""

    def __init__(self) -> None:
        self._order = _Order()

    def __len__(self) -> int:
        return self._order.count

    def added(self, slot: int) -> None:
        """See Evictor."""
        self._order.push(slot)

    def used(self, slot: int) -> None:
        """See Evictor."""
        self._order.unlink(slot)
        self._order.push(slot)

    def removed(self, slot: int) -> None:
        """See Evictor."""
        self._order.unlink(slot)

    def victim(self) -> int:
        """See Evictor."""
        slot = self._order.tail
        if slot != NONE:
            self._order.unlink(slot)
        return slot
