"""Second-hit admission and the pinned class, pure (D-09, issue 3 part 3)."""

import random

import pytest

from proxy.rules.meta import Meta
from proxy.store.admit import FREE, GENERATION, SecondHit, full, size_for
from proxy.store.evict import NONE, Lru, Sieve
from proxy.store.pinning import MOST_BYTES, Pinning
from proxy.store.pins import Pins

OBJECTS = 2_000


def _key(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _made() -> SecondHit:
    return SecondHit(bytearray(size_for(OBJECTS)))


def test_wanted_is_what_was_asked_for_twice() -> None:
    policy = _made()
    for _ in range(2):
        assert not policy.wanted(b"a")
        policy.ask(b"a")
    assert policy.wanted(b"a")
    assert not policy.wanted(b"b")


def test_another_process_that_maps_the_same_memory_knows_it_too() -> None:
    memory = bytearray(size_for(OBJECTS))
    SecondHit(memory).ask(b"a")
    SecondHit(memory).ask(b"a")
    assert SecondHit(memory).wanted(b"a")


def test_it_forgets_after_one_to_two_generations() -> None:
    policy = _made()
    policy.ask(b"old")
    ages = 0
    for number in range(GENERATION * 1_000 * 3):
        policy.ask(_key(number))
        ages += policy.age(held=1_000)
    assert ages >= 2
    policy.ask(b"old")
    assert not policy.wanted(b"old")


def test_one_popular_object_does_not_make_it_forget() -> None:
    policy = _made()
    for _ in range(10_000):
        policy.ask(b"popular")
        assert not policy.age(held=10)


def test_generations_come_round_without_waking_the_dead() -> None:
    """Marks are one byte: after 255 generations their numbers begin anew."""
    policy = _made()
    for key in (dead := [_key(number) for number in range(500)]):
        policy.ask(key)
        policy.ask(key)
    assert all(policy.wanted(key) for key in dead)
    number = 1_000
    for _ in range(255):
        while not policy.age(held=1):
            policy.ask(_key(number := number + 1))
    assert sum(policy.wanted(key) for key in dead) < 25


def test_few_strangers_look_as_if_they_had_been_seen() -> None:
    policy = _made()
    for number in range(OBJECTS):
        policy.ask(_key(number))
    strangers = range(10**6, 10**6 + 5_000)
    for number in strangers:
        policy.ask(_key(number)) if number % 2 else None
        policy.age(OBJECTS)
    assert sum(policy.wanted(_key(number)) for number in strangers if number % 2) < 0.1 * len(strangers) / 2


@pytest.mark.parametrize(
    ("was", "used", "now"),
    [(False, 100, False), (True, 100, True), (True, 80, True), (True, 71, True), (True, int(100 * FREE), False)],
)
def test_full_lasts_between_the_watermarks(was: bool, used: int, now: bool) -> None:
    """After an eviction down to LOW what comes in still drives something out: half of all fills come then."""
    assert full(was, used, 100) is now


def _misses(trace: list[int], *, second_hit: bool) -> int:
    """Of a cache of 500 objects of one size under SIEVE."""
    policy = SecondHit(bytearray(size_for(OBJECTS))) if second_hit else None
    order, slots, owner, free, misses = Sieve(500), {}, {}, list(range(500)), 0
    for item in trace:
        if item in slots:
            order.used(slots[item])
            continue
        misses += 1
        if policy:
            policy.ask(_key(item))
            policy.age(len(order))
        if not free:
            if policy and not policy.wanted(_key(item)):
                continue
            gone = order.victim()
            del slots[owner[gone]]
            free.append(gone)
        slots[item] = slot = free.pop()
        owner[slot] = item
        order.added(slot)
    return misses


@pytest.mark.parametrize("skew", [0.7, 0.9, 1.1])
def test_it_misses_less_where_much_is_asked_for_once(skew: float) -> None:
    chance = random.Random(5)
    weights = [1 / (rank + 1) ** skew for rank in range(10_000)]
    popular = chance.choices(range(10_000), weights, k=40_000)
    trace = [item if chance.random() < 0.7 else 10_000 + at for at, item in enumerate(popular)]
    assert _misses(trace, second_hit=True) < _misses(trace, second_hit=False)


@pytest.mark.parametrize(
    ("key", "media", "length", "pinned"),
    [
        ("o/film/v1/master.m3u8", "application/vnd.apple.mpegurl", 900, True),
        ("o/film/v1/master?x=1", "Application/Vnd.Apple.MPEGURL; charset=utf-8", 900, True),
        ("o/film/v1/v1080/init.mp4", "video/mp4", 900, True),
        ("o/film/v1/v1080/init.mp4?init", None, MOST_BYTES, True),
        ("o/film/v1/v1080/init.mp4", "video/mp4", MOST_BYTES + 1, False),
        ("o/film/init.mp4/00001.m4s", "video/iso.segment", 900, False),
        ("o/film/v1/v1080/00001.m4s", "video/iso.segment", 900, False),
    ],
)
def test_what_is_pinned(key: str, media: str | None, length: int, pinned: bool) -> None:
    pinning = Pinning(["application/vnd.apple.mpegurl"], ["init*.mp4", "*.m3u8"])
    fields = () if media is None else (("Content-Type", media),)
    assert pinning.pins(Meta(key, 200, fields, 0.0, 0.0), length) is pinned


def test_pinned_objects_go_last_and_beyond_their_share_the_oldest_is_like_all() -> None:
    order = Pins(Lru(), share=250)
    for slot in range(4):
        order.added(slot, 100, pinned=slot < 3)
    assert order.bytes == 200, "the first of three was one too many"
    assert [order.victim() for _ in range(5)] == [0, 3, 1, 2, NONE]
    assert (order.bytes, len(order)) == (0, 0)


@pytest.mark.parametrize("seed", range(10))
def test_pins_agree_with_a_plain_model(seed: int) -> None:
    chance = random.Random(seed)
    order, held = Pins(Sieve(64), share=1_000), {}
    for _ in range(2_000):
        free = [slot for slot in range(64) if slot not in held]
        act, size, pinned = chance.random(), chance.randrange(1, 400), chance.random() < 0.4
        if free and act < 0.4:
            held[slot := free[0]] = pinned
            order.added(slot, size, pinned=pinned)
        elif held and act < 0.55:
            order.changed(slot := chance.choice(sorted(held)), size, pinned=pinned)
            held[slot] = pinned
        elif held and act < 0.7:
            order.used(chance.choice(sorted(held)))
        elif held and act < 0.85:
            order.removed(slot := chance.choice(sorted(held)))
            del held[slot]
        elif (gone := order.victim()) != NONE:
            del held[gone]
        assert len(order) == len(held)
        assert 0 <= order.bytes <= 1_000
