"""Which object is in which slot: 20 bytes a slot for the name of its file, 8 for a free one."""

from array import array

_NAME = 20
_NOBODY = bytes(_NAME)


class Slots:
    """Names by slot, small integers from 0. A slot that was given back is given out again before a new one is made."""

    def __init__(self) -> None:
        self._names = bytearray()
        self._free = array("q")

    def __len__(self) -> int:
        """How many slots there are, free ones included."""
        return len(self._names) // _NAME

    def take(self, name: bytes) -> int:
        """A slot for the object of that name."""
        slot = self._free.pop() if self._free else len(self)
        self.put(slot, name)
        return slot

    def put(self, slot: int, name: bytes) -> None:
        """The object has this slot from an earlier life; slots come in any order. `settle` when all are in."""
        start = slot * _NAME
        if len(self._names) < start + _NAME:
            self._names.extend(bytes(start + _NAME - len(self._names)))
        self._names[start : start + _NAME] = name

    def settle(self) -> None:
        """What nobody put a name in is free."""
        self._free = array("q", (slot for slot in range(len(self)) if self.name(slot) == _NOBODY))

    def free(self, slot: int) -> None:
        """The object is gone."""
        self.put(slot, _NOBODY)
        self._free.append(slot)

    def name(self, slot: int) -> bytes:
        """The name of the object in a slot, zeros in a free one."""
        return bytes(self._names[slot * _NAME : slot * _NAME + _NAME])

    def taken(self, slot: int) -> bool:
        """Whether an object is in it."""
        return self.name(slot) != _NOBODY
