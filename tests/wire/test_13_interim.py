"""Interim answers reach who asked (RFC 9110 15.2, RFC 8297), whole and before the final one; trailers do no harm."""

import asyncio
from pathlib import Path

import pytest

from proxy.upstream.interim import MOST
from tests.support.nodes import node
from tests.support.upstream import Call, head, in_turn, says, upstream
from tests.support.wire import viewer

DAY = "public, max-age=86400"
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n"


@pytest.mark.parametrize("control", [DAY, "no-store"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_early_hints_come_before_the_answer(tmp_path: Path, method: str, control: str) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(HINT)
        await go.wait()
        await call.answer(b"final", Cache_Control=control)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        await each.ask("/a", method)
        early = await each.head()
        assert (early.status, early.fields) == (103, (("Link", "</x>; rel=preload"),))
        go.set()
        assert (await each.answer(method)).body == b"final"
        await each.ask("/b", method)
        assert (await each.answer(method)).body == b"final"


async def test_hints_are_for_who_began_the_fill_and_not_for_hits(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(HINT)
        await go.wait()
        await call.answer(b"final", Cache_Control=DAY)

    async with (
        upstream(script) as origin,
        node(tmp_path, origin.url) as edge,
        viewer(edge.port) as leader,
        viewer(edge.port) as late,
    ):
        await leader.ask("/a")
        assert (await leader.head()).status == 103
        await late.ask("/a")
        go.set()
        assert ((await leader.answer()).body, (await late.head()).status) == (b"final", 200)
        await edge.ended("filled")
        await leader.ask("/a")
        assert (await leader.head()).status == 200


async def test_an_http_1_0_viewer_gets_none(tmp_path: Path) -> None:
    """RFC 9110 15.2: a client of HTTP/1.0 knows no interim answers."""

    async def script(call: Call) -> None:
        await call.send(HINT)
        await call.answer(b"final", Cache_Control=DAY)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        await each.send(b"GET /a HTTP/1.0\r\n\r\n")
        assert (await each.head()).status == 200


async def test_a_continue_of_the_origin_is_not_passed_on_and_hints_are_bounded(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(b"HTTP/1.1 100 Continue\r\n\r\n" + HINT * (MOST + 20))
        await call.answer(b"final", Cache_Control=DAY)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        await each.ask("/a")
        statuses = [(await each.head()).status for _ in range(MOST + 1)]
        assert statuses == [103] * MOST + [200]


async def test_a_connection_that_gave_hints_is_used_again(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(HINT)
        await call.answer(call.target.encode(), Cache_Control="no-store")

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        for number in range(5):
            assert (await edge.get(f"/{number}")).body == f"/{number}".encode()
        assert origin.open == 1


async def test_trailers_end_the_body_and_are_dropped(tmp_path: Path) -> None:
    """RFC 9110 6.5.1: a trailer is never merged into the head."""

    async def script(call: Call) -> None:
        body = b"5\r\nhello\r\n0\r\nX-Late: 1\r\nCache-Control: no-store\r\n\r\n"
        await call.send(head(Transfer_Encoding="chunked", Cache_Control=DAY) + body)

    async with upstream(in_turn(script, says(b"other"))) as origin, node(tmp_path, origin.url) as edge:
        for _ in range(2):
            got = await edge.get("/a")
            await edge.ended("filled")
            assert (got.body, got.field("X-Late"), got.field("Cache-Control")) == (b"hello", None, DAY)
        assert (await edge.get("/b")).body == b"other"
