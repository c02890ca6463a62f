"""Answers past their freshness: 304, stale-while-revalidate, stale-if-error (RFC 9111 4.3, RFC 5861)."""

import asyncio
from pathlib import Path

import pytest

from edge.admit.open import OpenTier
from kit.clock import ManualClock
from tests.support.nodes import node
from tests.support.upstream import Call, in_turn, says, upstream

BODY = b"v1 " * 50
BIG = b"v1 " * 50_000


@pytest.mark.parametrize("body", [BODY, BIG], ids=["memory", "disk"])
async def test_a_304_freshens_and_is_remembered_on_disk(tmp_path: Path, clock: ManualClock, body: bytes) -> None:
    """RFC 9111 4.3.4; the file's metadata too, so that the next life knows."""
    script = in_turn(
        says(body, Cache_Control="max-age=10", ETag='"v1"', X_Note="old"),
        says(status=304, Cache_Control="max-age=1000", ETag='"v1"', X_Note="new"),
    )
    async with upstream(script) as origin:
        async with node(tmp_path, origin.url, clock=clock) as edge:
            await edge.get("/a")
            await edge.ended("filled")
            clock.advance(20)
            got = await edge.get("/a")
            assert origin.calls[1].field("If-None-Match") == '"v1"'
            assert (got.body, got.field("X-Note"), got.field("Age")) == (body, "new", "0")
            assert got.cache == "edge; fwd=stale; fwd-status=304"
            assert "; hit; ttl=1000" in (await edge.get("/a")).cache
        async with node(tmp_path, origin.url, clock=clock) as again:
            got = await again.get("/a")
            assert (got.body, got.field("X-Note"), "; hit" in got.cache) == (body, "new", True)
        assert len(origin.calls) == 2


