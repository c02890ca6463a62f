"""TLS on the listener: answers, handshakes, patience, endings (issue 4, part 4; CDN-21)."""

import asyncio
import contextlib
import os
import ssl
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.host.worker import drain
from proxy.tls.handshake import quiet
from tests.support.certificates import Authority, Files
from tests.support.nodes import Node
from tests.support.secure import NAME, get, handshakes, secure, speaks, warm
from tests.support.sizes import HUGE, narrow
from tests.support.wire import CutOff, Viewer, until, viewer

GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_hit_a_file_a_range_a_condition_and_a_miss(tmp_path: Path, authority: Authority, pair: Files) -> None:
    async with warm(tmp_path, authority, pair) as edge, speaks(edge, authority) as each:
        for target, body in (("/small", b"small"), ("/huge", HUGE), ("/never", b"no-store"), ("/other", b"other")):
            await each.ask(target)
            assert (await each.answer()).body == body
        await each.ask("/huge", Range="bytes=5-1048580")
        part = await each.answer()
        assert (part.status, part.body) == (206, HUGE[5:1048581])
        await each.ask("/small", If_None_Match='"1"')
        assert (await each.answer()).status == 304
        assert edge.count("responses_total", "hit") == edge.count("lane_total", "fast") == 5
        assert handshakes(edge, "done") == edge.count("tls_connections_total", "TLSv1.3") == 4


