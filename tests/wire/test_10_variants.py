"""Several variants of one URL: each to those who select it, in one flight, after a restart, in another worker, and none
after an invalidation (RFC 9111 4.1, 4.4)."""

import asyncio
from pathlib import Path

import pytest

from edge.admit.open import OpenTier
from edge.admit.token import CORS
from kit.clock import ManualClock
from kit.metrics import Board
from proxy.host.worker import families
from proxy.http.fields import Fields, without
from tests.support.nodes import Node, node
from tests.support.upstream import Call, in_turn, says, upstream
from tests.support.wire import until

DAY = "public, max-age=86400"
SIZES = pytest.mark.parametrize("size", [1, 20_000], ids=["memory", "disk"])


def _languages(size: int = 1, control: str = DAY) -> "object":
    async def script(call: Call) -> None:
        body = (call.field("Accept-Language") or "-").encode() * size
        await call.answer(body, Cache_Control=control, Vary="Accept-Language", ETag=f'"{body[:2].decode()}"')

    return script


async def _filled(edge: Node, count: int) -> None:
    await until(lambda: edge.count("fills_total", "filled") >= count, f"{count} fills")


@SIZES
async def test_variants_stand_side_by_side(tmp_path: Path, size: int) -> None:
    async with upstream(_languages(size)) as origin, node(tmp_path, origin.url) as edge:  # type: ignore[arg-type]
        for number, language in enumerate(("de", "sv", "fi")):
            got = await edge.get("/a", Accept_Language=language)
            assert got.cache.startswith("edge; fwd=vary-miss" if number else "edge; fwd=uri-miss")
            await _filled(edge, number + 1)
        for language in ("de", "fi", "sv", "de"):
            got = await edge.get("/a", Accept_Language=language)
            assert (got.body, "; hit" in got.cache) == (language.encode() * size, True)
        assert (await edge.get("/a")).body == b"-" * size
        assert len(origin.calls) == 4


@SIZES
async def test_variants_are_found_after_a_restart_and_by_another_worker(tmp_path: Path, size: int) -> None:
    board = Board(families(OpenTier.reasons), 3)
    async with upstream(_languages(size)) as origin:  # type: ignore[arg-type]
        async with (
            node(tmp_path, origin.url, board=board) as one,
            node(tmp_path, origin.url, board=board, number=1) as two,
        ):
            for number, (edge, language) in enumerate(((one, "de"), (two, "sv"), (one, "fi"))):
                await edge.get("/a", Accept_Language=language)
                await _filled(one, number + 1)
            for edge in (one, two):
                for language in ("de", "sv", "fi"):
                    assert (await edge.get("/a", Accept_Language=language)).body == language.encode() * size
        board.close()
        async with node(tmp_path, origin.url) as again:
            for language in ("sv", "fi", "de"):
                assert "; hit" in (await again.get("/a", Accept_Language=language)).cache
        assert len(origin.calls) == 3


@SIZES
async def test_an_invalidation_takes_every_variant_at_every_worker(tmp_path: Path, size: int) -> None:
    """RFC 9111 4.4: all responses stored for the URI."""
    board = Board(families(OpenTier.reasons), 3)

    async def script(call: Call) -> None:
        written = sum(each.method == "POST" for each in origin.calls)
        body = f"{call.field('Accept-Language')}{written}".encode() * size
        await call.answer(body, Cache_Control=DAY, Vary="Accept-Language")

    async with (
        upstream(script) as origin,
        node(tmp_path, origin.url, board=board) as one,
        node(tmp_path, origin.url, board=board, number=1) as two,
    ):
        for number, language in enumerate(("de", "sv")):
            for edge in (one, two):
                assert (await edge.get("/a", Accept_Language=language)).body == f"{language}0".encode() * size
                await _filled(one, number + 1)
        await two.get("/a", "POST", b"x")
        for edge in (two, one):
            for language in ("de", "sv"):
                assert (await edge.get("/a", Accept_Language=language)).body == f"{language}1".encode() * size
    board.close()


