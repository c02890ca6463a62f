"""A tier of several servers, some of them sick: who is asked, what is sent again and what never is (RFC 9110 9.2.2)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.admit.open import OpenTier
from kit.clock import ManualClock
from kit.errors import UpstreamFailed
from kit.hashing import rank
from proxy.host.worker import Role
from proxy.upstream.chooser import LIMITS
from proxy.upstream.client import Client, Manners
from tests.support.nodes import node
from tests.support.upstream import Call, Upstream, head, says, upstream
from tests.support.wire import until

DAY = "public, max-age=86400"
MANNERS = Manners(connect_timeout_s=1.0, head_timeout_s=1.0, read_timeout_s=1.0, connections=8, idle_s=1.0)


async def _dies(call: Call) -> None:
    call.die()


def _first_for(key: str, *servers: Upstream) -> Upstream:
    best = rank(key, [server.url for server in servers])[0]
    return next(server for server in servers if server.url == best)


async def test_a_get_whose_server_dies_is_answered_by_the_next(tmp_path: Path) -> None:
    async with upstream(says(b"x", Cache_Control=DAY)) as one, upstream(says(b"x", Cache_Control=DAY)) as two:
        sick = _first_for("t.test/a", one, two)
        sick.script = _dies
        async with node(tmp_path, one.url, role=Role(OpenTier(), (one.url, two.url), "t.test")) as edge:
            assert (await edge.get("/a")).body == b"x"
            assert sick.calls


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "LOCK"])
async def test_what_may_have_had_an_effect_is_never_sent_to_another(tmp_path: Path, method: str) -> None:
    async with upstream(says(b"x")) as one, upstream(says(b"x")) as two:
        sick = _first_for("t.test/a", one, two)
        sick.script = _dies
        well = two if sick is one else one
        async with node(tmp_path, one.url, role=Role(OpenTier(), (one.url, two.url), "t.test")) as edge:
            got = await edge.get("/a", method, b"effect")
            assert (got.status, well.calls) == (502, [])
            if method in ("POST", "PATCH", "LOCK"):
                assert len(sick.calls) == 1


async def test_a_server_that_cannot_be_reached_is_passed_over_for_any_method(tmp_path: Path) -> None:
    async with upstream(says(b"x")) as gone:
        pass
    async with (
        upstream(says(b"x")) as well,
        node(tmp_path, well.url, role=Role(OpenTier(), (gone.url, well.url), "t.test")) as edge,
    ):
        statuses = {(await edge.get(f"/{number}", "POST", b"b")).status for number in range(8)}
        assert (statuses, len(well.calls)) == ({200}, 8)


async def test_a_tier_that_only_fails_is_left_alone_then_asked_again(tmp_path: Path, clock: ManualClock) -> None:
    async with upstream(_dies) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        for number in range(LIMITS.volume):
            assert (await edge.get(f"/{number}")).status == 502
        asked = len(origin.calls)
        got = await edge.get("/more")
        assert (got.status, got.field("Proxy-Status")) == (503, "edge; error=destination_unavailable")
        assert (got.field("Retry-After"), len(origin.calls)) == ("1", asked)
        origin.script = says(b"well", Cache_Control=DAY)
        clock.advance(LIMITS.reset_s)
        assert (await edge.get("/more")).body == b"well"


async def test_viewers_that_break_off_their_uploads_shut_nobody_out(tmp_path: Path) -> None:
    """What a viewer can bring about counts nothing against a server."""
    async with upstream(says(b"x")) as origin, Client((origin.url,), None, MANNERS, ManualClock()) as client:

        async def broken() -> AsyncIterator[bytes]:
            yield b"a"
            raise ConnectionError

        for _ in range(LIMITS.volume + 5):
            with pytest.raises(UpstreamFailed):
                await client.send("POST", "/a", (), key="k", body=broken(), length=None)
        response = await client.send("GET", "/a", (), key="k")
        assert response.status == 200
        response.close()
        assert client.loads == {origin.url: 0}


async def test_load_is_counted_to_the_end_of_the_body_however_it_ends() -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        if call.target == "/hang":
            await call.reader.read()
        elif call.target == "/dies":
            call.die()
        else:
            await call.send(head(length=2) + b"a")
            await go.wait()
            await call.send(b"b")

    async with upstream(script) as origin, Client((origin.url,), None, MANNERS, ManualClock()) as client:
        response = await client.send("GET", "/a", (), key="k")
        assert client.loads == {origin.url: 1}
        hanging = asyncio.create_task(client.send("GET", "/hang", (), key="k"))
        await origin.called(2)
        assert client.loads == {origin.url: 2}
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        with pytest.raises(UpstreamFailed):
            await client.send("GET", "/dies", (), key="k")
        go.set()
        assert b"".join([piece async for piece in response.pieces()]) == b"ab"
        response.close()
        assert client.loads == {origin.url: 0}


async def test_a_connection_with_stray_bytes_behind_an_answer_is_not_used_again(tmp_path: Path) -> None:
    """RFC 9112 6.3: what an upstream sends unasked must not be taken for the next answer."""

    async def script(call: Call) -> None:
        stray = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        await call.send(head(length=4, Cache_Control="no-store") + call.target[1:].encode() + stray)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        for number in range(10, 20):
            assert (await edge.get(f"/no{number}")).body == f"no{number}".encode()


async def test_a_server_that_went_while_nobody_asked_is_known_before_somebody_does(tmp_path: Path) -> None:
    """Active health: probes go no further than the server (RFC 9110 7.6.2) and carry no viewer's words."""
    async with upstream(says(b"x", Cache_Control=DAY)) as one, upstream(says(b"x", Cache_Control=DAY)) as two:
        sick = _first_for("t.test/a", one, two)
        sick.script = says(b"", 503)
        tier = Role(OpenTier(), (one.url, two.url), "t.test")
        async with node(tmp_path, one.url, role=tier, upstream={"probe_s": 0.01}) as edge:
            await until(lambda: edge.count("upstreams_unwell") == 1, "it is known")
            assert {(each.method, each.target, each.field("Max-Forwards")) for each in sick.calls} == {
                ("OPTIONS", "/", "0")
            }
            assert (await edge.get("/a")).body == b"x"
            assert not [each for each in sick.calls if each.method == "GET"]
            sick.script = says(b"back", Cache_Control=DAY)
            await until(lambda: edge.count("upstreams_unwell") == 0, "it is back")


async def test_probes_of_a_server_that_is_not_there_or_says_nothing_fail(tmp_path: Path) -> None:
    hold = asyncio.Event()

    async def silent(call: Call) -> None:
        await hold.wait()

    async with upstream(says()) as gone:
        pass
    async with upstream(silent) as mute, Client((gone.url, mute.url), "t.test", MANNERS, ManualClock()) as client:
        assert not await client.probe(gone.url, 0.05)
        assert not await client.probe(mute.url, 0.05)
        hold.set()
