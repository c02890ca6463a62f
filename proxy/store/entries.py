"""What a worker remembers of answers: a bounded number, bodies in memory within bytes; who was not used since the last
look goes first (second chance: a hit sets a mark in the entry, where LRU would write into three others)."""

from collections import OrderedDict
from dataclasses import dataclass, field

from kit.memo import pop_unused
from proxy.rules.meta import Meta
from proxy.store.bodies import MemoryBody
from proxy.store.format import Layout
from proxy.store.shards import shard_of
from proxy.store.volumes import Volume


@dataclass(slots=True)
class Entry:
    """A stored answer as the index has it. `body` is there when it is small; `layout` when it has a file."""

    meta: Meta
    body: MemoryBody | None
    layout: Layout | None
    touched: float
    """When its use was last noted."""
    epoch: int
    """The node's count of invalidations when this was found; after another one it must be found again."""
    slot: int = 0
    """Where SIEVE wants hits marked, from 1; 0 until the keeper gave it one."""
    volume: Volume | None = None
    """Where its file is, or would be; None when every directory was out."""
    pinned: bool = False
    """Whether it stays while others can go (store.pinning)."""
    used: bool = False
    """Whether it was hit since the last look for one that can go."""
    shard: str = field(init=False)
    """Which counter of invalidations its key shares."""

    def __post_init__(self) -> None:
        self.shard = shard_of(self.meta.key)


class Entries:
    """Entries by key. Pinned ones leave last, as long as they keep to their share of the bytes: beyond it the oldest
    of them becomes an ordinary one."""

    def __init__(self, most: int, memory: int, pinned: int) -> None:
        """`most` entries, `memory` bytes of bodies, `pinned` bytes of them for pinned ones."""
        self._most, self._limit, self._share = most, memory, pinned
        self._ordinary: OrderedDict[str, Entry] = OrderedDict()
        self._pinned: OrderedDict[str, Entry] = OrderedDict()
        self.memory = self.growing = self._pinned_memory = 0

    def __len__(self) -> int:
        return len(self._ordinary) + len(self._pinned)

    def get(self, key: str) -> Entry | None:
        """The entry of a key; who hits it sets `used`."""
        return self._ordinary.get(key) or self._pinned.get(key)

    def put(self, entry: Entry) -> list[Entry]:
        """Add it; gives back those that had to leave, the one of before under its key among them."""
        before = self.pop(entry.meta.key)
        (self._pinned if entry.pinned else self._ordinary)[entry.meta.key] = entry
        self._count(entry, 1)
        while self._pinned_memory > self._share:
            self._unpin()
        return [*([] if before is None else [before]), *self._excess()]

    def grow(self, size: int) -> list[Entry] | None:
        """Count a body that is about to grow; gives back those that had to leave, None when it may not: then what
        grows alone would be more than the bytes allowed."""
        if self.growing + size > self._limit:
            return None
        self.growing += size
        return self._excess()

    def shrink(self, size: int) -> None:
        """A body grows no more: it is an entry now, or given up."""
        self.growing -= size

    def pop(self, key: str) -> Entry | None:
        """Take an entry out."""
        entry = self._ordinary.pop(key, None) or self._pinned.pop(key, None)
        if entry is not None:
            self._count(entry, -1)
        return entry

    def clear(self) -> None:
        """Take all out."""
        self._ordinary.clear()
        self._pinned.clear()
        self.memory = self._pinned_memory = 0

    def _excess(self) -> list[Entry]:
        gone = []
        while len(self) and (len(self) > self._most or self.memory + self.growing > self._limit):
            gone.append(self._oldest())
        return gone

    def _oldest(self) -> Entry:
        """Take out the oldest that was not used since the last look; pinned ones in the order in which they came."""
        entry = pop_unused(self._ordinary) if self._ordinary else self._pinned.popitem(last=False)[1]
        self._count(entry, -1)
        return entry

    def _unpin(self) -> None:
        key, entry = self._pinned.popitem(last=False)
        self._count(entry, -1)
        entry.pinned = False
        self._count(entry, 1)
        self._ordinary[key] = entry

    def _count(self, entry: Entry, sign: int) -> None:
        size = sign * (entry.body.length if entry.body else 0)
        self.memory += size
        self._pinned_memory += size if entry.pinned else 0
