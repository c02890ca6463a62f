"""A session's master through a real edge: rendered from one stored answer, private, with validators of its own."""

import base64
import hashlib
from pathlib import Path

import m3u8
import pytest

from edge.admit.token import TokenTier
from kit.clock import ManualClock
from origin.contract import pathways, token
from origin.contract.pathways import Pathways
from origin.contract.token import Keys, Verifier, mint
from tests.support.nodes import node
from tests.support.upstream import Call, says, upstream
from tests.unit.test_render import HLS, MASTER, WAYS

FIELDS = {
    "Content_Type": "application/vnd.apple.mpegurl",
    "ETag": '"stored"',
    "Cache_Control": "public, max-age=60, stale-while-revalidate=60",
    "Repr_Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(MASTER).digest()).decode()}:",
    "Last_Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    token.new_key(tmp_path / "keys", "ES256")
    return Keys.load(tmp_path / "keys")


def target(keys: Keys, now: float, ways: Pathways | None = WAYS, cap: int | None = 6000, more: str = "") -> str:
    value = pathways.encode(ways) if ways else None
    text = mint(
        keys, path="/content/bbb/", now=now, ttl_s=600, cap_kbps=cap, pathways=pathways.digest(value) if value else None
    )
    query = "&".join([*([f"steer={value}"] if value else []), *([more] if more else [])])
    return f"/~{text}{HLS}" + (f"?{query}" if query else "")


async def test_one_stored_master_serves_every_session_its_own(tmp_path: Path, keys: Keys, clock: ManualClock) -> None:
    async with (
        upstream(says(MASTER, **FIELDS)) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        seen = set()
        for number in range(3):
            asked = target(keys, clock.wall(), more=f"CMCD=sid%3D%22{number}%22")
            got = await edge.get(asked)
            await edge.ended("filled")
            assert got.status == 200
            assert int(got.field("Content-Length") or 0) == len(got.body)
            assert f"http://b.test:8302{asked.split('?')[0].rpartition('/')[0]}/v720.m3u8" in got.body.decode()
            assert got.field("Cache-Control") == "private, no-cache"
            assert got.field("Content-Type") == FIELDS["Content_Type"]
            assert {"repr-digest", "last-modified"}.isdisjoint(got.names)
            assert ("; hit" in got.cache) is (number > 0)
            seen.add(got.field("ETag"))
        assert len(seen) == 3, "validators are of the session's bytes"
        assert '"stored"' not in seen
        (call,) = origin.calls
        assert call.target == HLS


async def test_conditions_ranges_and_heads_are_of_the_rendered_bytes(
    tmp_path: Path, keys: Keys, clock: ManualClock
) -> None:
    """RFC 9110 13, 14, 9.3.2; a HEAD of what is not stored yet says the length that a GET will have."""
    async with (
        upstream(says(MASTER, **FIELDS)) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        asked = target(keys, clock.wall())
        first = await edge.get(asked, method="HEAD")
        await edge.ended("filled")
        got = await edge.get(asked)
        assert (first.body, first.field("Content-Length")) == (b"", str(len(got.body)))
        assert first.field("ETag") == got.field("ETag")
        tag = got.field("ETag") or ""
        assert (await edge.get(asked, If_None_Match=tag)).status == 304
        assert (await edge.get(asked, If_None_Match='"stored"')).status == 200
        assert (await edge.get(asked, If_Match='"stored"')).status == 412
        part = await edge.get(asked, Range="bytes=10-19", If_Range=tag)
        assert (part.status, part.body) == (206, got.body[10:20])
        assert part.field("Content-Range") == f"bytes 10-19/{len(got.body)}"
        whole = await edge.get(asked, Range="bytes=10-19", If_Range='"stored"')
        assert (whole.status, whole.body) == (200, got.body)
        assert len(origin.calls) == 1


async def test_a_ranged_first_request_brings_in_the_whole(tmp_path: Path, keys: Keys, clock: ManualClock) -> None:
    async with (
        upstream(says(MASTER, **FIELDS)) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        got = await edge.get(target(keys, clock.wall()), Range="bytes=0-9", If_None_Match='"x"')
        assert (got.status, got.body) == (206, MASTER[:10])
        (call,) = origin.calls
        assert (call.field("Range"), call.field("If-None-Match")) == (None, None)


async def test_a_stale_master_is_revalidated_and_rendered(tmp_path: Path, keys: Keys, clock: ManualClock) -> None:
    async def script(call: Call) -> None:
        if call.field("If-None-Match") == '"stored"':
            await call.answer(status=304, **FIELDS)
        else:
            await call.answer(MASTER, **FIELDS)

    async with (
        upstream(script) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        asked = target(keys, clock.wall())
        first = await edge.get(asked)
        await edge.ended("filled")
        clock.advance(200)
        again = await edge.get(asked)
        assert (again.status, again.body) == (200, first.body)
        assert len(origin.calls) == 2


@pytest.mark.parametrize(("cap", "heights"), [(None, {720, 480, 360}), (1300, {480, 360})])
async def test_cdn_06_the_cap_holds_without_pathways_too(
    tmp_path: Path, keys: Keys, clock: ManualClock, cap: int | None, heights: set[int]
) -> None:
    async with (
        upstream(says(MASTER, **FIELDS)) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        for _ in range(3):
            got = await edge.get(target(keys, clock.wall(), ways=None, cap=cap))
            assert {each.stream_info.resolution[1] for each in m3u8.loads(got.body.decode()).playlists} == heights
        assert (got.field("ETag") == '"stored"') is (cap is None)


async def test_pathways_that_the_token_does_not_vouch_for_are_refused(
    tmp_path: Path, keys: Keys, clock: ManualClock
) -> None:
    """Else a link with a stranger's edge in it would send him the viewer's token."""
    theirs = pathways.encode(Pathways(("http://a.test", "http://evil.test"), None))
    async with (
        upstream(says(MASTER, **FIELDS)) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        good = target(keys, clock.wall())
        bare = target(keys, clock.wall(), ways=None)
        for asked in (good.split("?")[0] + f"?steer={theirs}", f"{bare}?steer={theirs}", good + "&steer=", good + "AA"):
            got = await edge.get(asked)
            assert (got.status, got.body) == (403, b'{"error":"refused"}\n')
        assert edge.count("refusals_total", "pathways") == 4
        assert origin.calls == []
        assert (await edge.get(good)).status == 200


async def test_what_cannot_be_rendered_is_the_upstreams_fault(tmp_path: Path, keys: Keys, clock: ManualClock) -> None:
    async with (
        upstream(says(b"<html>", Cache_Control="max-age=60")) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        got = await edge.get(target(keys, clock.wall()))
        assert (got.status, got.body) == (502, b'{"error":"upstream_failed"}\n')


async def test_an_error_of_the_upstream_goes_through(tmp_path: Path, keys: Keys, clock: ManualClock) -> None:
    async with (
        upstream(says(b"none", status=404, Cache_Control="max-age=10")) as origin,
        node(tmp_path, origin.url, tier=TokenTier(Verifier(keys)), clock=clock) as edge,
    ):
        for _ in range(2):
            got = await edge.get(target(keys, clock.wall()))
            assert (got.status, got.body) == (404, b"none")
