"""Between tiers: loops, Max-Forwards, reasons of failures, only-if-cached, what an unsafe answer makes stale."""

import asyncio
from pathlib import Path

import pytest

from proxy.serve.passing import InvalidatesGroups
from tests.support.nodes import node
from tests.support.upstream import Call, head, says, upstream
from tests.support.wire import until

DAY = "public, max-age=86400"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_forwarded_request_says_who_passed_it_on(tmp_path: Path, method: str) -> None:
    """RFC 8586 2, RFC 9110 7.6.3."""
    async with upstream(says(b"x")) as origin, node(tmp_path, origin.url, name="edge-1") as edge:
        await edge.get("/a", method, CDN_Loop="other; v=1", Via="1.0 first")
        assert origin.calls[0].field("CDN-Loop") == "other; v=1, edge-1"
        assert origin.calls[0].field("Via") == "1.0 first, 1.1 edge-1"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_loop_is_refused(tmp_path: Path, method: str) -> None:
    """RFC 8586 2; RFC 9209 2.3."""
    async with upstream(says(b"x")) as origin, node(tmp_path, origin.url, name="edge-1") as edge:
        got = await edge.get("/a", method, CDN_Loop="edge-1, other, Edge-1; a=b")
        assert (got.status, got.field("Proxy-Status")) == (508, "edge-1; error=proxy_loop_detected")
        assert not origin.calls


async def test_a_node_before_itself_answers_at_once(tmp_path: Path) -> None:
    """A request that comes back must not wait for the fill that waits for it."""
    async with upstream(says(b"x")) as origin:
        relay = asyncio.Event()

        async def round_again(call: Call) -> None:
            relay.set()
            got = await edge.get(call.target, CDN_Loop=call.field("CDN-Loop") or "")
            await call.answer(got.body, got.status)

        origin.script = round_again
        async with node(tmp_path, origin.url) as edge:
            got = await edge.get("/a")
            assert (got.status, relay.is_set(), len(origin.calls)) == (508, True, 2)


async def test_a_neighbour_of_the_same_name_is_no_loop(tmp_path: Path) -> None:
    async with (
        upstream(says(b"x", Cache_Control=DAY)) as origin,
        node(tmp_path / "1", origin.url) as inner,
        node(tmp_path / "2", f"http://127.0.0.1:{inner.port}") as outer,
    ):
        assert (await outer.get("/a")).body == b"x"
        assert origin.calls[0].field("CDN-Loop") == "edge, edge"


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 204), ("TRACE", 405)])
async def test_max_forwards_counts_down_and_ends_here(tmp_path: Path, method: str, status: int) -> None:
    """RFC 9110 7.6.2."""
    async with upstream(says(b"far")) as origin, node(tmp_path, origin.url) as edge:
        got = await edge.get("/a", method, Max_Forwards="0")
        assert (got.status, got.field("Allow"), origin.calls) == (status, "GET, HEAD, OPTIONS", [])
        assert (await edge.get("/a", method, Max_Forwards="3")).status == 200
        assert origin.calls[0].field("Max-Forwards") == "2"


async def test_only_if_cached_never_asks_upstream(tmp_path: Path) -> None:
    """RFC 9111 5.2.1.7."""
    async with upstream(says(b"x", Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        got = await edge.get("/a", Cache_Control="max-stale, only-if-cached")
        assert (got.status, len(origin.calls)) == (504, 0)
        await edge.get("/a")
        await edge.ended("filled")
        assert (await edge.get("/a", Cache_Control="only-if-cached")).body == b"x"


@pytest.mark.parametrize(
    ("sent", "status", "error"),
    [
        (b"", 502, "connection_terminated"),
        (b"HTTP/1.1 200", 502, "connection_terminated"),
        (b"nonsense\r\n\r\n", 502, "http_protocol_error"),
    ],
)
async def test_an_answer_of_ours_says_what_upstream_did(tmp_path: Path, sent: bytes, status: int, error: str) -> None:
    """RFC 9209 2.1."""

    async def script(call: Call) -> None:
        await call.send(sent)
        call.end()

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        got = await edge.get("/a")
        assert (got.status, got.field("Proxy-Status")) == (status, f"edge; error={error}")


async def test_an_upstream_that_is_not_there_or_silent_is_said_to_be(tmp_path: Path) -> None:
    """RFC 9209 2.3.6, 2.3.24."""

    async def silent(call: Call) -> None:
        await call.reader.read()

    async with upstream(silent) as origin:
        async with node(tmp_path, origin.url, upstream={"head_timeout_s": 0.1}) as edge:
            got = await edge.get("/a")
            assert (got.status, got.field("Proxy-Status")) == (504, "edge; error=http_response_timeout")
        gone = origin.url
    async with node(tmp_path, gone) as edge:
        assert (await edge.get("/a")).field("Proxy-Status") == "edge; error=connection_refused"


@pytest.mark.parametrize("named", ["/b", "http://edge.test/b", "b"])
@pytest.mark.parametrize("field", ["Location", "Content_Location"])
async def test_what_an_unsafe_answer_names_here_goes_too(tmp_path: Path, field: str, named: str) -> None:
    """RFC 9111 4.4."""

    async def script(call: Call) -> None:
        if call.method == "POST":
            await call.answer(status=201, **{field: named})
        else:
            await call.answer(str(call.number).encode(), Cache_Control=DAY)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        for number, target in enumerate(("/b", "/other")):
            await edge.get(target)
            await edge.ended("filled", number + 1)
        await edge.get("/a", "POST", b"x")
        assert (await edge.get("/b")).body == b"3"
        assert (await edge.get("/other")).body == b"1"


async def test_what_it_names_elsewhere_stays(tmp_path: Path) -> None:
    """RFC 9111 4.4: of another origin nothing is invalidated."""

    async def script(call: Call) -> None:
        if call.method == "POST":
            await call.answer(status=201, Location="http://other.test/b")
        else:
            await call.answer(b"kept", Cache_Control=DAY)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/b")
        await edge.ended("filled")
        await edge.get("/a", "POST", b"x")
        assert "; hit" in (await edge.get("/b")).cache


def test_a_store_that_knows_groups_is_recognised() -> None:
    """RFC 9875 3: the hook that a store may have."""

    class Knows:
        async def invalidate_groups(self, groups: tuple[str, ...]) -> None:
            return None

    assert isinstance(Knows(), InvalidatesGroups)
    assert not isinstance(object(), InvalidatesGroups)


async def test_an_origin_that_recovers_is_asked_again(tmp_path: Path) -> None:
    """A failure is told to those who waited, and remembered for nobody else."""

    async def script(call: Call) -> None:
        if call.number == 0:
            call.die()
        else:
            await call.send(head(length=1, Cache_Control=DAY) + b"x")

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        statuses = [(await edge.get("/a")).status for _ in range(2)]
        assert statuses[-1] == 200
        await until(lambda: edge.count("fills_total", "filled") == 1)
