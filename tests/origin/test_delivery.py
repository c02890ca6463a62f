"""Delivery: published bytes, to shields only."""

import asyncio
import base64
import hashlib
import os
from pathlib import Path

import pytest
from aiohttp import ClientOSError, ClientPayloadError, web
from aiohttp.test_utils import TestClient, TestServer

from control.contract.credential import issue
from origin.app import wire
from origin.app.metrics import Metrics
from origin.contract.headers import REFUSAL_BODY
from origin.delivery.body import Bodies
from tests.origin.conftest import Running
from tests.origin.installation import FILES, FLEET

BASE = "/content/bbb/v1/"
SEGMENT = BASE + "v720/00001.m4s"
DATA = FILES["v720/00001.m4s"][2]
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'
YEAR = "public, max-age=31536000, immutable"
MINUTE = "public, max-age=60, stale-while-revalidate=60, stale-if-error=86400"


async def test_every_file_comes_whole_with_its_fields(origin: Running) -> None:
    for name, (content_type, kind, data) in FILES.items():
        async with origin.delivery.get(BASE + name, headers=origin.signed(BASE + name)) as answer:
            assert answer.status == 200
            assert await answer.read() == data
            fields = answer.headers
        digest = hashlib.sha256(data).digest()
        assert fields["Content-Type"] == content_type
        assert fields["Content-Length"] == str(len(data))
        assert fields["ETag"] == f'"{digest.hex()}"'
        assert fields["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
        assert fields["Last-Modified"] == "Fri, 15 Jan 2027 08:00:00 GMT"
        assert fields["Accept-Ranges"] == "bytes"
        assert fields["Cache-Control"] == (MINUTE if kind == "master" else YEAR), "D-08, CDN-14"
        groups = [f'"title:bbb", "version:v1", "class:{kind}"', '"rung:v720"']
        assert fields["Cache-Groups"] == (", ".join(groups) if name.startswith("v720/") else groups[0])


async def test_head_says_the_same_without_the_bytes(origin: Running) -> None:
    async with origin.delivery.head(SEGMENT, headers=origin.signed(SEGMENT, "HEAD")) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(DATA)))
        assert answer.headers["ETag"] == ETAG
        assert await answer.read() == b""


@pytest.mark.parametrize(
    ("value", "status", "expected", "content_range"),
    [
        ("bytes=0-0", 206, DATA[:1], f"bytes 0-0/{len(DATA)}"),
        ("bytes=1000-", 206, DATA[1000:], f"bytes 1000-{len(DATA) - 1}/{len(DATA)}"),
        ("bytes=-5", 206, DATA[-5:], f"bytes {len(DATA) - 5}-{len(DATA) - 1}/{len(DATA)}"),
        (f"bytes=262143-{262145}", 206, DATA[262143:262146], f"bytes 262143-262145/{len(DATA)}"),
        (f"bytes=5-{10**9}", 206, DATA[5:], f"bytes 5-{len(DATA) - 1}/{len(DATA)}"),
        (f"bytes={len(DATA)}-", 416, b"", f"bytes */{len(DATA)}"),
        ("bytes=5-4", 200, DATA, None),
        ("lines=1-2", 200, DATA, None),
    ],
)
async def test_ranges(origin: Running, value: str, status: int, expected: bytes, content_range: str | None) -> None:
    fields = origin.signed(SEGMENT) | {"Range": value}
    async with origin.delivery.get(SEGMENT, headers=fields) as answer:
        assert answer.status == status
        assert await answer.read() == expected
        assert answer.headers.get("Content-Range") == content_range


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": f'"x", W/{ETAG}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": "Fri, 15 Jan 2027 08:00:00 GMT"}, 200),
        ({"If-Modified-Since": "Fri, 15 Jan 2027 08:00:00 GMT"}, 304),
        ({"If-Modified-Since": "Fri, 15 Jan 2027 07:59:59 GMT"}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-None-Match": ETAG, "Range": "bytes=0-1"}, 304),
        ({"If-Range": ETAG, "Range": "bytes=0-1"}, 206),
        ({"If-Range": f"W/{ETAG}", "Range": "bytes=0-1"}, 200),
        ({"If-Range": '"x"', "Range": "bytes=0-1"}, 200),
    ],
)
async def test_conditions(origin: Running, fields: dict[str, str], status: int) -> None:
    async with origin.delivery.get(SEGMENT, headers=origin.signed(SEGMENT) | fields) as answer:
        assert answer.status == status
        body = await answer.read()
        if status == 304:
            assert body == b""
            assert answer.headers["ETag"] == ETAG
            assert answer.headers["Cache-Control"] == YEAR
            assert "Repr-Digest" not in answer.headers


