"""Which answers are worth a place on disk once every place is taken: those that were asked for before (D-09).

Most objects of a video service are asked for once: storing them drives out what would be asked for again. Pure
bookkeeping over bytes that processes may share: no sizes, no files, no clock, no locks. A mark that a race loses
forgets one request, and no more.
"""

import struct
from hashlib import blake2b

from proxy.store.evict import Marks

FREE = 0.70
"""Once a directory was filled up to the high watermark, what comes in drives something out, though by batches: between
the watermarks storing still costs an eviction. Only when it fell below this (a purge, a larger disk) it does not."""
_HEAD = struct.Struct("<QQ")
_BYTES = 12
"""Marks a remembered object. With 3 places a mark, 1 in 30 objects looks as if it had been seen."""
_LEAST = 1_000
GENERATION = 2
"""Requests remembered in one generation, for each object that the cache holds: more or less was worse in simulations
with skews of 0.7 to 1.1 and three in ten requests for what is never asked again."""
_GENERATIONS = 255


def size_for(objects: int) -> int:
    """Bytes of memory that remember `objects` objects."""
    return _HEAD.size + _BYTES * max(_LEAST, objects)


def full(was: bool, used: int, limit: int) -> bool:
    """Whether storing goes on meaning eviction, where it did, at so many bytes (or objects) of a limit."""
    return was and used > limit * FREE


class SecondHit:
    """Remembers which keys were asked for once, and which again, for one to two generations. One process calls `age`
    now and then; any may call `ask` and `wanted`."""

    def __init__(self, memory: Marks) -> None:
        """`memory` is of `size_for` bytes, zeros at first."""
        self._memory = memoryview(memory)
        self._places = len(memory) - _HEAD.size

    def ask(self, key: bytes) -> None:
        """The object is asked for and is not here."""
        first, again = self._hashes(key)
        generation, asked = self._head()
        if self._seen(first, generation):
            self._mark(again, generation)
        if not self._newest(first, generation):
            self._mark(first, generation)
            _HEAD.pack_into(self._memory, 0, generation, asked + 1)

    def wanted(self, key: bytes) -> bool:
        """Whether it was asked for twice, as far back as is remembered."""
        return self._seen(self._hashes(key)[1], self._head()[0])

    def age(self, held: int) -> bool:
        """Begin a new generation when this one heard of GENERATION times the objects that the cache holds, or of as
        many as there is memory for; whether it did."""
        generation, asked = self._head()
        if asked < max(_LEAST, min(GENERATION * held, self._places // _BYTES)):
            return False
        _HEAD.pack_into(self._memory, 0, generation + 1, 0)
        return True

    def _head(self) -> tuple[int, int]:
        generation, asked = _HEAD.unpack_from(self._memory)
        return generation, asked

    def _hashes(self, key: bytes) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        words = struct.unpack("<6Q", blake2b(key, digest_size=48).digest())
        places = [_HEAD.size + word % self._places for word in words]
        return (places[0], places[1], places[2]), (places[3], places[4], places[5])

    def _mark(self, places: tuple[int, int, int], generation: int) -> None:
        for place in places:
            self._memory[place] = 1 + generation % _GENERATIONS

    def _newest(self, places: tuple[int, int, int], generation: int) -> bool:
        now = 1 + generation % _GENERATIONS
        return all(self._memory[place] == now for place in places)

    def _seen(self, places: tuple[int, int, int], generation: int) -> bool:
        recent = (1 + generation % _GENERATIONS, 1 + (generation - 1) % _GENERATIONS)
        return all(self._memory[place] in recent for place in places)
