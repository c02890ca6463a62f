"""TLS on the listener and towards upstreams (issue 4, part 4; CDN-21, SEC-02, C-54)."""

import asyncio
import contextlib
import os
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.errors import SettingsError
from proxy.host.worker import drain
from proxy.tls.handshake import quiet
from tests.support.certificates import Authority, Files
from tests.support.nodes import Node, node
from tests.support.upstream import Call, upstream
from tests.support.wire import Answer, CutOff, Viewer, until, viewer

DAY = "public, max-age=86400"
HUGE = os.urandom(4 * 2**20)
GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
NAME = "edge.test"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who issues what the test needs."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def pair(authority: Authority) -> Files:
    """The edge's certificate."""
    return authority.issue(NAME)


async def _bodies(call: Call) -> None:
    body = {"/huge": HUGE, "/small": b"small", "/other": b"other"}.get(call.target, b"no-store")
    await call.answer(body, Cache_Control="no-store" if body == b"no-store" else DAY, ETag='"1"')


@contextlib.asynccontextmanager
async def secure(
    tmp_path: Path, *pairs: Files, send_buffer: int | None = 65_536, **changes: object
) -> AsyncIterator[Node]:
    """An edge that speaks TLS with `pairs`, before an upstream that has /huge, /small and /other."""
    given = [each.setting for each in pairs]
    async with (
        upstream(_bodies) as origin,
        node(tmp_path / "cache", origin.url, tls=given, send_buffer=send_buffer, **changes) as edge,  # type: ignore[arg-type]
    ):
        yield edge


@contextlib.asynccontextmanager
async def warm(tmp_path: Path, authority: Authority, pair: Files, **changes: object) -> AsyncIterator[Node]:
    """The same, its cache filled."""
    async with secure(tmp_path, pair, **changes) as edge:
        for number, target in enumerate(("/huge", "/small", "/other"), 1):
            await get(edge, authority, target)
            await edge.ended("filled", number)
        yield edge


@contextlib.asynccontextmanager
async def speaks(
    edge: Node, authority: Authority, name: str = NAME, version: ssl.TLSVersion | None = None
) -> AsyncIterator[Viewer]:
    """A viewer that verified the certificate of `name`."""
    async with viewer(edge.port, ssl=authority.client(version), server_hostname=name) as each:
        yield each


async def get(edge: Node, authority: Authority, target: str, **fields: str) -> Answer:
    """One request on a connection of its own."""
    async with speaks(edge, authority) as each:
        await each.ask(target, **fields)
        return await each.answer()


async def shown(edge: Node, authority: Authority, name: str | None) -> set[str]:
    """The names of the certificate that a viewer asking for `name` gets, whether it fits or not."""
    context = authority.client()
    context.check_hostname = False
    async with viewer(edge.port, ssl=context, server_hostname=name or "") as each:
        certificate = each.writer.get_extra_info("peercert")
        return {value for _, value in certificate["subjectAltName"]}


def handshakes(edge: Node, outcome: str) -> int:
    """How many ended so."""
    return edge.count("tls_handshakes_total", outcome)


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


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("edge.test", {"edge.test"}),
        ("EDGE.test", {"edge.test"}),
        ("a.films.test", {"*.films.test", "films.test"}),
        ("films.test", {"*.films.test", "films.test"}),
        ("own.films.test", {"own.films.test"}),
        ("a.b.films.test", {"edge.test"}),
        ("unknown.test", {"edge.test"}),
        (None, {"edge.test"}),
    ],
)
async def test_the_certificate_is_chosen_by_name(
    tmp_path: Path, authority: Authority, pair: Files, asked: str | None, given: set[str]
) -> None:
    """RFC 6066 3, RFC 9525 6.3: a wildcard is for one label, and the name itself goes first."""
    others = authority.issue("*.films.test", "films.test"), authority.issue("own.films.test")
    async with secure(tmp_path, pair, *others) as edge:
        assert await shown(edge, authority, asked) == given


async def test_tls_1_2_is_refused_by_default_and_spoken_when_chosen(
    tmp_path: Path, authority: Authority, pair: Files
) -> None:
    """CDN-21, C-54: old devices are let in by a setting."""
    old = ssl.TLSVersion.TLSv1_2
    async with secure(tmp_path, pair) as edge:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with speaks(edge, authority, version=old):
                pass
        await until(lambda: handshakes(edge, "failed") == 1)
    async with secure(tmp_path, pair, tls_min="1.2") as edge, speaks(edge, authority, version=old) as each:
        await each.ask("/small")
        assert (await each.answer()).body == b"small"
        assert edge.count("tls_connections_total", "TLSv1.2") == 1


