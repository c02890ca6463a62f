"""Slices in the store: freshened, purged and found again together; shared by the workers of a node; rotten, without
room, on a full disk (issue 3 parts 2 to 4; contracts.md, Workers of one node)."""

import asyncio
import base64
import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.admit.open import OpenTier
from kit.clock import ManualClock, SystemClock
from kit.metrics import Board
from proxy.host.worker import families
from proxy.store import disk
from proxy.store.evict import Sieve
from proxy.store.inspect import opened, verify
from proxy.store.purge import Purge
from tests.support.nodes import lone_keeper, node, settings
from tests.support.sliced import (
    BODY,
    OTHER,
    SLICE,
    STORE,
    K,
    asked,
    authority,
    layout,
    part,
    pausing,
    runs,
    serving,
)
from tests.support.upstream import Call, upstream
from tests.support.wire import CutOff, until, viewer
from tests.wire.test_17_workers import workers


async def test_one_304_freshens_all_slices(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 9111 4.3.4."""
    script = serving()
    script.fields["Cache_Control"] = "max-age=60"
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE, clock=clock) as edge:
        await part(edge, 0, 9)
        await part(edge, 5 * SLICE, 5 * SLICE + 9)
        await runs(edge, "filled", 2)
        clock.advance(100)
        assert (await part(edge, 0, 9)).cache == "edge; fwd=stale; fwd-status=304"
        assert "; hit" in (await part(edge, 5 * SLICE, 5 * SLICE + 9)).cache
        assert len(origin.calls) == 3
        clock.advance(100)
        script.body, script.fields["ETag"] = OTHER, '"v2"'
        assert (await part(edge, 0, 9)).body == OTHER[:10]
        assert (await part(edge, 5 * SLICE, 5 * SLICE + 9)).body == OTHER[5 * SLICE : 5 * SLICE + 10]


async def test_a_new_life_keeps_the_slices(tmp_path: Path) -> None:
    script = serving()
    async with upstream(script) as origin:
        async with node(tmp_path, origin.url, store=STORE) as edge:
            await part(edge, SLICE, 2 * SLICE)
            await runs(edge, "filled", 1)
        async with node(tmp_path, origin.url, store=STORE | {"slice": 2 * SLICE}) as again:
            assert "; hit" in (await part(again, SLICE + 5, 2 * SLICE + 5)).cache
            assert (await part(again, 4 * SLICE, 4 * SLICE + 9)).body == BODY[4 * SLICE : 4 * SLICE + 10]
        assert script.ranges == [asked(1, 2), asked(4, 4)]


async def test_workers_share_slices(tmp_path: Path) -> None:
    """What one worker brought in the other serves, and either may complete the object."""
    script = serving()
    async with upstream(script) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, _):
        for index in range(21):
            got = await part((one, two)[index % 2], index * SLICE, index * SLICE + 9)
            assert got.body == BODY[index * SLICE : index * SLICE + 10]
        await until(lambda: one.count("runs_total", "filled") == 21)
        for edge in (one, two):
            got = await edge.get("/a")
            assert (got.body, got.cache.split(";")[1]) == (BODY, " hit")
        assert script.sent == len(BODY)
        assert one.count("store_disk_bytes") == disk.size_of(one.files()[0])


async def test_the_workers_of_a_node_ask_for_a_slice_once_and_follow_it(tmp_path: Path) -> None:
    """The first bytes reach the viewers of the worker that did not ask before the last have come."""
    go, plain = asyncio.Event(), serving()
    held, script = BODY[4 * SLICE : 5 * SLICE], pausing(plain, 4, go)
    async with upstream(script) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, _):
        await part(one, 0, 9)
        async with viewer(one.port) as first, viewer(two.port) as second:
            for each in (first, second):
                await each.ask("/a", Range=f"bytes={4 * SLICE}-{5 * SLICE - 1}")
                assert (await each.head()).status == 206
                assert await each.read(30_000) == held[:30_000]
            go.set()
            for each in (first, second):
                assert await each.read(SLICE - 30_000) == held[30_000:]
        assert [call.field("Range") for call in origin.calls] == [asked(0, 0), asked(4, 4)]
        await runs(one, "followed", 1)
        for got in await asyncio.gather(*((one, two)[n % 2].get("/a") for n in range(8))):
            assert got.body == BODY
        assert plain.sent == len(BODY) - SLICE


async def test_cold_viewers_of_both_workers_are_one_request(tmp_path: Path) -> None:
    script = serving()
    async with upstream(script) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, _):
        viewers = (part((one, two)[n % 2], 7 * SLICE + n, 7 * SLICE + n + 99) for n in range(20))
        for number, got in enumerate(await asyncio.gather(*viewers)):
            assert got.body == BODY[7 * SLICE + number : 7 * SLICE + number + 100]
        assert script.ranges == [asked(7, 7)]


async def test_a_worker_that_goes_in_a_run_leaves_it_to_the_other(tmp_path: Path) -> None:
    """Before the first byte another asks; nothing waits for who is gone."""
    plain = serving()

    async def script(call: Call) -> None:
        if call.number == 1:
            await asyncio.Event().wait()
        await plain(call)

    async with upstream(script) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, first):
        await part(one, 0, 9)
        await runs(one, "filled", 1)
        lost = asyncio.create_task(part(one, 4 * SLICE, 4 * SLICE + 9))
        await origin.called(2)
        waits = asyncio.create_task(part(two, 4 * SLICE, 4 * SLICE + 9))
        await first.aclose()
        assert (await waits).body == BODY[4 * SLICE : 4 * SLICE + 10]
        with contextlib.suppress(CutOff):
            assert (await lost).status == 502


async def test_a_slice_that_rotted_is_missing_again(tmp_path: Path) -> None:
    script = serving()
    async with upstream(script) as origin:
        async with node(tmp_path, origin.url, store=STORE) as edge:
            await part(edge, SLICE, 3 * SLICE - 1)
            await runs(edge, "filled", 1)
            (path,), offset = edge.files(), layout(edge).body_offset
        with path.open("r+b") as file:
            file.seek(offset + 2 * SLICE + 17)
            file.write(b"rot")
        async with node(tmp_path, origin.url, store=STORE) as again:
            assert "; hit" in (await part(again, SLICE, SLICE + 9)).cache
            got = await part(again, 2 * SLICE, 2 * SLICE + 99)
            assert (got.body, got.cache.split(";")[1]) == (BODY[2 * SLICE : 2 * SLICE + 100], " fwd=partial")
            assert again.count("store_foreign_total") == 1
        assert script.ranges == [asked(1, 2), asked(2, 2)]


def _flip(at: int) -> Callable[[Path, int], None]:
    def flip(path: Path, offset: int) -> None:
        data = bytearray(path.read_bytes())
        data[at if at >= 0 else offset + at] ^= 1
        path.write_bytes(data)

    flip.__name__ = f"flip_{at}"
    return flip


def _cut(path: Path, offset: int) -> None:
    os.truncate(path, offset + 5 * SLICE)


@pytest.mark.parametrize(
    "damage",
    [_flip(5), _flip(6), _flip(7), _flip(20), _flip(100), _flip(-1), _flip(-21 * 8 + 11), _flip(-21 * 8 + 15), _cut],
    ids=lambda each: each.__name__,
)
async def test_a_sparse_file_that_is_damaged_serves_nothing_wrong(
    tmp_path: Path, damage: Callable[[Path, int], None]
) -> None:
    """Its flags, slice size, length, metadata, records of missing and of present slices, its end."""
    async with upstream(serving()) as origin:
        async with node(tmp_path, origin.url, store=STORE) as edge:
            await part(edge, SLICE, 2 * SLICE - 1)
            await runs(edge, "filled", 1)
            (path,), offset = edge.files(), layout(edge).body_offset
        damage(path, offset)
        async with node(tmp_path, origin.url, store=STORE) as again:
            assert (await part(again, SLICE + 5, SLICE + 9)).body == BODY[SLICE + 5 : SLICE + 10]
            assert (await again.get("/a")).body == BODY


async def test_rot_found_at_the_end_keeps_an_object_from_being_complete(tmp_path: Path) -> None:
    script = serving(BODY[: 3 * SLICE])
    async with upstream(script) as origin:
        async with node(tmp_path, origin.url, store=STORE) as edge:
            await part(edge, 0, 2 * SLICE - 1)
            await runs(edge, "filled", 1)
            (path,), offset = edge.files(), layout(edge).body_offset
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"rot")
        async with node(tmp_path, origin.url, store=STORE) as again:
            await part(again, 2 * SLICE, 2 * SLICE + 9)
            await until(lambda: again.count("store_foreign_total") == 1)
            assert (await again.get("/a")).body == BODY[: 3 * SLICE]


async def test_a_purge_takes_all_slices_and_a_run_brings_none_back(tmp_path: Path) -> None:
    go, plain = asyncio.Event(), serving()

    async def script(call: Call) -> None:
        if call.field("Range") == asked(5, 5) and not go.is_set():
            await go.wait()
        await plain(call)

    board = Board(families(OpenTier().reasons), 3)
    disk.prepare(tmp_path)
    keeper = lone_keeper(tmp_path, 2**30, 1000, Sieve(1000), board, ManualClock())
    keeper.start()
    assert keeper.loaded.wait(10)
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE, board=board) as edge:
        await part(edge, 0, 9)
        slow = asyncio.create_task(part(edge, 5 * SLICE, 5 * SLICE + 9))
        await origin.called(2)
        purged = await asyncio.wrap_future(keeper.purge(Purge("key", f"{authority(origin.url)}/a")))
        assert (purged.objects, edge.files()) == (1, [])
        plain.body, plain.fields["ETag"] = OTHER, '"v2"'
        go.set()
        assert (await slow).body in (BODY[5 * SLICE : 5 * SLICE + 10], OTHER[5 * SLICE : 5 * SLICE + 10])
        assert (await edge.get("/a")).body == OTHER
        await asyncio.to_thread(keeper.close)
        assert edge.count("store_disk_bytes") == disk.size_of(edge.files()[0])
        index = opened(tmp_path)
        (*_, result) = verify(tmp_path, index)
        index.close()
        assert (result.findings, result.files) == ([], 1)
    board.close()


async def test_the_keeper_learns_what_slices_take(tmp_path: Path) -> None:
    """The journal tells after every run; the index has what is allocated, not the length."""
    board = Board(families(OpenTier().reasons), 3)
    disk.prepare(tmp_path)
    async with upstream(serving()) as origin, node(tmp_path, origin.url, store=STORE, board=board) as edge:
        keeper = lone_keeper(tmp_path, 2**30, 1000, Sieve(1000), board, ManualClock())
        keeper.start()
        assert keeper.loaded.wait(10)
        for index in (1, 3, 7):
            await part(edge, index * SLICE, index * SLICE)
            await runs(edge, "filled", 1)
        await until(lambda: edge.count("runs_total", "filled") == 3)
    await asyncio.to_thread(keeper.close)
    known = opened(tmp_path)
    (row,) = known.rows()
    known.close()
    assert row.size == disk.size_of(edge.files()[0])
    assert 3 * SLICE <= row.size < 4 * SLICE
    board.close()


async def test_without_room_the_viewer_is_served_past_the_cache(tmp_path: Path) -> None:
    script = serving()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE | {"disk": SLICE // 2}) as edge:
        got = await part(edge, SLICE, SLICE + 9)
        assert (got.status, got.body) == (206, BODY[SLICE : SLICE + 10])
        assert not edge.files()
    async with (
        upstream(script) as origin,
        node(tmp_path / "two", origin.url, store=STORE | {"disk": SLICE + 8 * K}) as edge,
    ):
        for index in (1, 2):
            got = await part(edge, index * SLICE, index * SLICE + 9)
            assert (got.status, got.body) == (206, BODY[index * SLICE : index * SLICE + 10])
        assert edge.count("runs_total", "no_room") == 1


async def test_a_disk_that_is_full_in_a_slice_is_no_fault_towards_viewers(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes every write behind it fail: the file's length is fixed before, its extents are not."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with upstream(serving()) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await part(edge, 0, 9)
        await runs(edge, "filled", 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * SLICE, before[1]))
        try:
            got = await part(edge, 9 * SLICE, 9 * SLICE + 9)
            assert (got.status, got.body) == (206, BODY[9 * SLICE : 9 * SLICE + 10])
            assert (await part(edge, 0, 9)).body == BODY[:10]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert edge.count("runs_total", "no_room") == 1
        assert edge.count("store_errors_total") == 1


async def test_an_object_that_is_not_what_its_digest_says_is_not_kept(tmp_path: Path) -> None:
    """RFC 9530: Repr-Digest of a 206 is that of the whole, so that only the last slice can tell."""
    stated = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    for right in (True, False):
        script = serving(BODY if right else OTHER, Repr_Digest=f"sha-256=:{stated}:")
        async with upstream(script) as origin, node(tmp_path / str(right), origin.url, store=STORE) as edge:
            await part(edge, SLICE, SLICE + 9)
            await edge.get("/a")
            if right:
                await until(lambda: layout(edge).complete)
            else:
                await until(lambda: not edge.files())


async def test_a_soft_purge_makes_all_slices_stale(tmp_path: Path) -> None:
    board, script = Board(families(OpenTier().reasons), 3), serving()
    disk.prepare(tmp_path)
    keeper = lone_keeper(tmp_path, 2**30, 1000, Sieve(1000), board, SystemClock())
    keeper.start()
    assert keeper.loaded.wait(10)
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE, board=board) as edge:
        for first in (0, 5 * SLICE):
            await part(edge, first, first)
        await runs(edge, "filled", 2)
        purged = await asyncio.wrap_future(keeper.purge(Purge("key", f"{authority(origin.url)}/a", soft=True)))
        assert purged.objects == 1
        assert (await part(edge, 0, 9)).cache == "edge; fwd=stale; fwd-status=304"
        assert "; hit" in (await part(edge, 5 * SLICE, 5 * SLICE + 9)).cache
        await asyncio.to_thread(keeper.close)
    assert len(script.ranges) == 3
    board.close()


async def test_each_tier_has_slices_of_its_own(tmp_path: Path) -> None:
    """Edge, shield, origin: a seek costs one slice a tier, of that tier's size."""
    script = serving()
    async with (
        upstream(script) as origin,
        node(tmp_path / "shield", origin.url, store=STORE | {"slice": 2 * SLICE}, name="shield") as shield,
        node(tmp_path / "edge", f"http://127.0.0.1:{shield.port}", store=STORE) as edge,
    ):
        got = await part(edge, 5 * SLICE + 7, 5 * SLICE + 9)
        assert (got.status, got.body) == (206, BODY[5 * SLICE + 7 : 5 * SLICE + 10])
        assert script.ranges == [asked(4, 5)]
        assert (await edge.get("/a")).body == BODY
        assert script.sent == len(BODY)
        assert edge.count("slices_total") == 21


async def test_a_run_that_nobody_can_find_any_more_is_not_counted(tmp_path: Path) -> None:
    """An evicted object goes on for those who read it; its bytes are no bytes of the cache."""
    async with upstream(serving()) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await part(edge, 0, 9)
        await runs(edge, "filled", 1)
        before = edge.count("store_disk_bytes")
        edge.files()[0].unlink()
        assert (await part(edge, 5 * SLICE, 5 * SLICE + 9)).body == BODY[5 * SLICE : 5 * SLICE + 10]
        await runs(edge, "filled", 2)
        assert edge.count("store_disk_bytes") == before
        assert "fwd=uri-miss" in (await part(edge, 5 * SLICE, 5 * SLICE + 9)).cache


@pytest.mark.parametrize(("value", "good"), [("64KiB", 1), ("64MiB", 1), (0, 1), (65_537, 0), ("128MiB", 0), (4096, 0)])
def test_the_size_of_slices_is_bounded(tmp_path: Path, value: int | str, good: bool) -> None:
    try:
        settings(tmp_path, "http://127.0.0.1:1", store={"slice": value})
    except ValueError as error:
        assert not good and "a slice is 64KiB to 64MiB" in str(error)
    else:
        assert good
