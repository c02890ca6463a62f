"""The plain life of a stored answer: miss, hit, Age, Cache-Status, HEAD, ranges, conditionals (RFC 9110, 9111)."""

from pathlib import Path

import pytest

from kit.clock import ManualClock
from tests.support.nodes import node
from tests.support.upstream import Call, in_turn, says, upstream
from tests.support.wire import get, until

SMALL = b"small body " * 100
LARGE = bytes(range(256)) * 1024
"""Above memory_object: it goes to a file."""
DAY = "public, max-age=86400"


@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "memory", "disk"])
async def test_a_miss_then_hits_with_the_same_bytes(tmp_path: Path, body: bytes) -> None:
    async with upstream(says(body, Cache_Control=DAY, ETag='"v1"')) as origin, node(tmp_path, origin.url) as edge:
        first = await edge.get("/a")
        await edge.ended("filled")
        second = await edge.get("/a")
        assert (first.status, first.body, second.body) == (200, body, body)
        assert first.cache == "edge; fwd=uri-miss; fwd-status=200; stored"
        assert second.cache.startswith("edge; hit; ttl=86")
        assert len(origin.calls) == 1
        assert edge.count("responses_total", "hit") == 1


async def test_age_counts_from_birth(tmp_path: Path, clock: ManualClock, date: str) -> None:
    """RFC 9111 4.2.3, 5.1: what the tiers before say, plus the time here."""
    script = says(SMALL, Cache_Control="max-age=100", Date=date, Age="7")
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        assert (await edge.get("/a")).field("Age") == "7"
        await edge.ended("filled")
        clock.advance(30)
        second = await edge.get("/a")
        assert (second.field("Age"), second.field("Date"), second.cache) == ("37", date, "edge; hit; ttl=63")


async def test_an_answer_without_date_gets_the_time_of_its_arrival(
    tmp_path: Path, clock: ManualClock, date: str
) -> None:
    """RFC 9110 6.6.1: a later hit must not look newborn."""
    script = says(SMALL, Cache_Control="max-age=100")
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(30)
        assert (await edge.get("/a")).field("Date") == date


async def test_an_absurd_age_makes_a_stale_answer_not_an_error(tmp_path: Path) -> None:
    """RFC 9111 1.2.2: too large a number means the largest."""
    async with (
        upstream(says(SMALL, Cache_Control="max-age=100", Age="9" * 400)) as origin,
        node(tmp_path, origin.url) as edge,
    ):
        got = await edge.get("/a")
        assert (got.status, got.body) == (200, SMALL)


async def test_hits_survive_a_restart(tmp_path: Path) -> None:
    async with upstream(says(LARGE, Cache_Control=DAY, X_Kept="yes")) as origin:
        async with node(tmp_path, origin.url) as edge:
            for target in ("/a", "/b?x=1"):
                await edge.get(target)
            await edge.ended("filled", 2)
        async with node(tmp_path, origin.url) as again:
            for target in ("/a", "/b?x=1"):
                got = await again.get(target)
                assert (got.body, got.field("X-Kept"), "; hit" in got.cache) == (LARGE, "yes", True)
        assert len(origin.calls) == 2


