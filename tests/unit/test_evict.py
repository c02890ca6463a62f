"""Eviction order, against libCacheSim as the oracle (C++, independent of ours)."""

import random
from collections.abc import Callable

import libcachesim
import pytest

from proxy.store.evict import NONE, Evictor, Lru, Sieve

CAPACITY = 200


def _zipf(seed: int, count: int, objects: int, skew: float) -> list[int]:
    chance = random.Random(seed)
    weights = [1 / (rank + 1) ** skew for rank in range(objects)]
    return chance.choices(range(objects), weights, k=count)


def _ours(evictor: Evictor, trace: list[int]) -> tuple[int, int]:
    """(misses, evictions) with room for CAPACITY objects of one size."""
    slots: dict[int, int] = {}
    free, owner = list(reversed(range(CAPACITY))), {}
    misses = evictions = 0
    for item in trace:
        slot = slots.get(item)
        if slot is not None:
            evictor.used(slot)
            continue
        misses += 1
        if not free:
            gone = evictor.victim()
            del slots[owner.pop(gone)]
            free.append(gone)
            evictions += 1
        slot = free.pop()
        slots[item], owner[slot] = slot, item
        evictor.added(slot)
    assert len(evictor) == len(slots)
    return misses, evictions


def _theirs(cache: libcachesim.CacheBase, trace: list[int]) -> tuple[int, int]:
    hits = sum(cache.get(_request(number, item)) for number, item in enumerate(trace))
    return len(trace) - hits, len(trace) - hits - cache.get_n_obj()


def _request(number: int, item: int) -> libcachesim.Request:
    return libcachesim.Request(obj_size=1, obj_id=item + 1, clock_time=number)


@pytest.mark.parametrize("skew", [0.6, 0.9, 1.2])
@pytest.mark.parametrize("name", ["sieve", "lru"])
def test_misses_and_evictions_equal_libcachesim_s(name: str, skew: float) -> None:
    trace = _zipf(7, 20_000, 2_000, skew)
    if name == "sieve":
        assert _ours(Sieve(CAPACITY), trace) == _theirs(libcachesim.Sieve(cache_size=CAPACITY), trace)
    else:
        assert _ours(Lru(), trace) == _theirs(libcachesim.LRU(cache_size=CAPACITY), trace)


@pytest.mark.parametrize("seed", range(20))
def test_removing_at_random_keeps_the_order_whole(seed: int) -> None:
    chance = random.Random(seed)
    for evictor in (Sieve(64), Lru()):
        held: set[int] = set()
        for _ in range(2_000):
            free = [slot for slot in range(64) if slot not in held]
            act = chance.random()
            if free and act < 0.4:
                held.add(slot := free[0])
                evictor.added(slot)
            elif held and act < 0.7:
                evictor.used(chance.choice(sorted(held)))
            elif held and act < 0.85:
                held.remove(slot := chance.choice(sorted(held)))
                evictor.removed(slot)
            elif (gone := evictor.victim()) != NONE:
                held.remove(gone)
            assert len(evictor) == len(held)
        drained = {evictor.victim() for _ in range(len(held))}
        assert drained == held
        assert evictor.victim() == NONE


def test_sieve_spares_what_was_visited_by_anybody() -> None:
    """The visited bytes are shared: another process may have set them."""
    shared = bytearray(3)
    sieve = Sieve(3, shared)
    for slot in range(3):
        sieve.added(slot)
    shared[0] = 1
    assert [sieve.victim() for _ in range(3)] == [1, 2, 0]


@pytest.mark.parametrize("make", [lambda: Sieve(4), Lru], ids=["sieve", "lru"])
def test_slots_may_come_in_any_order_and_beyond_the_marks(make: Callable[[], Evictor]) -> None:
    """A new life adds objects in the order of their arrival, whose slots may have been used before; a burst may take
    more slots than there are marks until room is made."""
    evictor = make()
    for slot in (5, 0, 9, 2):
        evictor.added(slot)
    evictor.used(0)
    assert evictor.victim() == 5
    assert {evictor.victim() for _ in range(3)} == {0, 9, 2}
    assert evictor.victim() == NONE
