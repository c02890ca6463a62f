"""One viewer's answer never reaches another; what changes an object takes it out of the store (RFC 9111 3, 4.4)."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.admit.open import OpenTier
from kit.metrics import Board
from proxy.host.worker import families
from tests.support.nodes import node
from tests.support.upstream import Call, in_turn, says, upstream
from tests.support.wire import until

DAY = "public, max-age=86400"
PRIVATE = [
    {"Cache_Control": "private, max-age=100"},
    {"Cache_Control": "no-store"},
    {"Cache_Control": "max-age=100", "Set_Cookie": "session=1"},
    {"Cache_Control": "public, max-age=100, must-revalidate", "Set_Cookie": "session=1"},
    {"Cache_Control": "max-age=100", "Vary": "*"},
]


def _mine(**fields: str) -> Callable[[Call], object]:
    async def script(call: Call) -> None:
        await call.answer(f"for {call.field('Cookie')}".encode(), **fields)

    return script


@pytest.mark.parametrize("fields", PRIVATE, ids=lambda fields: " ".join(fields.values()))
async def test_what_is_for_one_reaches_no_other_not_even_in_the_same_flight(
    tmp_path: Path, fields: dict[str, str]
) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await go.wait()
        await _mine(**fields)(call)  # type: ignore[misc]

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        asked = [asyncio.create_task(edge.get("/me", Cookie=f"viewer{n}")) for n in range(4)]
        await origin.called(1)
        await until(lambda: edge.count("waiting") == 3)
        go.set()
        for number, got in enumerate(await asyncio.gather(*asked)):
            assert got.body == f"for viewer{number}".encode()
        assert (await edge.get("/me", Cookie="late")).body == b"for late"
        assert not edge.files()


async def test_an_answer_to_authorization_is_for_its_bearer(tmp_path: Path) -> None:
    """RFC 9111 3.5."""

    async def script(call: Call) -> None:
        await call.answer((call.field("Authorization") or "nobody").encode(), Cache_Control="max-age=100")

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        both = await asyncio.gather(*(edge.get("/me", Authorization=who) for who in ("a", "b")))
        assert [got.body for got in both] == [b"a", b"b"]


async def test_a_variant_is_given_only_to_those_who_select_it_in_the_same_flight(tmp_path: Path) -> None:
    """RFC 9111 4.1."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await go.wait()
        await call.answer((call.field("Accept-Language") or "-").encode(), Cache_Control=DAY, Vary="Accept-Language")

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        asked = [asyncio.create_task(edge.get("/a", Accept_Language=each)) for each in ("de", "sv", "de")]
        await origin.called(1)
        await until(lambda: edge.count("waiting") == 2)
        go.set()
        assert [got.body for got in await asyncio.gather(*asked)] == [b"de", b"sv", b"de"]


async def test_ranges_and_conditions_of_an_uncacheable_object_reach_the_origin_once_it_is_known(
    tmp_path: Path,
) -> None:
    """The first answer tells that nothing can be kept; from then on the origin answers the viewer's own question."""

    async def script(call: Call) -> None:
        if call.field("Range") == "bytes=0-1":
            await call.answer(b"ab", 206, Cache_Control="no-store", Content_Range="bytes 0-1/3")
        else:
            await call.answer(b"abc", Cache_Control="no-store")

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        assert (await edge.get("/a", Range="bytes=0-1")).body == b"abc"
        got = await edge.get("/a", Range="bytes=0-1")
        assert (got.status, got.body, got.field("Content-Range")) == (206, b"ab", "bytes 0-1/3")
        assert got.cache == "edge; fwd=bypass; fwd-status=206"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PURGE"])
async def test_a_success_of_an_unsafe_method_takes_the_answer_out(tmp_path: Path, method: str) -> None:
    """RFC 9111 4.4."""
    script = in_turn(says(b"old", Cache_Control=DAY), says(status=204), says(b"new", Cache_Control=DAY))
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        await edge.get("/a", method, b"x")
        assert (await edge.get("/a")).body == b"new"
        assert [call.method for call in origin.calls] == ["GET", method, "GET"]