async def test_without_a_credential_there_is_one_answer(origin: Running) -> None:
    """SEC-07: nothing leaks whether the object exists."""
    stolen = origin.signed(SEGMENT)
    edge = issue(FLEET, "edge-1", "edge").sign("shield", method="GET", target=SEGMENT, now=origin.clock.wall())
    late = origin.signed(SEGMENT)
    answers = set()
    for path, fields in [
        (SEGMENT, {}),
        (BASE + "none", {}),
        ("/content/none/v1/x", {}),
        ("/", {}),
        (BASE + "master.m3u8", stolen),
        (SEGMENT, {"Headrace-Node": edge}),
        (SEGMENT, {"Headrace-Node": "shield" + edge[4:]}),
        (SEGMENT, {"Headrace-Node": "shield shield-1 0 x"}),
    ]:
        async with origin.delivery.get(path, headers=fields) as answer:
            answers.add((answer.status, await answer.read(), frozenset(set(answer.headers) - {"Date"})))
    origin.clock.advance(61)
    async with origin.delivery.get(SEGMENT, headers=late) as answer:
        answers.add((answer.status, await answer.read(), frozenset(set(answer.headers) - {"Date"})))
    async with origin.delivery.post(SEGMENT) as answer:
        answers.add((answer.status, await answer.read(), frozenset(set(answer.headers) - {"Date"})))
    assert len(answers) == 1
    assert next(iter(answers))[:2] == (403, REFUSAL_BODY)
    async with origin.api.get("/metrics") as answer:
        text = await answer.text()
    assert 'headrace_origin_errors_total{kind="credential_refused",listener="delivery"} 10.0' in text


@pytest.mark.parametrize("path", ["none", "v720", "v720/", "V720/00001.m4s"])
async def test_what_is_not_there(origin: Running, path: str) -> None:
    async with origin.delivery.get(BASE + path, headers=origin.signed(BASE + path)) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"] == "not_found"
    for other in ("/content/bbb/v2/master.m3u8", "/content/BBB/v1/master.m3u8", "/metrics", "/health"):
        async with origin.delivery.get(other, headers=origin.signed(other)) as answer:
            assert answer.status == 404, other


async def test_only_reading(origin: Running) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        fields = origin.signed(SEGMENT, method)
        async with origin.delivery.request(method, SEGMENT, headers=fields) as answer:
            assert answer.status == 405


async def raw(origin: Running, head: bytes) -> bytes:
    """Send bytes as they are; the first line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.delivery.port)
    try:
        writer.write(head)
        return await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "target",
    [
        b"/content/bbb/v1/../v1/master.m3u8",
        b"/content/bbb/v1/%2e%2e/v1/master.m3u8",
        b"/content/bbb/v1/v720%2f00001.m4s",
        b"/content/bbb/v1/v720%5c00001.m4s",
        b"/content//bbb/v1/master.m3u8",
        b"/content/bbb/v1/master.m3u8%00",
        b"/content/bbb/v1/master\x01.m3u8",
        b"/content/bbb/v1/m\xc3\xa4ster.m3u8",
        b"/../../../../etc/passwd",
        b"http://127.0.0.1/content/bbb/v1/master.m3u8",
        b"*",
        b"/" + b"a" * 9000,
    ],
)
async def test_odd_targets_get_4xx(origin: Running, target: bytes) -> None:
    line = await raw(origin, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert line.split(b" ")[1][:1] == b"4", line


async def test_a_damaged_object_is_an_error_never_other_bytes(origin: Running) -> None:
    path = origin.settings.state_dir / "objects" / ETAG[1:3] / ETAG[1:-1]
    os.truncate(path, 100)
    async with origin.delivery.get(SEGMENT, headers=origin.signed(SEGMENT)) as answer:
        assert answer.status == 500
        assert (await answer.json())["error"] == "object_damaged"
    path.unlink()
    async with origin.delivery.get(SEGMENT, headers=origin.signed(SEGMENT)) as answer:
        assert answer.status == 500


async def test_many_read_one_object(origin: Running) -> None:
    async def one() -> bytes:
        async with origin.delivery.get(SEGMENT, headers=origin.signed(SEGMENT)) as answer:
            return await answer.read()

    assert set(await asyncio.gather(*(one() for _ in range(40)))) == {DATA}


async def test_a_reader_that_goes_away_harms_nobody(origin: Running) -> None:
    signed = origin.signed(SEGMENT)["Headrace-Node"].encode()
    for _ in range(5):
        head = b"GET " + SEGMENT.encode() + b" HTTP/1.1\r\nHost: x\r\nHeadrace-Node: " + signed + b"\r\n\r\n"
        assert await raw(origin, head) == b"HTTP/1.1 200 OK\r\n"
    async with origin.delivery.get(SEGMENT, headers=origin.signed(SEGMENT)) as answer:
        assert await answer.read() == DATA


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("a" * 64, True), ("a" * 65, False), ("a b", False)])
async def test_t_035_the_request_id_is_echoed_when_it_is_one(origin: Running, given: str, kept: bool) -> None:
    fields = origin.signed(SEGMENT) | {"X-Request-ID": given}
    async with origin.delivery.get(SEGMENT, headers=fields) as answer:
        assert (answer.headers["X-Request-ID"] == given) is kept
        assert 1 <= len(answer.headers["X-Request-ID"]) <= 64
        await answer.read()


async def test_an_object_that_ends_early_cuts_the_connection(tmp_path: Path) -> None:
    """A cut object is never served as whole."""
    (tmp_path / "short").write_bytes(b"x" * 300_000)
    bodies = Bodies()

    async def handler(request: web.Request) -> web.StreamResponse:
        fd = await bodies.open(tmp_path / "short", 300_000)
        try:
            response = web.StreamResponse()
            response.content_length = 600_000
            await response.prepare(request)
            await bodies.send(request, response, fd, 0, 600_000)
            return response
        finally:
            os.close(fd)

    app = wire.application("delivery", Metrics())
    app.router.add_get("/", handler)
    async with TestClient(TestServer(app)) as client:
        with pytest.raises((ClientPayloadError, ClientOSError)):
            async with client.get("/") as answer:
                await answer.read()
    bodies.close()