async def test_a_parent_tier_hands_on_nothing_stale_while_it_revalidates(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 5861 3 holds once on the way: an edge that refreshes behind its viewers must get what is fresh."""

    class Parent(OpenTier):
        grace = False

    control = "max-age=60, stale-while-revalidate=60"
    script = in_turn(says(b"old", Cache_Control=control), says(b"new", Cache_Control=control))
    async with (
        upstream(script) as origin,
        node(tmp_path / "shield", origin.url, clock=clock, tier=Parent(), name="shield") as shield,
        node(tmp_path / "edge", f"http://127.0.0.1:{shield.port}", clock=clock) as edge,
    ):
        assert (await edge.get("/a")).body == b"old"
        await edge.ended("filled")
        clock.advance(110)
        assert (await edge.get("/a")).body == b"old"
        await edge.ended("filled", 2)
        clock.advance(20)
        got = await edge.get("/a")
        assert (got.body, got.cache) == (b"new", "edge; hit; ttl=40")


async def test_a_304_that_forbids_sharing_takes_the_answer_out(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 9111 4.3.4, 3: what a 304 says of the answer holds from now on; one viewer's cookie reaches nobody else."""
    script = in_turn(
        says(b"for all", Cache_Control="max-age=10", ETag='"v1"'),
        says(status=304, Cache_Control="private", ETag='"v1"', Set_Cookie="session=secret"),
        says(b"for one", Cache_Control="private", Set_Cookie="session=secret"),
        says(b"for two", Cache_Control="private"),
    )
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        first, second = await edge.get("/a"), await edge.get("/a")
        assert (first.body, second.body) == (b"for one", b"for two")
        assert second.field("Set-Cookie") is None
        assert not edge.files()


async def test_a_304_never_brings_a_cookie_into_the_store(tmp_path: Path, clock: ManualClock) -> None:
    script = in_turn(
        says(BODY, Cache_Control="max-age=10", ETag='"v1"'),
        says(status=304, Cache_Control="max-age=1000", ETag='"v1"', Set_Cookie="session=secret"),
        says(BODY, Cache_Control="max-age=1000", ETag='"v1"'),
    )
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        for _ in range(2):
            got = await edge.get("/a")
            assert (got.body, got.field("Set-Cookie")) == (BODY, None)


async def test_another_answer_replaces_the_stale_one(tmp_path: Path, clock: ManualClock) -> None:
    script = in_turn(
        says(b"one", Cache_Control="max-age=10", ETag='"v1"'), says(b"two", Cache_Control="max-age=10", ETag='"v2"')
    )
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        got = await edge.get("/a")
        assert (got.body, got.cache) == (b"two", "edge; fwd=stale; fwd-status=200; stored")
        await edge.ended("filled", 2)
        assert (await edge.get("/a")).body == b"two"


async def test_a_viewers_own_condition_is_answered_from_what_was_revalidated(
    tmp_path: Path, clock: ManualClock
) -> None:
    script = in_turn(
        says(BODY, Cache_Control="max-age=10", ETag='"v1"'), says(status=304, Cache_Control="max-age=10", ETag='"v1"')
    )
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        assert (await edge.get("/a", If_None_Match='"v1"')).status == 304
        clock.advance(20)
        assert (await edge.get("/a", If_None_Match='"other"', Range="bytes=0-1")).status == 206


async def test_stale_while_revalidate_serves_at_once_and_asks_once(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 5861 3."""
    go = asyncio.Event()

    async def slow(call: Call) -> None:
        await go.wait()
        await call.answer(b"two", Cache_Control="max-age=10, stale-while-revalidate=100")

    script = in_turn(says(b"one", Cache_Control="max-age=10, stale-while-revalidate=100"), slow)
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        for _ in range(5):
            got = await edge.get("/a")
            assert (got.body, got.cache, got.field("Age")) == (b"one", "edge; hit; ttl=-10", "20")
        await origin.called(2)
        go.set()
        await edge.ended("filled", 2)
        assert (await edge.get("/a")).body == b"two"
        assert len(origin.calls) == 2


async def test_a_failed_refresh_leaves_the_stale_answer_in_its_window(tmp_path: Path, clock: ManualClock) -> None:
    script = in_turn(
        says(b"one", Cache_Control="max-age=10, stale-while-revalidate=100"),
        says(b"sick", status=500),
        says(b"two", Cache_Control="max-age=10"),
    )
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        assert (await edge.get("/a")).body == b"one"
        await edge.ended("not_shared")
        for _ in range(20):
            assert (await edge.get("/a")).body == b"one"
        assert len(origin.calls) == 2, "a sick upstream is not asked again for every viewer"
        clock.advance(2)
        assert (await edge.get("/a")).body == b"one"
        await edge.ended("filled", 2)


async def _die(call: Call) -> None:
    call.die()


@pytest.mark.parametrize("failure", [says(b"sick", status=503), _die], ids=["5xx", "reset"])
async def test_stale_if_error_serves_the_stale_answer_then_recovers(
    tmp_path: Path, clock: ManualClock, failure: object
) -> None:
    """RFC 5861 4."""
    good = says(b"one", Cache_Control="max-age=10, stale-if-error=1000")
    async with upstream(good) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        origin.script = failure  # type: ignore[assignment]
        got = await edge.get("/a")
        assert (got.status, got.body, got.cache) == (200, b"one", "edge; hit; ttl=-10; detail=error")
        origin.script = says(b"two", Cache_Control="max-age=10")
        clock.advance(2)
        assert (await edge.get("/a")).body == b"two"


async def test_past_the_window_of_stale_if_error_the_failure_shows(tmp_path: Path, clock: ManualClock) -> None:
    script = in_turn(says(b"one", Cache_Control="max-age=10, stale-if-error=5"), _die)
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        got = await edge.get("/a")
        assert (got.status, got.body) == (502, b'{"error":"upstream_failed"}\n')
        assert got.field("X-Request-ID")


async def test_must_revalidate_is_never_served_stale(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 9111 5.2.2.2: stronger than the windows of RFC 5861."""
    allowed = "max-age=10, must-revalidate, stale-if-error=1000, stale-while-revalidate=1000"
    async with (
        upstream(in_turn(says(b"one", Cache_Control=allowed), _die)) as origin,
        node(tmp_path, origin.url, clock=clock) as edge,
    ):
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(20)
        assert (await edge.get("/a")).status == 502
