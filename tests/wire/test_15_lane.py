"""The fast lane on the wire: order, patience, endings (issue 4, parts 1 and 2). What it says: the next file."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.clock import ManualClock
from proxy.host.worker import drain
from proxy.store.descriptors import Lease
from tests.support.nodes import Node, node
from tests.support.sizes import HUGE, bodies, fill, narrow
from tests.support.upstream import upstream
from tests.support.wire import CutOff, until, viewer

GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def warm(tmp_path: Path, **changes: object) -> AsyncIterator[Node]:
    """An edge that has /huge in a file, /small and /other in memory; its buffers hold little."""
    async with upstream(bodies) as origin, node(tmp_path, origin.url, send_buffer=65_536, **changes) as edge:  # type: ignore[arg-type]
        await fill(edge, edge.get)
        yield edge


def descriptors() -> int:
    """Open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


async def fast(edge: Node, count: int) -> None:
    """Wait until the lane has accounted for `count` answers."""
    await until(lambda: edge.count("lane_total", "fast") == count, f"{count} fast answers")


async def test_hits_are_the_lanes_and_the_rest_is_aiohttps(tmp_path: Path) -> None:
    async with warm(tmp_path) as edge, viewer(edge.port) as each:
        assert edge.count("lane_total", "aiohttp") == 3
        for target, body in ((b"/small", b"small"), (b"/never", b"no-store"), (b"/huge", HUGE), (b"/other", b"other")):
            await each.send(GET % target)
            assert (await each.answer()).body == body
        await fast(edge, 3)
        assert edge.count("lane_total", "aiohttp") == 4
        assert edge.count("responses_total", "hit") == 3


async def test_without_the_lane_all_is_aiohttps(tmp_path: Path) -> None:
    async with warm(tmp_path, fast_lane=False) as edge:
        assert (await edge.get("/small")).body == b"small"
        await until(lambda: edge.count("lane_total", "aiohttp") == 4)
        assert edge.count("lane_total", "fast") == 0


async def test_pipelined_answers_of_both_lanes_come_in_order(tmp_path: Path) -> None:
    """RFC 9112 9.3.2: memory, file and misses mixed, and more than one turn's worth."""
    targets = ["/small", "/huge", "/never", "/other", "/never", "/small", "/huge", *["/small", "/other"] * 40, "/never"]
    bodies = {"/small": b"small", "/huge": HUGE, "/other": b"other", "/never": b"no-store"}
    async with warm(tmp_path) as edge, viewer(edge.port) as each:
        await each.send(b"".join(GET % target.encode() for target in targets))
        for target in targets:
            assert (await each.answer()).body == bodies[target], target


async def test_bytes_that_come_in_the_middle_of_a_file_wait(tmp_path: Path) -> None:
    async with warm(tmp_path) as edge, viewer(edge.port) as each:
        await each.send(GET % b"/huge")
        await each.head()
        start = await each.read(1000)
        second = GET % b"/small"
        for at in range(0, len(second), 7):
            await each.send(second[at : at + 7])
        assert start + await each.read(len(HUGE) - 1000) == HUGE
        assert (await each.answer()).body == b"small"


async def test_a_flood_behind_a_file_is_not_read(tmp_path: Path) -> None:
    """What a viewer sends before its turn is bounded; the rest stays in its own buffers."""
    async with warm(tmp_path) as edge:
        with await narrow(edge) as each:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(each, GET % b"/huge")
            sent, piece = 0, (GET % b"/small") * 1000
            with contextlib.suppress(TimeoutError):
                while sent < 64 * 2**20:
                    async with asyncio.timeout(0.2):
                        await loop.sock_sendall(each, piece)
                    sent += len(piece)
            assert sent < 16 * 2**20
            assert (await edge.get("/small")).body == b"small"


async def test_a_slow_reader_costs_others_nothing_and_is_let_go(tmp_path: Path) -> None:
    async with warm(tmp_path, limits={"send_timeout_s": 0.4}, access_log=str(tmp_path / "log")) as edge:
        before = descriptors()
        slow = [await narrow(edge) for _ in range(8)]
        for each in slow:
            await asyncio.get_running_loop().sock_sendall(each, GET % b"/huge")
        for _ in range(20):
            assert (await edge.get("/small")).body == b"small"
        await until(lambda: edge.count("connections") == 0, "the slow ones were let go")
        for each in slow:
            each.close()
        assert edge.count("lane_total", "fast") == 28
        await until(lambda: descriptors() <= before, "no descriptor left")
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if '"reason":"viewer' in line]
    assert len(lines) == 8


