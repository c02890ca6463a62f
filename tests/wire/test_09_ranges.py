"""Several ranges at once, from memory, from a file and from what is still growing (RFC 9110 14, 15.3.7.2)."""

import asyncio
import os
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.support.nodes import node
from tests.support.upstream import Call, head, says, upstream
from tests.support.wire import Answer, get

DAY = "public, max-age=86400"
SMALL, LARGE = bytes(range(250)) * 4, os.urandom(300_000)


def _parts(got: Answer) -> list[tuple[str | None, bytes]]:
    """The parts of a multipart answer as the standard library's own parser has them."""
    kind = got.field("Content-Type") or ""
    parsed = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + got.body, policy=policy.HTTP)
    assert isinstance(parsed, EmailMessage)
    assert parsed.get_content_type() == "multipart/byteranges"
    boundary = (kind.partition("boundary=")[2]).encode()
    blocks = got.body.split(b"\r\n--" + boundary)[1:-1]
    found = []
    for message, block in zip(parsed.iter_parts(), blocks, strict=True):
        assert message["Content-Type"] == "video/mp4"
        found.append((message["Content-Range"], block.partition(b"\r\n\r\n")[2]))
    return found


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["memory", "disk"])
async def test_two_ranges_of_a_hit(tmp_path: Path, body: bytes) -> None:
    script = says(body, Cache_Control=DAY, Content_Type="video/mp4", ETag='"v"')
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        got = await edge.get("/a", Range="bytes=500-509,0-9,-5", If_Range='"v"')
        size = len(body)
        assert (got.status, got.field("Content-Range")) == (206, None)
        assert _parts(got) == [
            (f"bytes 500-509/{size}", body[500:510]),
            (f"bytes 0-9/{size}", body[:10]),
            (f"bytes {size - 5}-{size - 1}/{size}", body[-5:]),
        ]
        assert (await edge.get("/a", Range="bytes=0-9,20-29", If_Range='"w"')).body == body
        assert (await edge.get("/a", Range="bytes=999999-,888888-")).status == 416
        assert len(origin.calls) == 1


async def test_ranges_of_a_growing_object_come_as_they_are_there(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await call.send(head(length=len(LARGE), Cache_Control=DAY, Content_Type="video/mp4") + LARGE[:100_000])
        await go.wait()
        await call.send(LARGE[100_000:])

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        leader = asyncio.create_task(edge.get("/a"))
        await origin.called(1)
        early = await edge.get("/a", Range="bytes=0-9,100-109")
        assert [data for _, data in _parts(early)] == [LARGE[:10], LARGE[100:110]]
        late = asyncio.create_task(edge.get("/a", Range="bytes=-10,0-9"))
        go.set()
        assert [data for _, data in _parts(await late)] == [LARGE[-10:], LARGE[:10]]
        assert (await leader).body == LARGE


async def test_an_abusive_set_gets_the_object_once(tmp_path: Path) -> None:
    """RFC 9110 17.15: a thousand ranges cost what one answer costs."""
    async with upstream(says(LARGE, Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        many = await get(edge.port, "/a", Range="bytes=" + ",".join(f"{n}-" for n in range(1000)))
        assert (many.status, many.body) == (200, LARGE)
        same = await get(edge.port, "/a", Range="bytes=" + ",".join(["0-"] * 60))
        assert (same.status, same.body) == (206, LARGE)


async def test_a_206_of_the_origin_is_never_taken_for_the_whole(tmp_path: Path) -> None:
    """RFC 9111 3.3: this cache stores no parts; an unasked 206 is passed on and forgotten."""
    script = says(b"ab", 206, Cache_Control=DAY, Content_Range="bytes 0-1/9")
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        for _ in range(2):
            assert (await edge.get("/a")).status == 206
        assert len(origin.calls) == 2
        assert not edge.files()


async def test_a_date_in_if_range_counts_only_where_it_is_strong(tmp_path: Path) -> None:
    """RFC 9110 13.1.5, 8.8.2.2."""
    changed, later = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT"

    async def script(call: Call) -> None:
        sent = later if call.target == "/strong" else changed
        await call.answer(SMALL, Cache_Control="max-age=999999999", Last_Modified=changed, Date=sent)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        for target, status in (("/strong", 206), ("/weak", 200)):
            await edge.get(target)
            assert (await edge.get(target, Range="bytes=0-9", If_Range=changed)).status == status
