"""The workers of one node fill as one: one request upstream, and every way in which the leading worker can fail it.

Two engines in this process share a cache directory, counters and leases, as two workers do. (CDN-23; contracts.md,
"Workers of one node"; issue 3 part 2.)
"""

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.admit.open import OpenTier
from kit.clock import Clock, ManualClock
from kit.metrics import Board
from proxy.host.worker import families
from proxy.store import disk
from tests.support.nodes import Node, node
from tests.support.upstream import Call, Upstream, head, in_turn, says, upstream
from tests.support.wire import Answer, CutOff, until, viewer

DAY = "public, max-age=86400"
BIG = os.urandom(300_000)
SMALL = b"small" * 100
KINDS = pytest.mark.parametrize("body", [SMALL, BIG], ids=["memory", "disk"])


@contextlib.asynccontextmanager
async def workers(
    directory: Path, origin: str, *, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[tuple[Node, Node, contextlib.AsyncExitStack]]:
    """Two workers of a node; leaving the stack ends the first one."""
    board, leases = Board(families(OpenTier.reasons), 3), os.memfd_create("leases")
    try:
        async with contextlib.AsyncExitStack() as rest, contextlib.AsyncExitStack() as first:
            one = await first.enter_async_context(
                node(directory, origin, board=board, leases=leases, clock=clock, **changes)
            )
            two = await rest.enter_async_context(
                node(directory, origin, board=board, number=1, leases=leases, clock=clock, **changes)
            )
            yield one, two, first
    finally:
        os.close(leases)
        board.close()


async def both_have(one: Node, two: Node) -> None:
    """Either worker serves /a from what it remembers."""
    assert (await one.get("/a")).body == SMALL
    await one.ended("filled")
    assert (await two.get("/a")).body == SMALL


async def follows(two: Node) -> None:
    """Wait until the second worker's flight follows the first's."""
    await until(lambda: two.count("followed_now"), "the second worker follows")


async def both_ask(one: Node, two: Node, origin: Upstream, number: int, go: asyncio.Event) -> tuple[Answer, Answer]:
    """Ask either worker for /a: the second follows the first, whose request is upstream's `number`-th and waits for
    `go`."""
    first = asyncio.create_task(one.get("/a"))
    await origin.called(number)
    second = asyncio.create_task(two.get("/a"))
    await follows(two)
    go.set()
    return await first, await second


@KINDS
async def test_viewers_of_two_workers_are_one_request_and_stream(tmp_path: Path, body: bytes) -> None:
    """The first byte reaches every viewer, of either worker, before the upstream has sent its last."""
    seen, all_have_begun = 0, asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(body), Cache_Control=DAY) + body[:-10])
        await all_have_begun.wait()
        await call.send(body[-10:])

    async def watch(each: Node) -> bytes:
        nonlocal seen
        async with viewer(each.port) as one:
            await one.ask("/a")
            assert (await one.head()).status == 200
            first = await one.read(1)
            seen += 1
            if seen == 40:
                all_have_begun.set()
            return first + await one.read(len(body) - 1)

    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, _):
        for got in await asyncio.gather(*(watch(each) for each in (one, two) for _ in range(20))):
            assert got == body
        assert len(origin.calls) == 1
        await one.ended("filled")
        await one.ended("followed")
        assert one.count("collapsed_total") == 39
        assert (await one.get("/a")).body == (await two.get("/a")).body == body
        assert len(origin.calls) == 1