async def test_head_of_a_stored_answer_has_its_length_and_no_body(tmp_path: Path) -> None:
    async with upstream(says(SMALL, Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        got = await edge.get("/a", "HEAD")
        assert (got.status, got.field("Content-Length"), got.body) == (200, str(len(SMALL)), b"")
        assert len(origin.calls) == 1


async def test_head_of_nothing_stored_goes_upstream_as_head(tmp_path: Path) -> None:
    async with upstream(says(SMALL, Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        got = await edge.get("/a", "HEAD")
        assert (got.field("Content-Length"), origin.calls[0].method) == (str(len(SMALL)), "HEAD")


async def test_head_never_gets_a_body_though_the_revalidation_was_a_get(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 9110 9.3.2: bytes behind such a head would be taken for the next answer."""
    script = in_turn(says(SMALL, Cache_Control="max-age=1"), says(SMALL, Cache_Control="no-store"))
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        clock.advance(10)
        from tests.support.wire import viewer

        async with viewer(edge.port) as each:
            await each.ask("/a", "HEAD")
            await each.ask("/a", "HEAD")
            assert [(await each.answer("HEAD")).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["memory", "disk"])
@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=500-", 500, None), ("bytes=100-199", 100, 200), ("bytes=-7", -7, None)],
)
async def test_a_range_of_a_hit(tmp_path: Path, body: bytes, wanted: str, start: int, end: int | None) -> None:
    """RFC 9110 14."""
    async with upstream(says(body, Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        got = await edge.get("/a", Range=wanted)
        part = body[start:end]
        first = start % len(body)
        assert (got.status, got.body) == (206, part)
        assert got.field("Content-Range") == f"bytes {first}-{first + len(part) - 1}/{len(body)}"
        assert len(origin.calls) == 1


async def test_a_range_outside_is_416_with_the_size(tmp_path: Path) -> None:
    async with upstream(says(SMALL, Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a")
        got = await edge.get("/a", Range="bytes=99999-")
        assert (got.status, got.field("Content-Range"), got.body) == (416, f"bytes */{len(SMALL)}", b"")


@pytest.mark.parametrize(("condition", "status"), [('"v1"', 206), ('"v2"', 200), ('W/"v1"', 200)])
async def test_if_range(tmp_path: Path, condition: str, status: int) -> None:
    """RFC 9110 13.1.5: only a strong match lets a range count."""
    async with upstream(says(SMALL, Cache_Control=DAY, ETag='"v1"')) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        got = await edge.get("/a", Range="bytes=0-9", If_Range=condition)
        assert (got.status, got.body) == (status, SMALL[:10] if status == 206 else SMALL)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If_None_Match": '"v1"'}, 304),
        ({"If_None_Match": 'W/"v1", "x"'}, 304),
        ({"If_None_Match": '"v2"'}, 200),
        ({"If_Modified_Since": "Wed, 01 Jan 2020 00:00:00 GMT"}, 304),
        ({"If_Match": '"v2"'}, 412),
        ({"If_Unmodified_Since": "Mon, 01 Jan 2018 00:00:00 GMT"}, 412),
    ],
)
async def test_conditions_are_answered_here(tmp_path: Path, fields: dict[str, str], status: int) -> None:
    """RFC 9110 13.2.2."""
    changed = "Tue, 01 Jan 2019 00:00:00 GMT"
    script = says(SMALL, Cache_Control=DAY, ETag='"v1"', Last_Modified=changed, Content_Type="text/plain")
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a")
        await edge.ended("filled")
        got = await edge.get("/a", **fields)
        assert (got.status, got.field("ETag")) == (status, '"v1"')
        assert got.body == (SMALL if status == 200 else b"")
        assert (status == 200) == (got.field("Content-Type") is not None)
        assert len(origin.calls) == 1


async def test_vary_selects(tmp_path: Path) -> None:
    """RFC 9111 4.1: an answer for other selecting fields is not reused."""

    async def script(call: Call) -> None:
        await call.answer((call.field("Accept-Language") or "-").encode(), Cache_Control=DAY, Vary="Accept-Language")

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        seen = []
        for language in ("de", "de", "sv"):
            got = await edge.get("/a", Accept_Language=language)
            await until(lambda: edge.count("fills_total", "filled") == len(origin.calls))
            assert got.body == language.encode()
            seen.append(got.cache.split("; ")[1])
        assert seen == ["hit" if n == 1 else w for n, w in enumerate(("fwd=uri-miss", "hit", "fwd=vary-miss"))]


async def test_what_belongs_to_one_answer_is_not_repeated_from_the_store(tmp_path: Path) -> None:
    """X-Request-ID and the CORS fields are this answer's own: each stands once."""
    from edge.admit.token import CORS

    class Tier:
        answer_fields = CORS
        reasons: tuple[str, ...] = ()

        def __getattr__(self, name: str) -> object:
            from edge.admit.open import OpenTier

            return getattr(OpenTier(), name)

    script = says(SMALL, Cache_Control=DAY, X_Request_ID="theirs", Access_Control_Allow_Origin="https://other.test")
    async with upstream(script) as origin, node(tmp_path, origin.url, tier=Tier()) as edge:
        for target in ("/a", "/a", "/private"):
            got = await edge.get(target, X_Request_ID="mine")
            assert (got.field("X-Request-ID"), got.field("Access-Control-Allow-Origin")) == ("mine", "*")
            await edge.ended("filled")


async def test_bytes_of_fields_arrive_as_they_were_sent(tmp_path: Path) -> None:
    """RFC 9110 5.5: obs-text is opaque."""
    raw = 'inline; filename="f\xf6\xc3\xa9"'
    async with (
        upstream(says(SMALL, Cache_Control=DAY, Content_Disposition=raw)) as origin,
        node(tmp_path, origin.url) as edge,
    ):
        await edge.get("/a")
        await edge.ended("filled")
        assert (await edge.get("/a")).field("Content-Disposition") == raw


async def test_cmcd_neither_splits_the_cache_nor_reaches_the_origin(tmp_path: Path) -> None:
    """CTA-5004 in the query: what is not in the key must not change the answer."""
    async with upstream(says(SMALL, Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        for query in ("?x=1&CMCD=br%3D1", "?CMCD=br%3D2&x=1", "?x=1"):
            assert (await edge.get("/a" + query)).status == 200
            await edge.ended("filled")
        assert [call.target for call in origin.calls] == ["/a?x=1"]


async def test_an_empty_query_is_no_query(tmp_path: Path) -> None:
    async with upstream(says(SMALL, Cache_Control=DAY)) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a?")
        await edge.ended("filled")
        assert "hit" in (await get(edge.port, "/a")).cache
        assert [call.target for call in origin.calls] == ["/a"]
