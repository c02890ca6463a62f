"""The keeper of a cache directory: within its bytes, purges that no fill undoes, restarts that know everything."""

import asyncio
import contextlib
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edge.admit.open import OpenTier
from kit.clock import Clock, ManualClock, SystemClock
from kit.metrics import Board
from proxy.host.worker import families
from proxy.store import disk
from proxy.store.evict import Evictor, Lru, Sieve
from proxy.store.keeper import Keeper
from proxy.store.purge import Purge, Purged
from proxy.store.volumes import LOW
from tests.support.nodes import Node, lone_keeper, node
from tests.support.upstream import Call, Upstream, head, says, upstream
from tests.support.wire import until

BIG = b"x" * 200_000
SMALL = b"small"
DAY = "max-age=86400"
SLOTS = 1_000


@contextlib.contextmanager
def keeping(
    directory: Path, board: Board, *, limit: int = 2**30, evictor: Evictor | None = None, clock: Clock | None = None
) -> Iterator[Keeper]:
    """A keeper, running and knowing all that is there."""
    disk.prepare(directory)
    keeper = lone_keeper(directory, limit, SLOTS, evictor or Sieve(SLOTS), board, clock or SystemClock())
    keeper.start()
    assert keeper.loaded.wait(10)
    try:
        yield keeper
    finally:
        keeper.close()


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board(families(OpenTier.reasons), 3)
    yield made
    made.close()


@contextlib.asynccontextmanager
async def kept(
    directory: Path,
    board: Board,
    body: bytes = SMALL,
    *,
    evictor: Evictor | None = None,
    limit: int = 2**30,
    **fields: str,
) -> AsyncIterator[tuple[Upstream, Node, Keeper, ManualClock]]:
    """An origin that says `body`, an edge before it, the edge's keeper, and their clock."""
    clock = ManualClock()
    visited = evictor.visited if isinstance(evictor, Sieve) else None
    async with upstream(says(body, **({"Cache_Control": DAY} | fields))) as origin:
        with keeping(directory, board, limit=limit, evictor=evictor, clock=clock) as keeper:
            more = {"visited": visited, "store": {"disk": limit}}
            async with node(directory, origin.url, board=board, clock=clock, **more) as edge:
                yield origin, edge, keeper, clock


async def _purge(keeper: Keeper, purge: Purge) -> Purged:
    async with asyncio.timeout(10):
        return await asyncio.wrap_future(keeper.purge(purge))


def _key(origin: Upstream, target: str) -> str:
    return origin.url.removeprefix("http://") + target


async def _fill(edge: Node, *targets: str) -> None:
    for target in targets:
        before = edge.count("fills_total", "filled")
        assert (await edge.get(target)).status == 200
        await edge.ended("filled", before + 1)


async def test_the_directory_stays_under_its_limit_and_sieve_spares_what_was_hit(tmp_path: Path, board: Board) -> None:
    """D-09: above 90 % down to 80 %."""
    limit = 12 * len(BIG)
    async with kept(tmp_path, board, BIG, evictor=Sieve(SLOTS), limit=limit) as (origin, edge, _, clock):
        await _fill(edge, "/0", "/1", "/2")
        await until(lambda: disk.read_slot(disk.path_of(tmp_path, _key(origin, "/0"))) > 0, "the keeper knows it")
        clock.advance(2)  # a worker asks for the slot at most once a second
        assert "; hit" in (await edge.get("/0")).cache
        assert "; hit" in (await edge.get("/0")).cache
        await _fill(edge, *(f"/{number}" for number in range(3, 11)))
        await until(lambda: edge.count("store_evictions_total") > 0, "something goes")
        await until(lambda: edge.count("store_disk_bytes") <= limit * LOW, "down to the low watermark")
        assert edge.count("store_disk_bytes") == sum(path.stat().st_blocks * 512 for path in edge.files())
        assert "; hit" in (await edge.get("/0")).cache
        assert not disk.path_of(tmp_path, _key(origin, "/1")).exists()


async def test_lru_lets_go_of_what_was_used_longest_ago(tmp_path: Path, board: Board) -> None:
    limit = 12 * len(BIG)
    async with kept(tmp_path, board, BIG, evictor=Lru(), limit=limit) as (origin, edge, _, clock):
        await _fill(edge, "/0", "/1", "/2")
        clock.advance(61)  # a use is told once a minute
        assert "; hit" in (await edge.get("/0")).cache
        await _fill(edge, *(f"/{number}" for number in range(3, 11)))
        await until(lambda: edge.count("store_evictions_total") > 0, "something goes")
        await until(lambda: edge.count("store_disk_bytes") <= limit * LOW, "down to the low watermark")
        assert "; hit" in (await edge.get("/0")).cache
        assert not disk.path_of(tmp_path, _key(origin, "/1")).exists()


