"""Who gets room on a full disk: second-hit admission, the pinned class; and whose the bytes are (issue 3 part 3)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from configs.schema.node import StoreSettings
from edge.admit.open import OpenTier
from kit.clock import ManualClock
from kit.metrics import Board
from proxy.host.worker import families, pinning
from proxy.store import disk
from proxy.store.accounts import Tenants
from proxy.store.admit import SecondHit, size_for
from proxy.store.evict import Sieve
from proxy.store.inspect import opened
from proxy.store.inventory import Policy
from proxy.store.volumes import HIGH, LOW
from tests.support.nodes import Node, lone_keeper, node
from tests.support.ranged import Ranged
from tests.support.upstream import Call, Upstream, head, upstream
from tests.support.wire import until

BIG = b"x" * 200_000
LIMIT = 20 * len(BIG)
DAY = "max-age=86400"
SLOTS = 1_000
SLICE = 2**16
TENANTS = ("/a/", "/b/")


@dataclass
class Kept:
    """An edge whose keeper acts on the default policy."""

    edge: Node
    origin: Upstream
    hold: asyncio.Event
    clock: ManualClock

    def stored(self, target: str) -> bool:
        """Whether its file lies there."""
        return disk.path_of(self.edge.directory, self.origin.url.removeprefix("http://") + target).exists()

    async def ask(self, target: str, ending: str = "filled") -> None:
        """Ask once, and see the fill end so."""
        before = self.edge.count("fills_total", ending)
        got = await self.edge.get(target)
        assert got.status == 200
        await self.edge.ended(ending, before + 1)

    async def fill_up(self) -> None:
        """Objects up to the high watermark, and one that is asked for twice beyond it: the keeper makes room."""
        for number in range(17):
            await self.ask(f"/fill/{number}")
        await self.ask("/fill/again", "not_kept")
        await self.ask("/fill/again")
        await until(lambda: self.edge.count("store_evictions_total") > 0, "room is made")
        await until(lambda: self.edge.count("store_disk_bytes") <= LIMIT * LOW, "down to the low watermark")


@contextlib.asynccontextmanager
async def kept(directory: Path, admission: str = "second-hit") -> AsyncIterator[Kept]:
    hold = asyncio.Event()
    hold.set()

    async def script(call: Call) -> None:
        small = call.target.endswith((".m3u8", "init.mp4", "/small"))
        body = BIG[:5_000] if small else BIG
        await call.send(head(length=len(body), Cache_Control=DAY, Surrogate_Key="t") + body[:-1])
        await hold.wait()
        await call.send(body[-1:])

    clock, board = ManualClock(), Board(families(OpenTier.reasons, 1, TENANTS), 3)
    asked = SecondHit(bytearray(size_for(SLOTS))) if admission == "second-hit" else None
    policy = Policy(pinning(StoreSettings(cache_dir=(directory,))), 0.05, Tenants(TENANTS), asked)
    sieve = Sieve(SLOTS)
    disk.prepare(directory)
    keeper = lone_keeper(directory, LIMIT, SLOTS, sieve, board, clock, policy)
    keeper.start()
    try:
        assert keeper.loaded.wait(10)
        store = {"disk": LIMIT, "memory_object": 0, "tenants": TENANTS, "slice": SLICE}
        more = {"visited": sieve.visited, "asked": asked, "store": store}
        async with upstream(script) as origin, node(directory, origin.url, board=board, clock=clock, **more) as edge:
            yield Kept(edge, origin, hold, clock)
    finally:
        keeper.close()


async def test_below_the_high_watermark_everything_is_stored(tmp_path: Path) -> None:
    """contracts.md: admission acts only when storing would evict."""
    async with kept(tmp_path) as each:
        for number in range(16):
            await each.ask(f"/{number}")
            assert each.stored(f"/{number}")
        assert each.edge.count("admission_total", "room") == 16


async def test_on_a_full_disk_the_second_request_is_what_stores(tmp_path: Path) -> None:
    """D-09. The first is answered all the same; between the watermarks, too."""
    async with kept(tmp_path) as each:
        await each.fill_up()
        await each.ask("/new", "not_kept")
        assert not each.stored("/new")
        assert not each.edge.parts()
        await each.ask("/new")
        assert each.stored("/new")
        await each.ask("/other", "not_kept")
        assert each.edge.count("admission_total", "refused") == 3
        assert each.edge.count("admission_total", "again") == 2
        lying = sum(disk.size_of(path) for path in each.edge.files())
        assert each.edge.count("store_disk_bytes") == lying


async def test_what_two_wait_for_at_once_is_stored(tmp_path: Path) -> None:
    async with kept(tmp_path) as each:
        await each.fill_up()
        before = each.edge.count("fills_total", "filled")
        each.hold.clear()
        one = asyncio.create_task(each.edge.get("/new"))
        await until(lambda: each.edge.parts(), "the fill is under way")
        two = asyncio.create_task(each.edge.get("/new"))
        await until(lambda: each.edge.count("collapsed_total") == 1, "a follower")
        each.hold.set()
        assert {(await one).body, (await two).body} == {BIG}
        await each.edge.ended("filled", before + 1)
        assert each.stored("/new")


async def test_slices_are_kept_from_the_second_request_on(tmp_path: Path) -> None:
    async with kept(tmp_path) as each:
        await each.fill_up()
        each.origin.script = script = Ranged(BIG, {"ETag": '"1"', "Cache_Control": DAY})
        for stored in (False, True):
            got = await each.edge.get("/seek", Range="bytes=70000-70009")
            assert (got.status, got.body) == (206, BIG[:10])
            assert each.stored("/seek") is stored
        assert script.ranges[-1] == f"bytes={SLICE}-{2 * SLICE - 1}"


async def test_small_and_pinned_ones_are_stored_at_once(tmp_path: Path) -> None:
    async with kept(tmp_path) as each:
        await each.fill_up()
        for target in ("/small", "/film/master.m3u8"):
            await each.ask(target)
            assert each.stored(target)
        assert each.edge.count("admission_total", "exempt") == 2


async def test_pinned_ones_outlive_what_came_after_them_and_are_purged_as_any_other(tmp_path: Path) -> None:
    async with kept(tmp_path, "all") as each:
        pinned = ("/film/master.m3u8", "/film/v1080/init.mp4")
        for target in (*pinned, "/small"):
            await each.ask(target)
        for number in range(50):
            await each.ask(f"/{number}")
            await until(lambda: each.edge.count("store_disk_bytes") <= LIMIT * HIGH, "the keeper made room")
        assert each.edge.count("store_evictions_total") >= 30
        assert not each.stored("/small")
        assert all(each.stored(target) for target in pinned)
        for target in pinned:
            assert (await each.edge.get(target, "POST", b"")).status == 200
        assert not any(each.stored(target) for target in pinned)


async def test_bytes_and_objects_by_tenant_and_tag(tmp_path: Path) -> None:
    async with kept(tmp_path) as each:
        for target in ("/a/1", "/a/2", "/b/1", "/c/1"):
            await each.ask(target)

        def counts() -> list[int]:
            return [each.edge.count("store_tenant_objects", tenant) for tenant in (*TENANTS, "other")]

        await until(lambda: not (tmp_path / "journal").exists(), "the keeper reads")
        each.clock.advance(2)
        await until(lambda: counts() == [2, 1, 1], "the keeper sums up")
        lying = sum(disk.size_of(path) for path in each.edge.files())
        assert each.edge.count("store_tenant_bytes", "/b/") == lying // 4
        await each.edge.get("/a/1", "POST", b"")
        await until(lambda: not (tmp_path / "journal").exists(), "the keeper reads")
    with contextlib.closing(opened(tmp_path)) as index:
        assert {(row.name, row.objects) for row in index.accounts("tag")} == {("t", 3)}
        authority = each.origin.url.removeprefix("http://")
        assert {(row.name, row.objects) for row in index.accounts("tenant")} == {("/a/", 1), ("/b/", 1), (authority, 1)}
        assert index.account("all").objects == len(list(index.rows())) == 3


@pytest.mark.parametrize("tenants", [(), ("/x/",), ("/a/", "/a/b/")])
async def test_accounts_are_summed_up_anew_when_tenants_change(tmp_path: Path, tenants: tuple[str, ...]) -> None:
    async with kept(tmp_path) as each:
        for target in ("/a/1", "/a/b/1", "/c/1"):
            await each.ask(target)
        authority = each.origin.url.removeprefix("http://")
    board = Board(families(OpenTier.reasons, 1, tenants), 3)
    keeper = lone_keeper(tmp_path, LIMIT, SLOTS, Sieve(SLOTS), board, ManualClock(), Policy(tenants=Tenants(tenants)))
    keeper.start()
    assert keeper.loaded.wait(10)
    keeper.close()
    with contextlib.closing(opened(tmp_path)) as index:
        found = {row.name: row.objects for row in index.accounts("tenant")}
    wanted = {"/a/": 1, "/a/b/": 1, authority: 1} if "/a/" in tenants else {authority: 3}
    assert found == wanted