async def test_a_body_of_unknown_length_is_followed(tmp_path: Path) -> None:
    """Chunked: the follower learns the length with the end."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(Cache_Control=DAY, Transfer_Encoding="chunked") + b"5\r\nfirst\r\n")
        await go.wait()
        await call.send(b"4\r\nlast\r\n0\r\n\r\n")

    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, _):
        early = asyncio.create_task(one.get("/a"))
        await origin.called(1)
        async with viewer(two.port) as late:
            await late.ask("/a")
            assert (await late.head()).field("Transfer-Encoding") == "chunked"
            go.set()
            assert b"last" in await late.read(len("5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n"))
        assert (await early).body == b"firstlast"
        assert len(origin.calls) == 1


@KINDS
async def test_requests_at_every_moment_of_a_flights_end_ask_once(tmp_path: Path, body: bytes) -> None:
    """A worker that looked before the other published, and leads after, finds what was published."""
    async with upstream(says(body, Cache_Control=DAY)) as origin, workers(tmp_path, origin.url) as (one, two, _):
        for number in range(40):
            got = await asyncio.gather(*(each.get(f"/{number}") for each in (one, two, one, two)))
            assert all(each.body == body for each in got)
        assert len(origin.calls) == 40


async def test_a_miss_looks_in_the_directory_again_only_after_another_worker_led(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One look a miss, as long as nobody else can have stored anything."""
    looks: list[str] = []
    find = disk.find
    monkeypatch.setattr(disk, "find", lambda directory, key: looks.append(key) or find(directory, key))
    async with upstream(says(SMALL, Cache_Control=DAY)) as origin, workers(tmp_path, origin.url) as (one, two, _):
        for number in range(3):
            await one.get(f"/{number}")
            await one.ended("filled", number + 1)
        assert len(looks) == 3
        for each in (one, two):
            assert (await each.get("/0")).body == SMALL
        assert len(looks) == 4
        assert len(origin.calls) == 3


async def test_the_failure_of_the_leader_is_that_of_the_followers(tmp_path: Path) -> None:
    """Upstream dies before a head: one request, a 502 with the same Proxy-Status at both workers."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await go.wait()
        await call.send(b"nonsense\r\n\r\n")
        call.end()

    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, _):
        answers = await both_ask(one, two, origin, 1, go)
        assert [each.status for each in answers] == [502, 502]
        assert answers[0].field("Proxy-Status") == answers[1].field("Proxy-Status")
        assert len(origin.calls) == 1


@KINDS
async def test_an_upstream_that_dies_in_the_body_cuts_the_viewers_of_all_workers(tmp_path: Path, body: bytes) -> None:
    """Nothing cut is served whole, nothing of it is kept."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(body), Cache_Control=DAY) + body[:100])
        await go.wait()
        call.die()

    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, _):
        first = asyncio.create_task(one.get("/a"))
        await origin.called(1)
        async with viewer(two.port) as late:
            await late.ask("/a")
            assert (await late.head()).status == 200
            assert await late.read(100) == body[:100]
            go.set()
            with pytest.raises(CutOff):
                await late.read(1)
        with pytest.raises(CutOff):
            await first
        await one.ended("cut", 2)
        assert not one.files()
        await until(lambda: not one.parts(), "no part is left")


@KINDS
async def test_a_leader_that_goes_in_the_body_cuts_its_followers(tmp_path: Path, body: bytes) -> None:
    """The worker that brought it in ends: whoever has seen a head is cut, the next request begins anew."""
    hold = asyncio.Event()

    async def slow(call: Call) -> None:
        await call.send(head(length=len(body), Cache_Control=DAY) + body[:100])
        await hold.wait()

    script = in_turn(slow, says(body, Cache_Control=DAY))
    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, first):
        async with viewer(one.port) as early, viewer(two.port) as late:
            await early.ask("/a")
            await origin.called(1)
            await late.ask("/a")
            assert (await late.head()).status == 200
            await first.aclose()
            with pytest.raises(CutOff):
                await late.read(len(body))
        assert (await two.get("/a")).body == body
        assert len(origin.calls) == 2


async def test_when_the_leader_goes_before_the_head_a_follower_leads(tmp_path: Path) -> None:
    """Nothing was told: the viewer at the other worker never learns of it."""
    hold = asyncio.Event()

    async def silent(call: Call) -> None:
        await hold.wait()

    script = in_turn(silent, says(SMALL, Cache_Control=DAY))
    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, first):
        async with viewer(one.port) as early:
            await early.ask("/a")
            await origin.called(1)
            late = asyncio.create_task(two.get("/a"))
            await follows(two)
            await first.aclose()
            assert (await late).body == SMALL
        assert len(origin.calls) == 2