async def test_orphans_go_and_a_living_writer_s_part_stays(tmp_path: Path, board: Board) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(BIG), Cache_Control=DAY) + BIG[:1000])
        await go.wait()
        await call.send(BIG[1000:])

    disk.prepare(tmp_path)
    orphan = tmp_path / "parts" / f"{'0' * 38}.1.1"
    stranger = tmp_path / "ab" / "readme.txt"
    stranger.parent.mkdir()
    stranger.write_text("somebody else's")
    async with upstream(script) as origin, node(tmp_path, origin.url, board=board) as edge:
        asked = asyncio.create_task(edge.get("/a"))
        await until(lambda: sum(disk.size_of(path) for path in edge.parts()) > len(BIG), "head and body have room")
        (living,) = edge.parts()
        orphan.write_bytes(b"left by a dead worker")
        with keeping(tmp_path, board):
            assert edge.parts() == [living]
            assert stranger.exists()
            assert edge.count("store_disk_bytes") == living.stat().st_blocks * 512
            go.set()
            assert (await asked).body == BIG
            await edge.ended("filled")


@pytest.mark.parametrize(
    ("by", "what", "hit"),
    [
        ("key", "/film/v1/a?x=1", {"/film/v1/a?x=1"}),
        ("prefix", "/film/", {"/film/v1/a?x=1", "/film/v1/b", "/film/v2/a"}),
        ("prefix", "/film/v1/", {"/film/v1/a?x=1", "/film/v1/b"}),
        ("tag", "title:film", {"/film/v1/a?x=1", "/film/v1/b", "/film/v2/a"}),
        ("tag", "title:fil", set()),
        ("prefix", "/nothing", set()),
    ],
)
@pytest.mark.parametrize("body", [SMALL, BIG], ids=["memory", "disk"])
async def test_a_hard_purge_hits_what_it_names_and_nothing_else(
    tmp_path: Path, board: Board, by: str, what: str, hit: set[str], body: bytes
) -> None:
    """RFC 9875 2, CDN-15: by URL, by prefix, by tag (Cache-Groups)."""

    async def script(call: Call) -> None:
        group = call.target.split("/")[1]
        await call.send(head(length=len(body), Cache_Control=DAY, Cache_Groups=f'"title:{group}", "all"') + body)

    targets = ["/film/v1/a?x=1", "/film/v1/b", "/film/v2/a", "/films/v1/a", "/other/v1/a"]
    async with upstream(script) as origin:
        with keeping(tmp_path, board) as keeper:
            async with node(tmp_path, origin.url, board=board) as edge:
                await _fill(edge, *targets)
                named = what if by == "tag" else _key(origin, what)
                purged = await _purge(keeper, Purge(by, named))  # type: ignore[arg-type]
                assert purged.objects == len(hit)
                for target in targets:
                    assert ("; hit" in (await edge.get(target)).cache) is (target not in hit), target


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
async def test_a_purge_of_a_url_takes_all_its_variants(tmp_path: Path, board: Board, soft: bool) -> None:
    """RFC 9111 4.1: what was negotiated is as old as the rest."""

    async def script(call: Call) -> None:
        await call.answer((call.field("Accept-Language") or "").encode(), Cache_Control=DAY, Vary="Accept-Language")

    async with upstream(script) as origin:
        with keeping(tmp_path, board) as keeper:
            async with node(tmp_path, origin.url, board=board) as edge:
                for language in ("en", "de"):
                    assert (await edge.get("/a", Accept_Language=language)).body == language.encode()
                await edge.ended("filled", 2)
                assert "; hit" in (await edge.get("/a", Accept_Language="de")).cache
                await _purge(keeper, Purge("key", _key(origin, "/a"), soft=soft))
                for language in ("en", "de"):
                    answer = await edge.get("/a", Accept_Language=language)
                    assert "fwd=" in answer.cache
                    assert answer.body == language.encode()


async def test_a_purge_reaches_every_worker_of_the_node(tmp_path: Path, board: Board) -> None:
    async with contextlib.AsyncExitStack() as stack:
        origin, one, keeper, clock = await stack.enter_async_context(kept(tmp_path, board, Surrogate_Key="red blue"))
        other = node(tmp_path, origin.url, board=board, number=1, clock=clock)
        two = await stack.enter_async_context(other)
        await _fill(one, "/a")
        assert "; hit" in (await two.get("/a")).cache
        assert (await _purge(keeper, Purge("tag", "blue"))).objects == 1
        assert "fwd=uri-miss" in (await two.get("/a")).cache
        await two.ended("filled", 2)
        assert "; hit" in (await one.get("/a")).cache
        assert len(origin.calls) == 2