async def test_a_failed_post_takes_nothing_out(tmp_path: Path) -> None:
    script = in_turn(says(b"old", Cache_Control=DAY), says(status=409), says(b"new"))
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        await edge.get("/a", "POST", b"x")
        assert (await edge.get("/a")).body == b"old"


@pytest.mark.parametrize("size", [10, 200_000], ids=["memory", "disk"])
async def test_a_post_at_one_worker_takes_the_answer_out_at_the_other(tmp_path: Path, size: int) -> None:
    board = Board(families(OpenTier.reasons), 3)

    async def script(call: Call) -> None:
        written = sum(each.method == "POST" for each in origin.calls)
        await call.answer(bytes([65 + written]) * size, Cache_Control=DAY)

    async with (
        upstream(script) as origin,
        node(tmp_path, origin.url, board=board) as one,
        node(tmp_path, origin.url, board=board, number=1) as two,
    ):
        for each in (one, two):
            assert (await each.get("/a")).body == b"A" * size
            await one.ended("filled")
        await one.get("/a", "POST", b"x")
        for each in (two, one):
            assert (await each.get("/a")).body == b"B" * size
    board.close()


@pytest.mark.parametrize("size", [10, 200_000], ids=["memory", "disk"])
async def test_a_fill_begun_before_a_post_publishes_nothing_and_takes_no_new_follower(
    tmp_path: Path, size: int
) -> None:
    """What upstream said before it was changed must not come back, nor be given to who asks after the change."""
    go = asyncio.Event()

    async def old(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=1000\r\nContent-Length: %d\r\n\r\n" % size)
        await go.wait()
        await call.send(b"o" * size)

    new = says(b"n" * size, Cache_Control=DAY)
    async with upstream(in_turn(old, says(status=200), new)) as origin, node(tmp_path, origin.url) as edge:
        early = asyncio.create_task(edge.get("/a"))
        await origin.called(1)
        await edge.get("/a", "POST", b"x")
        assert (await edge.get("/a")).body == b"n" * size
        go.set()
        assert (await early).body == b"o" * size
        await edge.ended("not_kept")
        assert (await edge.get("/a")).body == b"n" * size
        assert len(origin.calls) == 3


async def test_a_304_begun_before_a_change_touches_nothing_that_came_after(tmp_path: Path) -> None:
    """Old metadata over new bytes would be neither answer."""
    from kit.clock import ManualClock

    go, clock = asyncio.Event(), ManualClock()

    async def late(call: Call) -> None:
        await go.wait()
        await call.answer(status=304, ETag='"old"', Cache_Control="max-age=1000")

    script = in_turn(
        says(b"old", Cache_Control="max-age=10", ETag='"old"'),
        late,
        says(status=200),
        says(b"new", Cache_Control="max-age=1000", ETag='"new"'),
    )
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        early = asyncio.create_task(edge.get("/a"))
        await origin.called(2)
        await edge.get("/a", "POST", b"x")
        assert (await edge.get("/a")).body == b"new"
        go.set()
        assert (await early).body == b"old"
        got = await edge.get("/a")
        assert (got.body, got.field("ETag")) == (b"new", '"new"')


async def test_metadata_of_before_a_change_never_meets_equal_bytes_of_after_it(tmp_path: Path) -> None:
    """The same bytes under another policy: the policy of now counts, in every worker."""
    board = Board(families(OpenTier.reasons), 3)
    script = in_turn(
        says(b"same", Cache_Control=DAY, X_Note="old"),
        says(status=200),
        says(b"same", Cache_Control=DAY, X_Note="new"),
    )
    async with (
        upstream(script) as origin,
        node(tmp_path, origin.url, board=board) as one,
        node(tmp_path, origin.url, board=board, number=1) as two,
    ):
        await one.get("/a")
        await one.ended("filled")
        await two.get("/a")
        await one.get("/a", "POST", b"x")
        assert (await one.get("/a")).field("X-Note") == "new"
        await one.ended("filled", 2)
        assert (await two.get("/a")).field("X-Note") == "new"
    board.close()