async def test_one_304_freshens_for_both_workers(tmp_path: Path, clock: ManualClock, date: str) -> None:
    """Both workers hold it, it is stale, both are asked at once: one conditional request."""
    go = asyncio.Event()

    async def fresh(call: Call) -> None:
        assert call.field("If-None-Match") == '"v"'
        await go.wait()
        await call.send(head(304, ETag='"v"', Cache_Control="max-age=60"))

    script = in_turn(says(SMALL, Cache_Control="max-age=60", ETag='"v"', Date=date), fresh)
    async with upstream(script) as origin, workers(tmp_path, origin.url, clock=clock) as (one, two, _):
        await both_have(one, two)
        clock.advance(100)
        first, second = await both_ask(one, two, origin, 2, go)
        assert first.body == second.body == SMALL
        assert len(origin.calls) == 2
        assert "hit" in (await two.get("/a")).cache
        assert len(origin.calls) == 2


async def test_a_new_version_at_one_worker_is_the_others_too(tmp_path: Path, clock: ManualClock, date: str) -> None:
    """Stale at both; the leader gets a 200: the follower serves it, and does not ask again."""
    go = asyncio.Event()

    async def newer(call: Call) -> None:
        await go.wait()
        await call.answer(b"new", Cache_Control="max-age=60")

    script = in_turn(says(SMALL, Cache_Control="max-age=60", ETag='"v"', Date=date), newer)
    async with upstream(script) as origin, workers(tmp_path, origin.url, clock=clock) as (one, two, _):
        await both_have(one, two)
        clock.advance(100)
        first, second = await both_ask(one, two, origin, 2, go)
        assert first.body == second.body == b"new"
        await one.ended("followed")
        assert (await two.get("/a")).body == b"new"
        assert len(origin.calls) == 2


async def test_stale_if_error_serves_at_both_workers(tmp_path: Path, clock: ManualClock, date: str) -> None:
    """RFC 5861 4: the leader's 503 lets the follower serve its stale answer too; upstream is asked once."""
    go = asyncio.Event()

    async def sick(call: Call) -> None:
        await go.wait()
        await call.answer(b"sick", 503)

    good = says(SMALL, Cache_Control="max-age=60, stale-if-error=600", ETag='"v"', Date=date)
    async with (
        upstream(in_turn(good, sick)) as origin,
        workers(tmp_path, origin.url, clock=clock) as (one, two, _),
    ):
        await both_have(one, two)
        clock.advance(100)
        first, second = await both_ask(one, two, origin, 2, go)
        assert first.body == second.body == SMALL
        assert len(origin.calls) == 2


async def test_what_is_not_shared_is_asked_for_by_each(tmp_path: Path) -> None:
    """A private answer goes to one viewer: the other worker's request goes upstream as well."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await go.wait()
        await call.answer(b"for %d" % call.number, Cache_Control="private")

    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, _):
        first, second = await both_ask(one, two, origin, 1, go)
        assert {first.body, second.body} == {b"for 0", b"for 1"}


async def test_who_asks_after_an_invalidation_does_not_follow_a_flight_of_before(tmp_path: Path) -> None:
    """RFC 9111 4.4 across workers: what was asked before the POST is not given to who came after it."""
    go = asyncio.Event()

    async def old(call: Call) -> None:
        await call.send(head(length=3, Cache_Control=DAY))
        await go.wait()
        await call.send(b"old")

    script = in_turn(old, says(), says(b"new", Cache_Control=DAY))
    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, _):
        first = asyncio.create_task(one.get("/a"))
        await origin.called(1)
        await two.get("/a", "POST", b"x")
        assert (await two.get("/a")).body == b"new"
        go.set()
        assert (await first).body == b"old"
        assert (await one.get("/a")).body == (await two.get("/a")).body == b"new"


async def test_a_follower_of_another_variant_asks_for_its_own(tmp_path: Path) -> None:
    """RFC 9111 4.1: that it varies is known with the head only; the other worker's request is for another variant."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await go.wait()
        await call.answer((call.field("X-Kind") or "").encode(), Cache_Control=DAY, Vary="X-Kind")

    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, _):
        first = asyncio.create_task(one.get("/a", X_Kind="one"))
        await origin.called(1)
        second = asyncio.create_task(two.get("/a", X_Kind="two"))
        third = asyncio.create_task(two.get("/a", X_Kind="one"))
        await follows(two)
        go.set()
        assert [(await each).body for each in (first, second, third)] == [b"one", b"two", b"one"]
        assert len(origin.calls) == 2