async def test_a_variant_asked_for_before_an_invalidation_is_not_kept_after_it(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def old(call: Call) -> None:
        await go.wait()
        await call.answer(b"old", Cache_Control=DAY, Vary="Accept-Language")

    new = says(b"new", Cache_Control=DAY, Vary="Accept-Language")
    script = in_turn(says(b"x", Cache_Control=DAY, Vary="Accept-Language"), old, says(status=200), new)
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        await edge.get("/a", Accept_Language="fi")
        await _filled(edge, 1)
        early = asyncio.create_task(edge.get("/a", Accept_Language="de"))
        await origin.called(2)
        await edge.get("/a", "POST", b"x")
        go.set()
        assert (await early).body == b"old"
        await edge.ended("not_kept")
        assert (await edge.get("/a", Accept_Language="de")).body == b"new"


async def test_each_variant_of_a_cold_object_is_one_request(tmp_path: Path) -> None:
    """Whoever learns from a flight that it was for others joins, or begins, the flight of its own variant."""
    go = asyncio.Event()

    async def script(call: Call) -> None:
        await go.wait()
        await _languages()(call)  # type: ignore[operator]

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        asked = [asyncio.create_task(edge.get("/a", Accept_Language=("de", "sv", "fi")[n % 3])) for n in range(30)]
        await origin.called(1)
        await until(lambda: edge.count("waiting") == 29)
        go.set()
        for number, got in enumerate(await asyncio.gather(*asked)):
            assert got.body == ("de", "sv", "fi")[number % 3].encode()
        await _filled(edge, 3)
        assert len(origin.calls) == 3
        for language in ("de", "sv", "fi"):
            assert "; hit" in (await edge.get("/a", Accept_Language=language)).cache


async def test_a_variant_is_revalidated_with_its_own_tag(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 9111 4.3.1, 4.3.3."""

    async def script(call: Call) -> None:
        if call.field("If-None-Match"):
            await call.answer(status=304, Cache_Control="max-age=50", ETag=call.field("If-None-Match") or "")
        else:
            await _languages(control="max-age=10")(call)  # type: ignore[operator]

    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        for number, language in enumerate(("de", "sv")):
            await edge.get("/a", Accept_Language=language)
            await _filled(edge, number + 1)
        clock.advance(20)
        for language in ("sv", "de"):
            got = await edge.get("/a", Accept_Language=language)
            assert (got.body, got.cache) == (language.encode(), "edge; fwd=stale; fwd-status=304")
        clock.advance(20)
        for language in ("sv", "de"):
            assert "; hit" in (await edge.get("/a", Accept_Language=language)).cache
        assert [call.field("If-None-Match") for call in origin.calls] == [None, None, '"sv"', '"de"']


async def test_codings_in_any_order_are_one_variant(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        coding = "gzip" if "gzip" in (call.field("Accept-Encoding") or "") else "identity"
        await call.answer(coding.encode(), Cache_Control=DAY, Vary="Accept-Encoding", Content_Encoding=coding)

    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        for accepted, coding in (("gzip, br", "gzip"), ("br;q=0.5,GZIP", "gzip"), ("identity", "identity")):
            assert (await edge.get("/a", Accept_Encoding=accepted)).body == coding.encode()
            await until(lambda: edge.count("fills_total", "filled") == len(origin.calls))
        assert len(origin.calls) == 2


async def test_a_list_gives_way_to_an_answer_that_does_not_vary_and_back(tmp_path: Path, clock: ManualClock) -> None:
    plain = says(b"all", Cache_Control="max-age=10")
    script = in_turn(_languages(), plain, _languages(), _languages())  # type: ignore[arg-type]
    async with upstream(script) as origin, node(tmp_path, origin.url, clock=clock) as edge:
        for number, (language, body) in enumerate((("de", b"de"), ("sv", b"all"), ("fi", b"all"))):
            assert (await edge.get("/a", Accept_Language=language)).body == body
            await _filled(edge, min(number + 1, 2))
        clock.advance(20)
        for number, language in enumerate(("de", "sv", "de")):
            assert (await edge.get("/a", Accept_Language=language)).body == language.encode()
            await _filled(edge, min(number + 3, 4))
        assert len(origin.calls) == 4


async def test_what_upstream_does_not_see_selects_nothing(tmp_path: Path) -> None:
    """Vary names a field that the tier keeps to itself: the answer is the same for all (RFC 9111 4.1)."""

    class Tier(OpenTier):
        answer_fields = CORS

        def forwarded(self, fields: Fields) -> Fields:
            return without(fields, ("Origin",))

    script = says(b"x", Cache_Control=DAY, Vary="Origin")
    async with upstream(script) as origin, node(tmp_path, origin.url, tier=Tier()) as edge:
        for site in ("https://a.test", "https://b.test"):
            assert (await edge.get("/a", Origin=site)).body == b"x"
            await _filled(edge, 1)
        assert len(origin.calls) == 1


async def test_more_variants_than_slots_replace_one_another(tmp_path: Path) -> None:
    async with upstream(_languages()) as origin, node(tmp_path, origin.url) as edge:  # type: ignore[arg-type]
        for number in range(300):
            assert (await edge.get("/a", Accept_Language=f"l{number}")).body == f"l{number}".encode()
        await until(lambda: edge.count("fills_total", "filled") == 300)
        assert 100 < len(edge.files()) <= 257


async def test_a_worker_learns_of_fields_that_another_found_to_select(tmp_path: Path) -> None:
    """The list that it remembers is older than the one on disk: it looks again before it asks upstream."""
    board = Board(families(OpenTier.reasons), 3)
    script = in_turn(
        says(b"by language", Cache_Control=DAY, Vary="Accept-Language"),
        says(b"by coding", Cache_Control=DAY, Vary="Accept-Encoding"),
    )
    async with (
        upstream(script) as origin,
        node(tmp_path, origin.url, board=board) as one,
        node(tmp_path, origin.url, board=board, number=1) as two,
    ):
        for edge in (one, two):
            assert (await edge.get("/a", Accept_Language="de", Accept_Encoding="br")).body == b"by language"
            await _filled(one, 1)
        assert (await one.get("/a", Accept_Language="sv", Accept_Encoding="gzip")).body == b"by coding"
        await _filled(one, 2)
        assert "; hit" in (await two.get("/a", Accept_Language="fi", Accept_Encoding="gzip")).cache
        assert len(origin.calls) == 2
    board.close()
