"""The certificate that a viewer gets, new ones, and those of upstreams (issue 4, part 4; CDN-21, SEC-02, C-54)."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from kit.errors import SettingsError
from tests.support.certificates import Authority, Files
from tests.support.nodes import node
from tests.support.secure import NAME, get, handshakes, secure, shown, speaks
from tests.support.wire import until


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