async def test_a_slow_reader_that_reads_gets_all(tmp_path: Path) -> None:
    """A timeout is from byte to byte, not for the whole."""
    async with warm(tmp_path, limits={"send_timeout_s": 0.5}) as edge:
        loop = asyncio.get_running_loop()
        with await narrow(edge) as each:
            await loop.sock_sendall(
                each, GET % b"/huge" + b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            got = b""
            while piece := await loop.sock_recv(each, 16_384):
                got += piece
                if len(got) % 2**20 < 16_384:
                    await edge.get("/small")
        _, _, rest = got.partition(b"\r\n\r\n")
        assert rest[: len(HUGE)] == HUGE
        assert rest.endswith(b"small")


async def test_a_viewer_that_leaves_in_the_middle_frees_everything(tmp_path: Path) -> None:
    async with warm(tmp_path, access_log=str(tmp_path / "log")) as edge:
        before = descriptors()
        for _ in range(5):
            async with viewer(edge.port) as each:
                await each.send(GET % b"/huge")
                await each.read(100_000)
                each.leave()
        await until(lambda: edge.count("connections") == 0)
        await until(lambda: descriptors() <= before, "no descriptor left")
        assert (await edge.get("/huge")).body == HUGE
    lines = (tmp_path / "log").read_text().splitlines()
    assert sum('"reason":"viewer left"' in line for line in lines) == 5


async def test_a_viewer_that_says_no_more_gets_its_whole_answer(tmp_path: Path) -> None:
    async with warm(tmp_path) as edge, viewer(edge.port) as each:
        await each.send(GET % b"/huge")
        await each.head()
        each.writer.write_eof()
        assert await each.rest() == HUGE


async def test_a_drain_closes_idle_connections_and_finishes_a_file_under_way(tmp_path: Path) -> None:
    async with warm(tmp_path) as edge, viewer(edge.port) as idle, viewer(edge.port) as busy:
        await idle.send(GET % b"/small")
        assert (await idle.answer()).body == b"small"
        await busy.send(GET % b"/huge")
        await busy.head()
        draining = asyncio.create_task(drain(edge.server, 5.0))
        assert await idle.rest() == b""
        assert not draining.done()
        assert await busy.rest() == HUGE
        await draining


async def test_who_has_just_connected_is_answered_during_a_drain(tmp_path: Path) -> None:
    """Issue 4, part 3: nobody is refused while workers are replaced."""
    async with warm(tmp_path) as edge, viewer(edge.port) as fresh:
        await until(lambda: edge.count("connections") == 1)
        draining = asyncio.create_task(drain(edge.server, 60.0, just_come_s=60.0))
        await asyncio.sleep(0)
        await fresh.send(GET % b"/small")
        assert (await fresh.answer()).body == b"small"
        fresh.leave()
        await draining


async def test_an_idle_connection_that_only_the_lane_served_is_closed_and_a_busy_one_is_not(tmp_path: Path) -> None:
    """aiohttp's own timer saw no request on either."""
    async with (
        warm(tmp_path, limits={"idle_timeout_s": 0.3}) as edge,
        viewer(edge.port) as idle,
        viewer(edge.port) as busy,
    ):
        await idle.send(GET % b"/small")
        await idle.answer()
        end = asyncio.create_task(idle.rest())
        while not end.done():
            await busy.send(GET % b"/small")
            await busy.answer()
        await busy.send(GET % b"/huge")
        assert (await busy.answer()).body == HUGE
        assert await end == b""


async def test_connections_of_one_client_are_bounded(tmp_path: Path) -> None:
    async with (
        warm(tmp_path, limits={"connections_per_client": 2}) as edge,
        viewer(edge.port) as one,
        viewer(edge.port) as two,
    ):
        await until(lambda: edge.count("connections") == 2)
        async with viewer(edge.port) as three:
            assert await three.rest() == b""
        async with viewer(edge.port, local_addr=("127.0.0.9", 0)) as other:
            await other.send(GET % b"/small")
            assert (await other.answer()).body == b"small"
        for each in (one, two):
            await each.send(GET % b"/small")
            assert (await each.answer()).body == b"small"


async def test_a_cold_file_is_read_off_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for pages that are not in memory waits; the loop does not."""
    threads: list[str] = []
    read = os.preadv

    def seen(fd: int, buffers: object, offset: int, flags: int = 0) -> int:
        if flags & os.RWF_NOWAIT:
            raise BlockingIOError  # as for a page on the disk
        threads.append(asyncio.current_task.__name__ if _in_loop() else "thread")
        return read(fd, buffers, offset, flags)  # type: ignore[arg-type]

    async with warm(tmp_path) as edge:
        monkeypatch.setattr(os, "preadv", seen)
        assert (await edge.get("/huge", Range="bytes=5-")).body == HUGE[5:]
    assert set(threads) == {"thread"}
    assert len(threads) >= len(HUGE) // 2**20


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def test_a_file_cut_short_under_us_cuts_the_viewer_and_is_fetched_again(tmp_path: Path) -> None:
    async with warm(tmp_path) as edge:
        (file,) = [path for path in edge.files() if path.stat().st_size > len(HUGE)]
        os.truncate(file, 2**20)
        with pytest.raises(CutOff):
            await edge.get("/huge")
        assert edge.count("store_errors_total") == 1
        assert (await edge.get("/huge")).body == HUGE
        assert edge.count("upstream_requests_total") == 4


async def test_the_lane_serves_nothing_stale_and_nothing_invalidated(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 9111 4.2, 4.4: what another lane did is seen by the next request on the same connection."""
    async with warm(tmp_path, clock=clock) as edge, viewer(edge.port) as each:
        await each.send(GET % b"/small")
        assert (await each.answer()).field("Age") == "0"
        clock.advance(86_399)
        await each.send(GET % b"/small")
        assert (await each.answer()).cache == "edge; hit; ttl=1"
        clock.advance(1)
        await each.send(GET % b"/small")
        assert "fwd=stale" in (await each.answer()).cache
        await each.send(b"DELETE /other HTTP/1.1\r\nHost: x\r\n\r\n" + GET % b"/other")
        await each.answer()
        assert "fwd=uri-miss" in (await each.answer()).cache


async def test_a_connection_that_carried_a_body_stays_aiohttps(tmp_path: Path) -> None:
    async with warm(tmp_path) as edge, viewer(edge.port) as each:
        await each.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + GET % b"/small")
        assert (await each.answer()).body == b"no-store"
        assert (await each.answer()).body == b"small"
        assert edge.count("lane_total", "fast") == 0


def test_a_lease_outlives_its_place_in_the_cache(tmp_path: Path) -> None:
    """A sendfile under way holds the lease, so an eviction cannot hand its number to another file."""
    (tmp_path / "f").write_bytes(b"x")
    lease = Lease(os.open(tmp_path / "f", os.O_RDONLY))
    number = lease.fd
    held = lease
    del lease
    assert os.fstat(number).st_size == 1
    del held
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
