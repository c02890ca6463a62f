"""Viewers: slow ones, uploads, pipelining, HTTP/1.0, and those who mean harm (RFC 9112; THREAT_MODEL)."""

import asyncio
import os
import re
import socket
from pathlib import Path

import orjson
import pytest

from tests.support.nodes import node
from tests.support.upstream import Call, in_turn, says, upstream
from tests.support.wire import CutOff, until, viewer

DAY = "public, max-age=86400"
HUGE = os.urandom(4 * 2**20)


async def _echo(call: Call) -> None:
    await call.answer(b"%s %s " % (call.method.encode(), call.target.encode()) + call.body, Cache_Control="no-store")


async def test_a_viewer_that_reads_nothing_holds_up_nobody_and_is_let_go(tmp_path: Path) -> None:
    async with (
        upstream(says(HUGE, Cache_Control=DAY)) as origin,
        node(tmp_path, origin.url, limits={"send_timeout_s": 0.3}, send_buffer=16_384) as edge,
    ):
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        narrow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", edge.port))
        with narrow:
            await asyncio.get_running_loop().sock_sendall(narrow, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            await origin.called(1)
            assert (await edge.get("/a")).body == HUGE
            await until(lambda: edge.count("connections") == 0, "the slow viewer was let go")
        await edge.ended("filled")


async def test_a_viewer_that_leaves_a_small_answer_unread_is_let_go_too(tmp_path: Path) -> None:
    """The answer fits the buffers, so nothing waits for it; only the kernel can tell that it is not taken."""
    async with upstream(says(b"x" * 60_000, Cache_Control=DAY)) as origin:
        limits = {"send_timeout_s": 0.3, "idle_timeout_s": 0.3}
        async with node(tmp_path, origin.url, limits=limits, send_buffer=4096) as edge:
            narrow = socket.socket()
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            narrow.setblocking(False)
            await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", edge.port))
            with narrow:
                await asyncio.get_running_loop().sock_sendall(narrow, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
                await until(lambda: edge.count("connections") == 1)
                await until(lambda: edge.count("connections") == 0, "let go")


@pytest.mark.parametrize("part", [b"", b"GET /a HT", b"GET /a HTTP/1.1\r\nHost: x\r\nX-"])
async def test_a_head_that_does_not_come_closes_the_connection(tmp_path: Path, part: bytes) -> None:
    limits = {"header_timeout_s": 0.1, "idle_timeout_s": 0.3}
    async with node(tmp_path, "http://127.0.0.1:1", limits=limits) as edge, viewer(edge.port) as each:
        await each.send(part)
        assert await each.rest() == b""


async def test_a_head_that_stalls_behind_an_answered_request_closes_the_connection(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await go.wait()
        await call.answer(b"ok", Cache_Control="no-store")

    async with (
        upstream(script) as origin,
        node(tmp_path, origin.url, limits={"header_timeout_s": 0.1}) as edge,
        viewer(edge.port) as each,
    ):
        await each.ask("/a")
        await origin.called(1)
        await each.send(b"GET /b HT")
        go.set()
        assert (await each.answer()).body == b"ok"
        assert await each.rest() == b""


async def test_an_upload_that_stalls_is_a_4xx_and_frees_the_upstream(tmp_path: Path) -> None:
    async with upstream(_echo) as origin, node(tmp_path, origin.url, limits={"send_timeout_s": 0.2}) as edge:
        async with viewer(edge.port) as each:
            await each.send(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
            assert (await each.head()).status == 400
        await until(lambda: origin.open == 0)


async def test_an_upload_that_turns_to_garbage_is_a_4xx(tmp_path: Path) -> None:
    async with upstream(_echo) as origin, node(tmp_path, origin.url, limits={"send_timeout_s": 0.3}) as edge:
        async with viewer(edge.port) as each:
            await each.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await until(lambda: origin.open == 1)
            await each.send(b"zz\r\n")
            assert (await each.head()).status == 400
        await until(lambda: origin.open == 0)
        assert not origin.calls


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "GET"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_and_methods_are_forwarded(tmp_path: Path, method: str, chunked: bool) -> None:
    """A GET's body has no meaning (RFC 9110 9.3.1) and stays here, so that it cannot change a stored answer."""
    async with upstream(_echo) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 5"
        body = b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n" if chunked else b"abcde"
        await each.send(b"%s /x?y=1 HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n%s" % (method.encode(), framing, body))
        expected = b"" if method == "GET" else b"abcde"
        assert (await each.answer()).body == b"%s /x?y=1 " % method.encode() + expected
        await each.ask("/next")
        assert (await each.answer()).body == b"GET /next "


async def test_expect_100_continue_is_answered_before_the_body(tmp_path: Path) -> None:
    """RFC 9110 10.1.1."""
    async with upstream(_echo) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        await each.send(b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert (await each.head()).status == 100
        await each.send(b"abc")
        assert (await each.answer()).body == b"POST /a abc"


async def test_a_big_upload_and_its_answer_pass_through(tmp_path: Path) -> None:
    async with upstream(_echo) as origin, node(tmp_path, origin.url) as edge:
        assert (await edge.get("/a", "PUT", HUGE)).body == b"PUT /a " + HUGE


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    """RFC 9112 9.3.2; hits and misses, large and small, mixed."""

    async def script(call: Call) -> None:
        size = int(call.target[1:])
        await call.answer(call.target.encode() * (size or 1), Cache_Control=DAY if size % 2 else "no-store")

    sizes = [1, 50_000, 2, 1, 50_001, 0, 50_001, 3, 1, 50_000]
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        await each.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % size for size in sizes))
        for size in sizes:
            assert (await each.answer()).body == b"/%d" % size * (size or 1)


async def test_http_1_0_is_answered_and_closed_or_kept_on_request(tmp_path: Path) -> None:
    """RFC 9112 9.3, C.2.2."""
    async with (
        upstream(says(b"body", Cache_Control=DAY)) as origin,
        node(tmp_path, origin.url) as edge,
        viewer(edge.port) as each,
    ):
        await each.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        first = await each.answer()
        assert (first.body, first.field("Connection")) == (b"body", "keep-alive")
        await each.send(b"GET /a HTTP/1.0\r\n\r\n")
        assert (await each.answer()).field("Connection") == "close"
        assert await each.rest() == b""


async def test_connections_over_the_limit_are_closed_at_once(tmp_path: Path) -> None:
    async with (
        upstream(says(b"ok")) as origin,
        node(tmp_path, origin.url, limits={"connections": 2}) as edge,
        viewer(edge.port) as one,
        viewer(edge.port),
        viewer(edge.port) as three,
    ):
        assert await three.rest() == b""
        await one.ask("/a")
        assert (await one.answer()).body == b"ok"


HOSTILE = {
    "dot-dot": b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "encoded-dots": b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "mixed-dots": b"GET /a/.%2E/../%2e./etc HTTP/1.1\r\nHost: x\r\n\r\n",
    "control-byte": b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
    "high-byte": b"GET /a\xffb HTTP/1.1\r\nHost: x\r\n\r\n",
    "space": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "half-escape": b"GET /a%4 HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute-form": b"GET http://other.test/a HTTP/1.1\r\nHost: x\r\n\r\n",
    "authority-form": b"CONNECT other.test:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk-form": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "long-field": b"GET /a HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 65_536 + b"\r\n\r\n",
    "many-fields": b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    "long-target": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "longest-target": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "http-0.9": b"GET /a\r\n\r\n",
    "http-3.0": b"GET /a HTTP/3.0\r\nHost: x\r\n\r\n",
    "length-and-chunked": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    "two-lengths": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "negative-length": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n",
    "unknown-coding": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "folded-field": b"GET /a HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "space-before-colon": b"GET /a HTTP/1.1\r\nHost : x\r\n\r\n",
    "nul-in-field": b"GET /a HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 40 + b"\r\n\r\n",
    "junk": os.urandom(200).replace(b"\n", b"") + b"\r\n\r\n",
    "unknown-expectation": b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 3\r\n\r\nabc",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_means_harm_gets_a_4xx_or_a_closed_connection(tmp_path: Path, name: str) -> None:
    """Never a 5xx, nothing of it reaches the origin, no file outside the cache is touched (issue 2, Must show)."""
    (tmp_path / "secret").write_bytes(b"secret")
    async with upstream(says(b"ok", Cache_Control=DAY)) as origin, node(tmp_path / "cache", origin.url) as edge:
        async with viewer(edge.port) as each:
            try:
                await each.send(HOSTILE[name])
                got = await each.answer()
            except (CutOff, ConnectionError):
                pass
            else:
                assert (400 <= got.status < 500, got.field("X-Request-ID")) == (
                    True,
                    got.field("X-Request-ID") or "one",
                )
        assert not origin.calls
        assert (await edge.get("/well")).body == b"ok"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "secret"]


@pytest.mark.parametrize(
    "target", ["/a%2fb", "/a%00b", "/a//b", "/a/./b", "/a/b/..", "/a%5cb", "/a;b", "/x?a=../..%00"]
)
async def test_odd_but_legal_targets_pass_an_open_edge_unchanged(tmp_path: Path, target: str) -> None:
    """A proxy before a foreign origin does not know what they mean there; the cache file's name is a digest."""
    async with upstream(_echo) as origin, node(tmp_path, origin.url) as edge:
        assert (await edge.get(target)).body == b"GET " + target.encode() + b" "


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xc3\xa9", b"a\tb"])
async def test_fields_that_are_no_ascii_are_no_fault(tmp_path: Path, value: bytes) -> None:
    async with upstream(says(b"ok")) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        await each.send(b"GET /a HTTP/1.1\r\nHost: x\r\nX-Odd: " + value + b"\r\n\r\n")
        assert (await each.answer()).status == 200


async def test_an_upgrade_is_not_made(tmp_path: Path) -> None:
    """RFC 9110 7.8: a server may ignore it; the request is answered as if it had not been there."""
    async with upstream(says(b"ok")) as origin, node(tmp_path, origin.url) as edge, viewer(edge.port) as each:
        for protocol in ("h2c", "websocket"):
            await each.ask("/a", Connection="Upgrade", Upgrade=protocol)
            assert (await each.answer()).body == b"ok"
        assert origin.calls[0].field("Upgrade") is None


async def test_every_answer_has_a_request_id_and_every_line_of_the_log_is_json(tmp_path: Path) -> None:
    """T-035: a sane id of the caller's is taken over, another is replaced; the same one is in answer and log."""
    log = tmp_path / "access.log"
    script = in_turn(says(b"ok", Cache_Control=DAY), says(b"no", 500))
    async with upstream(script) as origin:
        async with node(tmp_path / "cache", origin.url, access_log=str(log)) as edge:
            ids = []
            for target in ("/a", "/a", "/error", '/"quoted"\\', "/../up", "/%zz", "/'<>{}|^`"):
                got = await edge.get(target, X_Request_ID="mine-1")
                await edge.ended("filled")
                ids.append(got.field("X-Request-ID"))
            ids.append((await edge.get("/a", X_Request_ID='bad"id')).field("X-Request-ID"))
        lines = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    assert [line["id"] for line in lines] == ids
    assert ids[:-1] == ["mine-1"] * 7
    assert re.fullmatch("[0-9a-f]{16}", ids[-1] or "")
    assert [line["status"] for line in lines] == [200, 200, 500, 500, 400, 400, 500, 200]
    assert [line["cache"] for line in lines][:3] == ["miss", "hit", "pass"]