async def test_the_connection_speaks_tls_1_3_and_http_1_1(tmp_path: Path, authority: Authority, pair: Files) -> None:
    context = authority.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with secure(tmp_path, pair) as edge, viewer(edge.port, ssl=context, server_hostname=NAME) as each:
        spoken = each.writer.get_extra_info("ssl_object")
        assert (spoken.version(), spoken.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")


async def test_pipelined_answers_come_in_order(tmp_path: Path, authority: Authority, pair: Files) -> None:
    targets = ["/small", "/huge", "/never", "/other", "/huge", *["/small", "/other"] * 40, "/never"]
    bodies = {"/small": b"small", "/huge": HUGE, "/other": b"other", "/never": b"no-store"}
    async with warm(tmp_path, authority, pair) as edge, speaks(edge, authority) as each:
        each.writer.write(b"".join(GET % target.encode() for target in targets))
        for target in targets:
            assert (await each.answer()).body == bodies[target], target


@pytest.mark.parametrize("send_buffer", [None, 16_384])
async def test_files_in_a_row_on_many_connections(
    tmp_path: Path, authority: Authority, pair: Files, send_buffer: int | None
) -> None:
    """TLS says that it takes more in the middle of a write, too."""

    async def play(edge: Node) -> None:
        async with speaks(edge, authority) as each:
            for start in range(0, 15 * 2**18, 2**18):
                await each.ask("/huge", Range=f"bytes={start}-{start + 2**20 - 1}")
                assert (await each.answer()).body == HUGE[start : start + 2**20]

    async with warm(tmp_path, authority, pair, send_buffer=send_buffer) as edge:
        await asyncio.gather(*(play(edge) for _ in range(8)))
        assert edge.count("lane_total", "fast") == 120


async def test_a_cold_file_is_read_off_the_loop(
    tmp_path: Path, authority: Authority, pair: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_threads: list[bool] = []
    read = os.preadv

    def seen(fd: int, buffers: object, offset: int, flags: int = 0) -> int:
        if flags & os.RWF_NOWAIT:
            raise BlockingIOError  # as for a page on the disk
        in_threads.append(threading.current_thread() is not threading.main_thread())
        return read(fd, buffers, offset, flags)  # type: ignore[arg-type]

    async with warm(tmp_path, authority, pair) as edge:
        monkeypatch.setattr(os, "preadv", seen)
        assert (await get(edge, authority, "/huge", Range="bytes=5-")).body == HUGE[5:]
        assert edge.count("lane_total", "fast") == 1
    assert in_threads
    assert all(in_threads)


async def test_a_file_cut_short_under_us_cuts_the_viewer_and_is_fetched_again(
    tmp_path: Path, authority: Authority, pair: Files
) -> None:
    async with warm(tmp_path, authority, pair) as edge:
        (file,) = [path for path in edge.files() if path.stat().st_size > len(HUGE)]
        os.truncate(file, 2**20)
        with pytest.raises(CutOff):
            await get(edge, authority, "/huge")
        assert edge.count("store_errors_total") == 1
        assert (await get(edge, authority, "/huge")).body == HUGE


async def test_a_torn_head_is_put_together(tmp_path: Path, authority: Authority, pair: Files) -> None:
    async with warm(tmp_path, authority, pair) as edge, speaks(edge, authority) as each:
        for _ in range(2):
            whole = GET % b"/small"
            for at in range(0, len(whole), 7):
                await each.send(whole[at : at + 7])
            assert (await each.answer()).body == b"small"


async def test_plain_http_and_noise_end_in_a_closed_connection(
    tmp_path: Path, authority: Authority, pair: Files
) -> None:
    async with warm(tmp_path, authority, pair) as edge:
        for number, data in enumerate((GET % b"/small", b"\x16\x03\x01\xff\xff" + b"x" * 70_000, b"\0" * 10), 1):
            async with viewer(edge.port) as each:
                await each.send(data)
                with contextlib.suppress(CutOff):
                    assert b"small" not in await each.rest()
            await until(lambda number=number: handshakes(edge, "failed") == number)  # type: ignore[misc]
        await until(lambda: edge.count("connections") == 0)
        assert edge.count("responses_total", "hit") == 0


async def test_half_a_handshake_has_a_place_and_a_deadline(tmp_path: Path, authority: Authority, pair: Files) -> None:
    limits = {"header_timeout_s": 0.3, "connections_per_client": 2}
    async with (
        secure(tmp_path, pair, limits=limits) as edge,
        viewer(edge.port) as silent,
        viewer(edge.port) as half,
    ):
        await half.send(b"\x16\x03\x01\x02")
        await until(lambda: edge.count("connections") == 2)
        async with viewer(edge.port) as third:
            with contextlib.suppress(CutOff):
                assert await third.rest() == b""
        assert handshakes(edge, "refused") == 1
        for each in (silent, half):
            with contextlib.suppress(CutOff):
                assert await each.rest() == b""
        await until(lambda: handshakes(edge, "late") == 2)
        assert edge.count("connections") == 0
        assert (await get(edge, authority, "/small")).body == b"small"


async def test_a_viewer_that_leaves_in_its_handshake_is_counted(
    tmp_path: Path, authority: Authority, pair: Files
) -> None:
    async with secure(tmp_path, pair) as edge:
        for number in range(1, 3):
            async with viewer(edge.port) as each:
                await each.send(b"\x16\x03\x01\x02")
                await until(lambda: edge.count("connections") == 1)
                if number == 1:
                    each.leave()
            await until(lambda number=number: handshakes(edge, "left") == number)  # type: ignore[misc]
        assert edge.count("connections") == 0


async def test_a_server_name_that_is_no_text_fails_without_a_word(
    tmp_path: Path, authority: Authority, pair: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ssl module would write a traceback for each."""
    told: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, told.append
    try:
        with quiet():
            async with secure(tmp_path, pair) as edge, viewer(edge.port) as each:
                await each.send(_hello("name.test").replace(b"name.test", b"n\xffme.test"))
                with contextlib.suppress(CutOff):
                    await each.rest()
                await until(lambda: handshakes(edge, "failed") == 1)
    finally:
        sys.unraisablehook = before
    assert told == []


def _hello(name: str) -> bytes:
    """A viewer's first message."""
    outgoing = ssl.MemoryBIO()
    connection = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


@contextlib.asynccontextmanager
async def slow(edge: Node, authority: Authority) -> AsyncIterator[Viewer]:
    """A viewer whose buffers hold little."""
    options = {"sock": await narrow(edge), "ssl": authority.client(), "server_hostname": NAME, "limit": 1024}
    reader, writer = await asyncio.open_connection(**options)  # type: ignore[arg-type]
    try:
        yield Viewer(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_a_slow_reader_costs_others_nothing_and_is_let_go(
    tmp_path: Path, authority: Authority, pair: Files
) -> None:
    async with (
        warm(tmp_path, authority, pair, limits={"send_timeout_s": 0.4}) as edge,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(4):
            each = await stack.enter_async_context(slow(edge, authority))
            await each.ask("/huge")
        for _ in range(10):
            assert (await get(edge, authority, "/small")).body == b"small"
        await until(lambda: edge.count("connections") == 0, "the slow ones were let go")


async def test_a_slow_reader_that_reads_gets_all(tmp_path: Path, authority: Authority, pair: Files) -> None:
    """A timeout is from piece to piece, not for the whole; closing waits for what is unsent."""
    async with warm(tmp_path, authority, pair, limits={"send_timeout_s": 1.0}) as edge, speaks(edge, authority) as each:
        await each.ask("/huge", Connection="close")
        await each.head()
        got = b""
        while len(got) < len(HUGE):
            got += await each.read(65_536)
            await get(edge, authority, "/small")
        assert got == HUGE
        assert await each.rest() == b""


async def test_a_drain_closes_idle_connections_and_handshakes_and_finishes_an_answer_under_way(
    tmp_path: Path, authority: Authority, pair: Files
) -> None:
    async with (
        warm(tmp_path, authority, pair) as edge,
        speaks(edge, authority) as idle,
        speaks(edge, authority) as busy,
        viewer(edge.port) as half,
    ):
        await idle.ask("/small")
        await idle.answer()
        await busy.ask("/huge")
        await busy.head()
        await until(lambda: edge.count("connections") == 3)
        draining = asyncio.create_task(drain(edge.server, 5.0))
        assert await idle.rest() == b""
        with contextlib.suppress(CutOff):
            assert await half.rest() == b""
        assert not draining.done()
        assert await busy.read(len(HUGE)) == HUGE
        assert await busy.rest() == b""
        await draining


async def test_an_idle_viewer_that_never_answers_the_farewell_is_not_waited_for(
    tmp_path: Path, authority: Authority, pair: Files
) -> None:
    """RFC 8446 6.1: whoever has said close_notify may close without the other's."""
    async with secure(tmp_path, pair, limits={"idle_timeout_s": 0.2, "send_timeout_s": 60}) as edge:
        raw = await narrow(edge)
        client = authority.client()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        silent = client.wrap_bio(incoming, outgoing, server_hostname=NAME)
        loop = asyncio.get_running_loop()
        while True:
            try:
                silent.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(raw, outgoing.read())
                incoming.write(await loop.sock_recv(raw, 65_536))
        await loop.sock_sendall(raw, outgoing.read())
        await until(lambda: handshakes(edge, "done") == 1)
        await until(lambda: edge.count("connections") == 0, "closed")
        raw.close()
