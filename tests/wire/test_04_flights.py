"""One fill for all who wait, and every way in which an upstream can fail it (CDN-23; style.md, habit 10)."""

import asyncio
import contextlib
import gc
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kit.clock import ManualClock
from proxy.store import disk
from proxy.upstream.client import Response
from tests.support.nodes import Node, node
from tests.support.upstream import Call, Upstream, head, in_turn, says, upstream
from tests.support.wire import CutOff, until, viewer

DAY = "public, max-age=86400"
BIG = os.urandom(300_000)
SMALL = b"small" * 100
KINDS = pytest.mark.parametrize("body", [SMALL, BIG], ids=["memory", "disk"])


@KINDS
async def test_fifty_viewers_of_a_cold_object_are_one_request_and_stream(tmp_path: Path, body: bytes) -> None:
    """The first byte reaches every viewer before the upstream has sent its last."""
    seen, all_have_begun = 0, asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(body), Cache_Control=DAY) + body[:-10])
        await all_have_begun.wait()
        await call.send(body[-10:])

    async def watch(edge: Node) -> bytes:
        nonlocal seen
        async with viewer(edge.port) as each:
            await each.ask("/a")
            assert (await each.head()).status == 200
            first = await each.read(1)
            seen += 1
            if seen == 50:
                all_have_begun.set()
            return first + await each.read(len(body) - 1)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        for got in await asyncio.gather(*(watch(edge) for _ in range(50))):
            assert got == body
        assert len(origin.calls) == 1
        await edge.ended("filled")
        assert edge.count("collapsed_total") == 49