async def test_new_files_are_taken_while_connections_stay(tmp_path: Path, authority: Authority, pair: Files) -> None:
    new = authority.issue(NAME, "new.test")
    async with secure(tmp_path, pair, tls_watch_s=0.02) as edge, speaks(edge, authority) as before:
        await before.ask("/small")
        await before.answer()
        pair.become(new)
        while await shown(edge, authority, "new.test") != {NAME, "new.test"}:
            pass
        async with speaks(edge, authority, "new.test") as after:
            for each in (before, after):
                await each.ask("/small")
                assert (await each.answer()).body == b"small"
        assert edge.count("tls_certificates_refused") == 0


@pytest.mark.parametrize("harm", ["no key", "another's key", "no certificate", "gone"])
async def test_bad_files_leave_the_old_certificate_serving(
    tmp_path: Path, authority: Authority, pair: Files, harm: str
) -> None:
    new = authority.issue("new.test")
    async with secure(tmp_path, pair, tls_watch_s=0.02) as edge:
        match harm:
            case "no key":
                pair.key.write_bytes(b"-----BEGIN PRIVATE KEY-----\n")
            case "another's key":
                pair.key.write_bytes(new.key.read_bytes())
            case "no certificate":
                pair.cert.write_bytes(b"")
            case _:
                pair.cert.unlink()
        await until(lambda: edge.count("tls_certificates_refused") == 1)
        assert await shown(edge, authority, None) == {NAME}
        assert (await get(edge, authority, "/small")).body == b"small"
        pair.become(new)
        await until(lambda: edge.count("tls_certificates_refused") == 0)
        assert await shown(edge, authority, None) == {"new.test"}


async def test_one_bad_pair_does_not_keep_another_from_being_renewed(
    tmp_path: Path, authority: Authority, pair: Files
) -> None:
    other, new = authority.issue("other.test"), authority.issue("other.test", "new.test")
    async with secure(tmp_path, pair, other, tls_watch_s=0.02) as edge:
        pair.key.write_bytes(b"")
        await until(lambda: edge.count("tls_certificates_refused") == 1)
        other.become(new)
        while await shown(edge, authority, "new.test") != {"other.test", "new.test"}:
            pass
        assert await shown(edge, authority, None) == {NAME}


def test_wrong_files_are_told_with_their_setting(tmp_path: Path, authority: Authority, pair: Files) -> None:
    async def start(*pairs: Files, **changes: object) -> None:
        async with secure(tmp_path, *pairs, **changes):
            raise AssertionError("it started")

    other = authority.issue("other.test")
    missing = tmp_path / "none"
    for pairs, says in (
        ([Files(missing, pair.key)], rf"`tls\.0\.cert`: {missing}: No such file"),
        ([pair, Files(other.cert, missing)], rf"`tls\.1\.key`: {missing}: No such file"),
        ([Files(pair.cert, other.key)], r"`tls\.0\.key`: .* does not belong to the certificate in "),
        ([Files(pair.key, pair.key)], r"`tls\.0\.cert`: .* no certificate in PEM"),
        ([authority.issue(NAME, password=b"secret")], r"`tls\.0\.key`: .* an encrypted key cannot be used"),
        ([Files(pair.cert, pair.cert)], r"`tls\.0\.key`: .* no private key in PEM"),
    ):
        with pytest.raises(SettingsError, match=says):
            asyncio.run(start(*pairs))
    with pytest.raises(SettingsError, match=rf"`upstream\.ca`: {missing}"):
        asyncio.run(start(pair, upstream={"ca": missing}))


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


async def narrow(edge: Node) -> socket.socket:
    """A socket whose buffer holds little."""
    each = socket.socket()
    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    each.setblocking(False)
    await asyncio.get_running_loop().sock_connect(each, ("127.0.0.1", edge.port))
    return each


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


@pytest.mark.parametrize("upstreams", ["right", "wrong authority", "wrong name", "no TLS"])
async def test_an_https_upstream_is_verified(tmp_path: Path, authority: Authority, pair: Files, upstreams: str) -> None:
    """RFC 9209 2.3: a wrong certificate is said as such; it is asked for nothing."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            coming = reader.readuntil(b"\r\n\r\n") if listening else reader.read(1)
            asked.append((await coming).decode("latin-1"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe")
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    named = authority.issue("other.test" if upstreams == "wrong name" else "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(named.cert, named.key)
    listening = None if upstreams == "no TLS" else context
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=listening)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    ca = Authority(tmp_path / "stranger").file if upstreams == "wrong authority" else authority.file
    async with server, node(tmp_path / "cache", url, upstream={"ca": ca}) as edge:
        got = await edge.get("/x")
    if upstreams == "right":
        assert (got.status, got.body) == (200, b"safe")
        assert asked
    else:
        error = "tls_protocol_error" if upstreams == "no TLS" else "tls_certificate_error"
        assert (got.status, got.field("Proxy-Status")) == (502, f"edge; error={error}")
        assert not [each for each in asked if "/x" in each]