async def test_an_origin_invalidates_groups_with_an_unsafe_answer(tmp_path: Path, board: Board) -> None:
    """RFC 9875 3: Cache-Group-Invalidation."""

    async def script(call: Call) -> None:
        if call.method == "POST":
            await call.answer(Cache_Group_Invalidation='"red"')
        else:
            group = "red" if call.target.startswith("/red") else "blue"
            await call.answer(SMALL, Cache_Control=DAY, Cache_Groups=f'"{group}"')

    async with upstream(script) as origin:
        with keeping(tmp_path, board):
            async with node(tmp_path, origin.url, board=board) as edge:
                await _fill(edge, "/red1", "/red2", "/blue")
                assert (await edge.get("/change", "POST", b"x")).status == 200
                await until(lambda: len(edge.files()) == 1, "the keeper removes the group")
                assert "fwd=uri-miss" in (await edge.get("/red1")).cache
                assert "; hit" in (await edge.get("/blue")).cache


@pytest.mark.parametrize("by", ["key", "prefix", "tag"])
@pytest.mark.parametrize("body", [SMALL, BIG], ids=["memory", "disk"])
async def test_a_fill_begun_before_a_purge_brings_nothing_back(
    tmp_path: Path, board: Board, by: str, body: bytes
) -> None:
    """The race that every CDN has lost once (anchors.md, fact 10)."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(body), Cache_Control=DAY, Cache_Groups='"t"') + body[:-1])
        await go.wait()
        await call.send(body[-1:])

    async with upstream(script) as origin:
        with keeping(tmp_path, board) as keeper:
            async with node(tmp_path, origin.url, board=board) as edge:
                asked = asyncio.create_task(edge.get("/a"))
                await origin.called(1)
                what = {"key": _key(origin, "/a"), "prefix": _key(origin, "/"), "tag": "t"}[by]
                assert (await _purge(keeper, Purge(by, what))).objects == 0  # type: ignore[arg-type]
                go.set()
                assert (await asked).body == body
                await edge.ended("not_kept")
                assert edge.files() == []
                assert "fwd=uri-miss" in (await edge.get("/a")).cache
                assert len(origin.calls) == 2


async def test_a_soft_purge_revalidates_and_serves_stale_meanwhile(tmp_path: Path, board: Board) -> None:
    """RFC 5861 3: the grace begins with the purge."""
    validating: list[str] = []

    async def script(call: Call) -> None:
        if call.field("If-None-Match"):
            validating.append(call.target)
            await call.send(head(304, ETag='"1"', Cache_Control=f"{DAY}, stale-while-revalidate=60"))
        else:
            control = f"{DAY}, stale-while-revalidate=60" if call.target == "/grace" else DAY
            await call.send(head(length=len(SMALL), ETag='"1"', Cache_Control=control) + SMALL)

    async with upstream(script) as origin:
        with keeping(tmp_path, board) as keeper:
            async with node(tmp_path, origin.url, board=board) as edge:
                await _fill(edge, "/grace", "/none")
                assert (await _purge(keeper, Purge("prefix", _key(origin, "/"), soft=True))).objects == 2
                stale = await edge.get("/grace")
                assert "; hit; ttl=" in stale.cache
                await edge.ended("revalidated")
                revalidated = await edge.get("/none")
                assert "fwd=stale; fwd-status=304" in revalidated.cache
                assert {stale.body, revalidated.body} == {SMALL}
                assert sorted(validating) == ["/grace", "/none"]
                assert "; hit" in (await edge.get("/none")).cache


class _Held(ThreadPoolExecutor):
    """Off-loop work waits while `hold` is cleared; how much was asked for."""

    def __init__(self) -> None:
        super().__init__(4)
        self.hold, self.asked = threading.Event(), 0
        self.hold.set()

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """See Executor."""
        self.asked += 1

        def when_told() -> Any:
            self.hold.wait(10)
            return work(*arguments, **named)

        return super().submit(when_told)


async def test_a_304_on_its_way_to_the_disk_does_not_undo_a_soft_purge(tmp_path: Path, board: Board) -> None:
    """What upstream said before the purge makes nothing fresh after it (RFC 5861 3, RFC 9111 4.3.4)."""
    go, off_loop = asyncio.Event(), _Held()
    asyncio.get_running_loop().set_default_executor(off_loop)

    async def fresh(call: Call) -> None:
        await go.wait()
        await call.send(head(304, ETag='"1"', Cache_Control="max-age=60"))

    async with kept(tmp_path, board, ETag='"1"', Cache_Control="max-age=60") as (origin, edge, keeper, clock):
        await _fill(edge, "/a")
        await _purge(keeper, Purge("tag", "nothing"))
        origin.script = fresh
        clock.advance(100)
        asked = asyncio.create_task(edge.get("/a"))
        await origin.called(2)
        before = off_loop.asked
        off_loop.hold.clear()
        go.set()
        await until(lambda: off_loop.asked > before, "the new metadata is about to be written")
        assert (await _purge(keeper, Purge("prefix", _key(origin, "/"), soft=True))).objects == 1
        off_loop.hold.set()
        assert (await asked).status == 200
        await edge.ended("revalidated")
        assert "fwd=stale" in (await edge.get("/a")).cache


async def test_a_304_that_names_other_groups_is_purged_by_them(tmp_path: Path, board: Board) -> None:
    """RFC 9875 2, RFC 9111 3.2: the fields of a 304 are those of the stored answer from then on."""
    async with kept(tmp_path, board, ETag='"1"', Cache_Groups='"old"', Cache_Control="max-age=60") as (
        origin, edge, keeper, clock,
    ):  # fmt: skip
        await _fill(edge, "/a")
        clock.advance(100)
        origin.script = says(status=304, ETag='"1"', Cache_Groups='"new"', Cache_Control="max-age=60")
        assert (await edge.get("/a")).body == SMALL
        await edge.ended("revalidated")
        assert (await _purge(keeper, Purge("tag", "old"))).objects == 0
        assert (await _purge(keeper, Purge("tag", "new"))).objects == 1
        assert edge.files() == []


@pytest.mark.parametrize("how", ["in order", "journal left", "no index", "torn index"])
async def test_a_new_life_knows_every_object_and_its_tags(tmp_path: Path, board: Board, how: str) -> None:
    says_so = says(SMALL, Cache_Control=DAY, Cache_Groups='"t"')
    async with upstream(says_so) as origin, node(tmp_path, origin.url, board=board) as edge:
        with keeping(tmp_path, board):
            await _fill(edge, "/a", "/b")
        if how == "journal left":
            await _fill(edge, "/c")
            with (tmp_path / "journal").open("ab") as file:
                file.write(b'["stored", "cut')
        elif how == "no index":
            shutil.rmtree(tmp_path / "index")
        elif how == "torn index":
            (tmp_path / "index" / "data.mdb").write_bytes(b"\0" * 5000)
        with keeping(tmp_path, board) as keeper:
            purged = await _purge(keeper, Purge("tag", "t"))
            assert purged.objects == (3 if how == "journal left" else 2)
        assert edge.files() == []


async def test_a_disk_that_refuses_does_not_end_the_keeper(tmp_path: Path, board: Board) -> None:
    async with kept(tmp_path, board, Surrogate_Key="t") as (_, edge, keeper, _clock):
        await _fill(edge, "/a")
        await _purge(keeper, Purge("tag", "nothing"))
        (tmp_path / "journal.taken").mkdir()
        with pytest.raises(OSError, match="directory"):
            await _purge(keeper, Purge("tag", "t"))
        assert keeper.alive
        assert edge.count("store_errors_total") >= 1
        (tmp_path / "journal.taken").rmdir()
        await _fill(edge, "/b")
        assert (await _purge(keeper, Purge("tag", "t"))).objects == 2
        assert edge.files() == []


async def test_a_purge_whose_asker_left_is_done_and_does_not_end_the_keeper(tmp_path: Path, board: Board) -> None:
    """Whoever asked may have run out of patience: the purge goes on, and so does the keeper."""
    async with kept(tmp_path, board, Surrogate_Key="t") as (_, edge, keeper, _clock):
        await _fill(edge, "/a")
        with disk.locked(tmp_path):
            assert keeper.purge(Purge("tag", "t")).cancel()
        await _purge(keeper, Purge("tag", "nothing"))
        assert keeper.alive
        assert edge.files() == []


async def test_a_new_life_after_evictions_that_reused_slots_goes_on(tmp_path: Path, board: Board) -> None:
    """More objects at once than slots, then a restart: the order of arrival is not that of the slots."""
    disk.prepare(tmp_path)
    async with (
        upstream(says(SMALL, Cache_Control=DAY, Surrogate_Key="t")) as origin,
        node(tmp_path, origin.url, board=board, visited=bytearray(4)) as edge,
    ):
        await _fill(edge, *(f"/{number}" for number in range(9)))
        for _ in range(2):
            keeper = lone_keeper(tmp_path, 2**30, 4, Sieve(4), board, SystemClock())
            keeper.start()
            assert keeper.loaded.wait(10)
            await _purge(keeper, Purge("tag", "nothing"))
            await until(lambda: len(edge.files()) <= 4, "no more objects than slots")
            await _fill(edge, "/x", "/y")
            await _purge(keeper, Purge("tag", "nothing"))
            assert keeper.alive
            keeper.close()
            for path in edge.files():
                assert disk.read_slot(path) > 0
            await _purge_all(edge, origin)


async def _purge_all(edge: Node, origin: Upstream) -> None:
    """Take /x and /y out, so that they are filled anew."""
    for target in ("/x", "/y"):
        await edge.get(target, "POST", b"")