async def test_a_lookup_that_ends_after_the_fill_finds_what_it_published(tmp_path: Path) -> None:
    """Requests that come at every moment of a fill's end: none asks upstream again."""
    async with upstream(says(BIG, Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        for number in range(30):
            await asyncio.gather(*(edge.get(f"/{number}") for _ in range(4)))
        assert len(origin.calls) == 30


async def test_ranges_of_a_growing_object(tmp_path: Path) -> None:
    """RFC 9110 14 on what is not whole yet: a part that is there is served before the rest has come."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(BIG), Cache_Control=DAY, ETag='"v"') + BIG[:100_000])
        await go.wait()
        await call.send(BIG[100_000:])

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        leader = asyncio.create_task(edge.get("/a"))
        await origin.called(1)
        first = await edge.get("/a", Range="bytes=0-99")
        middle = await edge.get("/a", Range="bytes=5000-5999", If_Range='"v"')
        assert (first.status, first.body, middle.body) == (206, BIG[:100], BIG[5000:6000])
        assert (await edge.get("/a", Range="bytes=300000-")).status == 416
        assert (await edge.get("/a", If_None_Match='"v"')).status == 304
        late = asyncio.create_task(edge.get("/a", Range="bytes=-10"))
        go.set()
        assert ((await late).body, (await leader).body) == (BIG[-10:], BIG)
        assert [call.method for call in origin.calls if call.method == "GET"] == ["GET"]


async def test_an_answer_of_unknown_length_is_shared_and_kept(tmp_path: Path) -> None:
    """Chunked (RFC 9112 7.1): whole when the last chunk came; a later reader knows its length."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(Transfer_Encoding="chunked", Cache_Control=DAY) + b"5\r\nhello\r\n")
        await go.wait()
        await call.send(b"6\r\n world\r\n0\r\n\r\n")

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        both = [asyncio.create_task(edge.get("/a")) for _ in range(2)]
        await origin.called(1)
        go.set()
        assert [got.body for got in await asyncio.gather(*both)] == [b"hello world"] * 2
        await edge.ended("filled")
        got = await edge.get("/a", Range="bytes=0-4")
        assert (got.status, got.body, got.field("Content-Range")) == (206, b"hello", "bytes 0-4/11")
        assert len(origin.calls) == 1


async def _before_head(call: Call) -> None:
    call.die()


async def _no_answer_but_end(call: Call) -> None:
    call.end()


async def _mid_head(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    call.end()


async def _garbage_head(call: Call) -> None:
    await call.send(b"what is this\r\n\r\n")
    call.end()


async def _two_lengths(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde")
    call.end()


async def _endless_head(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n")
    call.end()


@pytest.mark.parametrize(
    "death", [_before_head, _no_answer_but_end, _mid_head, _garbage_head, _two_lengths, _endless_head]
)
async def test_an_upstream_that_dies_before_its_head_is_a_502_and_nothing_else(
    tmp_path: Path, death: Callable[[Call], Awaitable[None]]
) -> None:
    async with upstream(death) as origin, node(tmp_path, origin.url) as edge:
        got = await edge.get("/a")
        assert (got.status, got.body, got.field("Retry-After")) == (502, b'{"error":"upstream_failed"}\n', "1")
        await _then_all_is_well(origin, edge)


def _cut_after(sent: bytes, announced: int) -> Callable[[Call], Awaitable[None]]:
    async def script(call: Call) -> None:
        await call.send(head(length=announced, Cache_Control=DAY) + sent)
        call.end()

    return script


async def _reset_mid_body(call: Call) -> None:
    await call.send(head(length=300_000, Cache_Control=DAY) + BIG[:1000])
    call.die()


async def _chunked_cut(call: Call) -> None:
    await call.send(head(Transfer_Encoding="chunked", Cache_Control=DAY) + b"5\r\nhello\r\n")
    call.end()


async def _wrong_digest(call: Call) -> None:
    stated = "sha-256=:" + "A" * 43 + "=:"
    await call.answer(BIG, Cache_Control=DAY, Repr_Digest=stated)


@pytest.mark.parametrize(
    "death",
    [
        _cut_after(BIG[:-1], len(BIG)),
        _cut_after(SMALL[:-1], len(SMALL)),
        _cut_after(b"", len(SMALL)),
        _reset_mid_body,
        _chunked_cut,
        _wrong_digest,
    ],
    ids=["one-short-disk", "one-short-memory", "no-byte", "reset", "chunked-cut", "wrong-digest"],
)
async def test_an_upstream_that_dies_in_its_body_cuts_the_viewer_and_is_never_stored(
    tmp_path: Path, death: Callable[[Call], Awaitable[None]]
) -> None:
    async with upstream(death) as origin, node(tmp_path, origin.url) as edge:
        with pytest.raises(CutOff):
            await edge.get("/a")
        await edge.ended("cut")
        await _then_all_is_well(origin, edge)


@pytest.mark.parametrize("garbage", [b"zz\r\nworld\r\n0\r\n\r\n", b"5\r\nworldXX0\r\n\r\n", b"-1\r\n"])
async def test_a_chunked_body_that_turns_to_garbage_is_cut(tmp_path: Path, garbage: bytes) -> None:
    """RFC 9112 7.1; at once, not when a timeout ends the wait."""
    begun = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(Transfer_Encoding="chunked", Cache_Control=DAY) + b"5\r\nhello\r\n")
        await begun.wait()
        await call.send(garbage)
        await call.reader.read()
        call.over = True

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        async with viewer(edge.port) as each:
            await each.ask("/a")
            await each.head()
            assert await each.read(10) == b"5\r\nhello\r\n"
            begun.set()
            assert not (await each.rest()).endswith(b"0\r\n\r\n")
        await edge.ended("cut")
        await _then_all_is_well(origin, edge)


async def test_an_http_1_0_viewer_of_a_cut_answer_sees_a_reset_not_an_end(tmp_path: Path) -> None:
    """Its body ends with the connection (RFC 9112 6.3): a clean end would pass a part for the whole."""
    begun = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(Transfer_Encoding="chunked", Cache_Control=DAY) + b"5\r\nhello\r\n")
        await begun.wait()
        call.die()

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        await each.send(b"GET /a HTTP/1.0\r\n\r\n")
        await each.head()
        assert await each.read(5) == b"hello"
        begun.set()
        with pytest.raises(CutOff):
            await each.rest()


async def _then_all_is_well(origin: Upstream, edge: Node) -> None:
    """Nothing of a failed fill is left: no file, no part, no descriptor; the next request fetches anew."""
    await until(lambda: not edge.parts() and not _open_parts(), "parts removed and closed")
    assert not edge.files()
    asked = len(origin.calls)
    origin.script = says(b"recovered", Cache_Control=DAY)
    assert (await edge.get("/a")).body == b"recovered"
    assert len(origin.calls) == asked + 1
    await edge.ended("filled")
    assert edge.count("store_disk_bytes") == sum(disk.size_of(path) for path in edge.files())


def _open_parts() -> list[str]:
    links = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{number}"))
    return [link for link in links if "/parts/" in link]


async def test_followers_of_a_failed_fill_get_the_failure_and_do_not_storm(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await go.wait()
        call.die()

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        asked = [asyncio.create_task(edge.get("/a")) for _ in range(10)]
        await origin.called(1)
        await until(lambda: edge.count("waiting") == 9)
        go.set()
        assert {got.status for got in await asyncio.gather(*asked)} == {502}
        assert len(origin.calls) <= 2  # the client repeats an idempotent request once (RFC 9110 9.2.2)


async def test_a_body_without_length_is_passed_on_and_never_kept(tmp_path: Path) -> None:
    """RFC 9112 6.3: its end cannot be told from a lost connection."""

    async def script(call: Call) -> None:
        await call.send(head(Cache_Control=DAY, Connection="close") + b"until the end")
        call.end()

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        for _ in range(2):
            assert (await edge.get("/a")).body == b"until the end"
        assert len(origin.calls) == 2
        assert not edge.files()


async def test_an_interim_answer_is_not_the_answer(tmp_path: Path) -> None:
    """RFC 9110 15.2."""

    async def script(call: Call) -> None:
        await call.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        await call.answer(b"final", Cache_Control=DAY)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        assert (await edge.get("/a")).body == b"final"


async def test_an_upstream_that_says_nothing_is_a_504(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await asyncio.Event().wait()

    async with upstream(script) as origin, node(tmp_path, origin.url, upstream={"head_timeout_s": 0.2}) as edge:
        assert (await edge.get("/a")).status == 504


async def test_an_upstream_that_falls_silent_in_its_body_cuts_the_viewer(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(head(length=1000, Cache_Control=DAY) + b"x" * 10)
        await asyncio.Event().wait()

    async with upstream(script) as origin, node(tmp_path, origin.url, upstream={"read_timeout_s": 0.2}) as edge:
        with pytest.raises(CutOff):
            await edge.get("/a")
        await edge.ended("cut")


async def test_an_upstream_that_cannot_be_reached_is_a_502(tmp_path: Path) -> None:
    async with node(tmp_path, "http://127.0.0.1:1") as edge:
        assert (await edge.get("/a")).status == 502


@pytest.mark.parametrize("status", [500, 502, 503, 599, 600, 999])
async def test_an_error_of_the_origin_is_passed_on_and_not_kept(tmp_path: Path, status: int) -> None:
    script = in_turn(says(b"sick", status), says(b"well", Cache_Control=DAY))
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        got = await edge.get("/a")
        assert (got.status, got.body) == (status, b"sick")
        assert (await edge.get("/a")).body == b"well"


async def test_a_slow_drip_reaches_viewers_as_it_comes(tmp_path: Path) -> None:
    turn = asyncio.Semaphore(0)

    async def script(call: Call) -> None:
        await call.send(head(length=20, Cache_Control=DAY))
        for at in range(20):
            await call.send(bytes([65 + at]))
            await turn.acquire()

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        await each.ask("/a")
        await each.head()
        got = b""
        for at in range(19):
            got += await each.read(1)
            assert got[-1] == 65 + at
            turn.release()
        turn.release()
        got += await each.read(1)
        assert got == bytes(range(65, 85))


@pytest.mark.parametrize("leaves", [0, 1], ids=["leader", "follower"])
@pytest.mark.parametrize("when", ["before-head", "mid-body"])
@KINDS
async def test_a_viewer_that_leaves_takes_nothing_from_the_others(
    tmp_path: Path, body: bytes, when: str, leaves: int
) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        if when == "before-head":
            await go.wait()
        await call.send(head(length=len(body), Cache_Control=DAY) + body[:100])
        await go.wait()
        await call.send(body[100:])

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        async with viewer(edge.port) as one, viewer(edge.port) as two:
            await one.ask("/a")
            await origin.called(1)
            await two.ask("/a")
            if when == "mid-body":
                for each in (one, two):
                    await each.head()
                    await each.read(10)
            leaver, stayer = (one, two) if leaves == 0 else (two, one)
            leaver.leave()
            await until(lambda: edge.count("connections") == 1)
            go.set()
            rest = len(body) - 10 if when == "mid-body" else None
            got = await stayer.read(rest) if rest is not None else (await stayer.answer()).body
            assert got == (body[10:] if rest is not None else body)
        await edge.ended("filled")
        assert (await edge.get("/a")).body == body
        assert len(origin.calls) == 1


@KINDS
async def test_a_fill_completes_though_its_only_viewer_left(tmp_path: Path, body: bytes) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(body), Cache_Control=DAY) + body[:100])
        await go.wait()
        await call.send(body[100:])

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        async with viewer(edge.port) as one:
            await one.ask("/a")
            await one.head()
            one.leave()
        await until(lambda: edge.count("connections") == 0)
        go.set()
        await edge.ended("filled")
        assert "; hit" in (await edge.get("/a")).cache


async def test_an_answer_for_a_viewer_that_left_gives_its_connection_back(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await go.wait()
        await call.send(head(length=2**20, Cache_Control="no-store") + b"x" * 1000)
        assert await call.reader.read() == b"", "the edge hangs up on what nobody wants"
        call.over = True

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        async with viewer(edge.port) as one:
            await one.ask("/a")
            await origin.called(1)
            one.leave()
        await until(lambda: edge.count("connections") == 0)
        go.set()
        await until(lambda: origin.open == 0, "upstream connection closed")


async def test_a_follower_that_waited_too_long_asks_by_itself(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def slow(call: Call) -> None:
        await go.wait()
        await call.answer(b"slow", Cache_Control=DAY)

    script = in_turn(slow, says(b"alone", Cache_Control=DAY))
    async with upstream(script) as origin, node(tmp_path, origin.url, upstream={"follow_timeout_s": 0.1}) as edge:
        leader = asyncio.create_task(edge.get("/a"))
        await origin.called(1)
        assert (await edge.get("/a")).body == b"alone"
        assert edge.count("follow_timeouts_total") == 1
        go.set()
        assert (await leader).body == b"slow"


async def test_a_fill_under_way_when_the_process_goes_leaves_nothing(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(head(length=len(BIG), Cache_Control=DAY) + BIG[:100_000])
        await asyncio.Event().wait()

    async with upstream(script) as origin:
        async with node(tmp_path, origin.url) as edge, viewer(edge.port) as one:
            await one.ask("/a")
            await one.head()
        assert not edge.parts()
        assert not edge.files()


async def test_an_endless_answer_ends_at_the_disks_bound_and_is_passed_on_next_time(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(head(Transfer_Encoding="chunked", Cache_Control=DAY))
        for _ in range(40):
            await call.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await call.send(b"0\r\n\r\n")

    clock = ManualClock()
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock, store={"disk": 2**20}) as edge:
        with pytest.raises(CutOff):
            await edge.get("/a")
        await edge.ended("cut")
        assert (edge.parts(), edge.count("store_disk_bytes")) == ([], 0)
        assert len((await edge.get("/a")).body) == 40 * 0x10000


async def test_answers_on_one_upstream_connection_leave_nothing_behind(tmp_path: Path) -> None:
    """A connection lives long: what each answer hangs on it must go with the answer."""
    head_came = asyncio.Semaphore(0)

    async def script(call: Call) -> None:
        await call.send(head(length=len(SMALL), Cache_Control=DAY))
        await head_came.acquire()
        await call.send(SMALL)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        for number in range(30):
            await each.ask(f"/{number}")
            await each.head()
            head_came.release()
            assert await each.read(len(SMALL)) == SMALL
            await edge.ended("filled", number + 1)
        gc.collect()
        assert sum(isinstance(thing, Response) for thing in gc.get_objects()) < 5
        assert origin.open == 1