async def test_a_leader_that_says_nothing_is_left_after_the_followers_patience(tmp_path: Path) -> None:
    """A worker that hangs costs its followers their patience, not their answer."""
    hold = asyncio.Event()

    async def silent(call: Call) -> None:
        await hold.wait()

    script = in_turn(silent, says(SMALL, Cache_Control=DAY))
    async with (
        upstream(script) as origin,
        workers(tmp_path, origin.url, upstream={"follow_timeout_s": 0.2}) as (one, two, _),
    ):
        first = asyncio.create_task(one.get("/a"))
        await origin.called(1)
        assert (await two.get("/a")).body == SMALL
        first.cancel()
        hold.set()


@KINDS
async def test_an_upstream_that_pauses_in_a_body_is_waited_for_by_all_workers(tmp_path: Path, body: bytes) -> None:
    """How long it may pause is said by `read_timeout_s`, not by the patience of who waits for a first byte."""
    go, patience = asyncio.Event(), 0.1

    async def script(call: Call) -> None:
        await call.send(head(length=len(body), Cache_Control=DAY) + body[:100])
        await go.wait()
        await call.send(body[100:])

    async with (
        upstream(script) as origin,
        workers(tmp_path, origin.url, upstream={"follow_timeout_s": patience}) as (one, two, _),
        viewer(one.port) as early,
        viewer(two.port) as late,
    ):
        for each in (early, late):
            await each.ask("/a")
            assert (await each.head()).status == 200
            assert await each.read(100) == body[:100]
        over = asyncio.get_running_loop().time() + 3 * patience
        await until(lambda: asyncio.get_running_loop().time() > over, "longer than a follower's patience")
        go.set()
        for each in (early, late):
            assert await each.read(len(body) - 100) == body[100:]
        assert len(origin.calls) == 1


@KINDS
async def test_following_leaks_nothing(tmp_path: Path, body: bytes) -> None:
    """No descriptor, no task, no lease is left of flights that were followed."""
    gone = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(body), Cache_Control=DAY) + body[:50])
        await gone.wait()
        await call.send(body[50:])

    async with upstream(script) as origin, workers(tmp_path, origin.url) as (one, two, _):
        gone.set()
        await asyncio.gather(one.get("/warm"), two.get("/warm"))
        gone.clear()
        before, followed = len(_abstract()), one.count("fills_total", "followed")
        async with viewer(one.port) as early, viewer(two.port) as late:
            for each in (early, late):
                await each.ask("/a")
                assert (await each.head()).status == 200
            late.leave()
            gone.set()
            await early.read(len(body))
        await one.ended("followed", followed + 1)
        gc.collect()
        await until(lambda: len(_abstract()) <= before, "connections between workers are closed")
        assert not [each for each in asyncio.all_tasks() if "neighbours" in each.get_name()]


async def test_a_neighbour_that_talks_nonsense_is_let_go(tmp_path: Path) -> None:
    """What is no question of ours ends that connection and nothing else."""
    async with upstream(says(SMALL, Cache_Control=DAY)) as origin, workers(tmp_path, origin.url) as (_one, two, _):
        address = next(name for name in _abstract() if name.startswith("@headrace-") and name.endswith("-0"))
        for nonsense in (b"\n", b"[]\n", b'{"flight": 1}\n', b"x" * (2 << 20), b"{"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect("\0" + address[1:])
            sock.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=sock)
            with contextlib.suppress(ConnectionError):
                writer.write(nonsense)
                writer.write_eof()
                assert await reader.read() == b""
            writer.close()
        assert (await two.get("/a")).body == SMALL


def _abstract() -> list[str]:
    """The sockets of neighbours, by their addresses, newest last: one that listens, one a connection."""
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    return [line.split()[-1] for line in reversed(lines) if "@headrace-" in line]
