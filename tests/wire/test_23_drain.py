"""Draining (issue 4, parts 2 and 3): answers say that their connection ends, and what was asked is answered whole."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.host.worker import drain
from tests.support.certificates import Authority, Files
from tests.support.nodes import Node, node
from tests.support.secure import speaks
from tests.support.secure import warm as encrypted
from tests.support.upstream import Call, head, says, upstream
from tests.support.wire import Answer, Viewer, until, viewer

DAY = "public, max-age=86400"
HUGE = bytes(range(256)) * 2**15
GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
LANES = pytest.mark.parametrize("fast_lane", [True, False], ids=["lane", "aiohttp"])


async def _bodies(call: Call) -> None:
    body = HUGE if call.target == "/huge" else b"no-store" if call.target == "/never" else b"small"
    await call.answer(body, Cache_Control="no-store" if body == b"no-store" else DAY, ETag='"1"')


@contextlib.asynccontextmanager
async def warm(tmp_path: Path, **changes: object) -> AsyncIterator[Node]:
    """An edge that has /huge in a file and /small in memory; its buffers hold little."""
    async with upstream(_bodies) as origin, node(tmp_path, origin.url, send_buffer=65_536, **changes) as edge:  # type: ignore[arg-type]
        for number, target in enumerate(("/huge", "/small"), 1):
            await edge.get(target)
            await edge.ended("filled", number)
        yield edge


@contextlib.asynccontextmanager
async def draining(edge: Node) -> AsyncIterator["asyncio.Task[None]"]:
    """The edge drains; who has just come, or is idle, may still ask for as long as the test takes."""
    task = asyncio.create_task(drain(edge.server, 60.0, just_come_s=60.0))
    await until(lambda: edge.server.draining)
    yield task
    await task


async def _last(each: Viewer) -> Answer:
    """An answer that is its connection's last, and says so."""
    got = await each.answer()
    assert got.field("Connection") == "close"
    assert await each.rest() == b""
    return got


@LANES
@pytest.mark.parametrize(
    ("target", "fields", "status", "body"),
    [
        ("/small", {}, 200, b"small"),
        ("/huge", {}, 200, HUGE),
        ("/huge", {"Range": "bytes=5-"}, 206, HUGE[5:]),
        ("/small", {"If_None_Match": '"1"'}, 304, b""),
        ("/never", {}, 200, b"no-store"),
    ],
)
async def test_answers_of_a_draining_worker_say_close(
    tmp_path: Path, fast_lane: bool, target: str, fields: dict[str, str], status: int, body: bytes
) -> None:
    """RFC 9112 9.6; before, nothing is said."""
    async with warm(tmp_path, fast_lane=fast_lane) as edge, viewer(edge.port) as each:
        await each.ask(target, **fields)
        before = await each.answer()
        assert (before.status, before.field("Connection")) == (status, None)
        async with draining(edge):
            await each.ask(target, **fields)
            got = await _last(each)
            assert (got.status, got.body) == (status, body)
        assert edge.count("lane_total", "fast") == (2 if fast_lane and target != "/never" else 0)


async def test_under_tls_too(tmp_path: Path, authority: Authority, pair: Files) -> None:
    async with (
        encrypted(tmp_path, authority, pair) as edge,
        speaks(edge, authority) as one,
        speaks(edge, authority) as two,
    ):
        for each, target in ((one, "/small"), (two, "/huge")):
            await each.ask(target)
            assert (await each.answer()).field("Connection") is None
        async with draining(edge):
            for each, target in ((one, "/small"), (two, "/huge")):
                await each.ask(target)
                await _last(each)


async def test_a_fill_that_began_before_the_drain_says_close_when_its_answer_begins(tmp_path: Path) -> None:
    script, go = says(b"", Cache_Control=DAY), asyncio.Event()

    async def late(call: Call) -> None:
        await go.wait()
        await script(call)

    async with upstream(late) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        await each.ask("/late")
        await until(lambda: edge.count("upstream_requests_total") == 1)
        async with draining(edge):
            go.set()
            await _last(each)


@LANES
async def test_a_head_that_has_begun_to_come_is_answered(tmp_path: Path, fast_lane: bool) -> None:
    """When idle connections close, too."""
    async with warm(tmp_path, fast_lane=fast_lane) as edge, viewer(edge.port) as each:
        await each.ask("/small")
        await each.answer()
        await each.send(b"GET /small HTTP/1.1\r\nHo")
        await until(lambda: not any(each.idle() for each in edge.server.connections))  # type: ignore[attr-defined]
        task = asyncio.create_task(drain(edge.server, 60.0))
        await until(lambda: edge.server.draining)
        await asyncio.sleep(0)
        await each.send(b"st: x\r\n\r\n")
        assert (await _last(each)).body == b"small"
        await task


async def test_what_waits_behind_an_answer_of_aiohttps_is_cut_by_no_drain(tmp_path: Path) -> None:
    """aiohttp closes behind the answer that was under way: nothing may begin there that could not end."""
    go = asyncio.Event()

    async def slow(call: Call) -> None:
        if call.target == "/slow":
            await call.send(head(length=4, Cache_Control="no-store") + b"sl")
            await go.wait()
            await call.send(b"ow")
        else:
            await _bodies(call)

    async with upstream(slow) as origin, node(tmp_path, origin.url, send_buffer=65_536) as edge:
        await edge.get("/huge")
        await edge.ended("filled")
        async with viewer(edge.port) as each:
            await each.send(GET % b"/slow" + GET % b"/huge")
            assert await each.head()
            task = asyncio.create_task(drain(edge.server, 60.0))
            await until(lambda: edge.server.draining)
            await asyncio.sleep(0)
            go.set()
            assert await each.rest() == b"slow"
            await task
        assert edge.count("lane_total", "fast") == 0


async def test_a_viewer_of_http_1_0_is_not_told_to_stay(tmp_path: Path) -> None:
    async with warm(tmp_path) as edge, viewer(edge.port) as each:
        ask = b"GET /small HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
        await each.send(ask)
        assert (await each.answer()).field("Connection") == "keep-alive"
        async with draining(edge):
            await each.send(ask)
            assert (await _last(each)).body == b"small"
