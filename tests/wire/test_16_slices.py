"""Ranges of an object that is not stored: aligned slices in one sparse file (issue 3; contracts.md, Workers of one
node), fetched once, never of two versions, never cut short."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proxy.store import disk
from tests.support.nodes import node
from tests.support.ranged import Ranged
from tests.support.sliced import (
    BODY,
    DAY,
    OTHER,
    SLICE,
    STORE,
    K,
    asked,
    authority,
    layout,
    part,
    pausing,
    runs,
    serving,
    used,
)
from tests.support.upstream import Call, Script, head, upstream
from tests.support.wire import CutOff, until, viewer


async def test_a_seek_fetches_the_slices_that_hold_it_and_no_more(tmp_path: Path) -> None:
    """20 MiB, slices of 1 MiB: a thousand bytes cost one slice, those nearby nothing (RFC 9211 2.2)."""
    body = os.urandom(20 * 2**20)
    script = serving(body)
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        first = await part(edge, 10_000_000, 10_000_999)
        assert (first.status, first.body) == (206, body[10_000_000:10_001_000])
        assert first.field("Content-Range") == f"bytes 10000000-10000999/{len(body)}"
        assert first.cache == "edge; fwd=uri-miss; fwd-status=206; stored"
        await runs(edge, "filled", 1)
        near = await part(edge, 9_999_000, 9_999_999)
        assert (near.body, near.cache.split(";")[1]) == (body[9_999_000:10_000_000], " hit")
        over = await part(edge, 10_485_000, 10_486_999)
        assert (over.body, over.cache) == (
            body[10_485_000:10_487_000],
            "edge; fwd=partial; fwd-status=206; stored",
        )
        assert script.ranges == ["bytes=9437184-10485759", "bytes=10485760-11534335"]
        await runs(edge, "filled", 2)
        assert edge.count("slices_total") == 2
        assert edge.count("responses_total", "partial") == 1
        (file,) = edge.files()
        assert 2 * 2**20 <= used(file) < 2 * 2**20 + 16 * K
        assert edge.count("store_disk_bytes") == disk.size_of(file)


async def test_the_whole_fetches_what_is_missing_and_is_then_like_any_other(tmp_path: Path) -> None:
    script = serving()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await part(edge, 3 * SLICE, 3 * SLICE)
        await part(edge, 5 * SLICE + 10, 6 * SLICE + 10)
        await runs(edge, "filled", 2)
        whole = await edge.get("/a")
        assert (whole.status, whole.body, whole.cache) == (200, BODY, "edge; fwd=partial; fwd-status=206; stored")
        assert script.ranges[2:] == [asked(0, 2), asked(4, 4), asked(7, 14), asked(15, 20)]
        assert script.sent == len(BODY)
        await runs(edge, "filled", 6)
        again = await edge.get("/a")
        assert (again.body, again.cache.split(";")[1]) == (BODY, " hit")
        await until(lambda: layout(edge).complete, "complete")
        assert edge.count("store_disk_bytes") == disk.size_of(edge.files()[0])
    async with (
        upstream(script) as origin2,
        node(tmp_path, origin2.url, authority=authority(origin.url), store=STORE) as next_life,
    ):
        kept = await next_life.get("/a")
        assert (kept.body, kept.cache.split(";")[1]) == (BODY, " hit")


async def test_bytes_from_zero_to_the_end_are_the_ordinary_whole(tmp_path: Path) -> None:
    script = serving()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        got = await edge.get("/a", Range="bytes=0-")
        assert (got.status, got.body, script.ranges) == (206, BODY, [None])
        await edge.ended("filled")


async def test_slices_can_be_switched_off(tmp_path: Path) -> None:
    script = serving()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE | {"slice": 0}) as edge:
        got = await part(edge, SLICE, SLICE + 9)
        assert (got.body, script.ranges) == (BODY[SLICE : SLICE + 10], [None])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("bytes=1300000-", BODY[1300000:]), ("bytes=-100000", BODY[-100000:]), ("bytes=0-0", BODY[:1])],
)
async def test_open_ended_and_suffix_ranges(tmp_path: Path, wanted: str, expected: bytes) -> None:
    script = serving()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        got = await edge.get("/a", Range=wanted)
        assert (got.status, got.body) == (206, expected)
        assert script.sent < 4 * SLICE


async def test_a_sparse_object_answers_conditions_heads_and_sets_of_ranges(tmp_path: Path) -> None:
    """RFC 9110 13, 14: all of it needs metadata only, but for the bytes."""
    script = serving(Content_Type="video/mp4")
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await part(edge, SLICE, SLICE)
        assert (await edge.get("/a", If_None_Match='"v1"')).status == 304
        assert (await edge.get("/a", If_Match='"v2"')).status == 412
        probe = await edge.get("/a", "HEAD")
        assert (probe.status, probe.field("Content-Length")) == (200, str(len(BODY)))
        assert (await edge.get("/a", Range=f"bytes={len(BODY)}-")).field("Content-Range") == f"bytes */{len(BODY)}"
        assert len(script.ranges) == 1
        both = await edge.get("/a", Range=f"bytes=0-9,{10 * SLICE}-{10 * SLICE + 9}")
        assert both.status == 206
        assert BODY[:10] in both.body and BODY[10 * SLICE : 10 * SLICE + 10] in both.body
        assert script.ranges[1:] == [asked(0, 0), asked(10, 10)]
        other = await part(edge, 0, 9, If_Range='"v2"')
        assert (other.status, other.body) == (200, BODY)


async def test_a_range_that_upstream_refuses_gets_the_true_size(tmp_path: Path) -> None:
    """RFC 9110 15.5.17."""
    async with upstream(serving()) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        far = await part(edge, 10**9, 10**9 + 5)
        assert (far.status, far.field("Content-Range")) == (416, f"bytes */{len(BODY)}")
        near = await part(edge, len(BODY) + 5, len(BODY) + 50)  # inside the last slice, behind the end
        assert (near.status, near.field("Content-Range")) == (416, f"bytes */{len(BODY)}")


async def test_an_object_of_one_slice_is_kept_whole(tmp_path: Path) -> None:
    script = serving(BODY[:1000])
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        assert (await part(edge, 100, 199)).body == BODY[100:200]
        await edge.ended("filled")
        whole = await edge.get("/a")
        assert (whole.status, whole.body, whole.field("Content-Range")) == (200, BODY[:1000], None)
        assert len(script.ranges) == 1


async def test_readers_of_one_slice_are_one_request_and_follow_it(tmp_path: Path) -> None:
    """The first bytes of a slice reach all who wait before its last have come; who wants another slice goes ahead."""
    go, first = asyncio.Event(), BODY[4 * SLICE : 5 * SLICE]
    script = pausing(serving(), 4, go)
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        async with viewer(edge.port) as one, viewer(edge.port) as two:
            for each in (one, two):
                await each.ask("/a", Range=f"bytes={4 * SLICE}-{5 * SLICE - 1}")
            for each in (one, two):
                assert (await each.head()).status == 206
                assert await each.read(30_000) == first[:30_000]
            assert (await part(edge, 9 * SLICE, 9 * SLICE + 9)).body == BODY[9 * SLICE : 9 * SLICE + 10]
            assert len(origin.calls) == 2
            go.set()
            for each in (one, two):
                assert await each.read(SLICE - 30_000) == first[30_000:]
        assert edge.count("runs_total", "filled") >= 1


async def test_a_viewer_that_leaves_does_not_end_a_run(tmp_path: Path) -> None:
    go = asyncio.Event()
    plain = serving()

    async def script(call: Call) -> None:
        await go.wait()
        await plain(call)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        async with viewer(edge.port) as leaving:
            await leaving.ask("/a", Range=f"bytes={SLICE}-{SLICE + 9}")
            await origin.called(1)
            leaving.leave()
        go.set()
        await runs(edge, "filled", 1)
        assert "; hit" in (await part(edge, SLICE, SLICE + 9)).cache


def _changes(after: int, how: str) -> Script:
    """Another version from request `after` on, told in one of the ways of upstreams."""
    old, new = serving(), serving(OTHER + b"!", '"v1"') if how == "total" else serving(OTHER, '"v2"')

    async def script(call: Call) -> None:
        if call.number < after:
            return await old(call)
        if how == "ignores-if-match":
            call.fields = [(name, value) for name, value in call.fields if name.lower() != "if-match"]
        if how == "whole":
            call.fields = [(name, value) for name, value in call.fields if name.lower() not in ("if-match", "range")]
        return await new(call)

    return script


@pytest.mark.parametrize("how", ["412", "ignores-if-match", "whole", "total"])
async def test_two_versions_are_never_mixed(tmp_path: Path, how: str) -> None:
    """RFC 9110 15.3.7.3. A reader that has sent nothing begins anew; the next request finds nothing of before."""
    async with upstream(_changes(1, how)) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await part(edge, 0, 9)
        await runs(edge, "filled", 1)
        got = await part(edge, 5 * SLICE, 5 * SLICE + 9)
        assert got.body == OTHER[5 * SLICE : 5 * SLICE + 10]
        assert edge.count("runs_total", "changed") == 1
        assert (await edge.get("/a")).body[: len(OTHER)] == OTHER


@pytest.mark.parametrize("how", ["412", "ignores-if-match", "whole", "total"])
async def test_a_reader_under_way_is_cut_when_the_version_changes(tmp_path: Path, how: str) -> None:
    async with upstream(_changes(1, how)) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        with pytest.raises(CutOff) as got:
            await part(edge, 6 * SLICE, 16 * SLICE - 1)  # two runs: 6 to 13, 14 to 15
        assert BODY[6 * SLICE : 14 * SLICE].startswith(got.value.args[0])
        assert (await part(edge, 0, 99)).body == OTHER[:100]


@pytest.mark.parametrize("fields", [{"ETag": 'W/"v1"'}, {}, {"Last_Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}])
async def test_without_a_strong_validator_the_whole_is_fetched(tmp_path: Path, fields: dict[str, str]) -> None:
    """RFC 9110 8.8.1, 8.8.2.2: nothing else says that two parts are of one version. It is not tried again soon."""
    script = Ranged(BODY, {"Cache_Control": "max-age=0, no-cache", "Date": "Sun, 06 Nov 1994 08:49:37 GMT", **fields})
    if not fields:
        script.fields["Cache_Control"] = DAY
        del script.fields["Date"]
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        got = await part(edge, SLICE, SLICE + 9)
        assert (got.status, got.body) == (206, BODY[SLICE : SLICE + 10])
        assert script.ranges == [asked(1, 1), None]
        await edge.ended("filled")
        assert edge.count("runs_total", "filled") == 0


async def test_a_strong_date_will_do(tmp_path: Path) -> None:
    """RFC 9110 8.8.2.2: changed a second or more before it was sent."""
    script = Ranged(BODY, {"Cache_Control": DAY, "Last_Modified": "Sun, 06 Nov 1994 08:49:37 GMT"})
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await part(edge, 0, 0)
        assert (await part(edge, SLICE, SLICE + 9)).body == BODY[SLICE : SLICE + 10]
        assert origin.calls[1].field("If-Unmodified-Since") == script.fields["Last_Modified"]


async def test_an_upstream_without_ranges_is_asked_once(tmp_path: Path) -> None:
    """A 200 is the whole: shared, and kept."""

    async def script(call: Call) -> None:
        await call.answer(BODY, ETag='"v1"', Cache_Control=DAY)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        got = await part(edge, SLICE, SLICE + 9)
        assert (got.status, got.body) == (206, BODY[SLICE : SLICE + 10])
        await edge.ended("filled")
        assert "; hit" in (await edge.get("/a")).cache
        assert len(origin.calls) == 1


@pytest.mark.parametrize(("status", "cached"), [(404, True), (503, False), (403, False)])
async def test_an_answer_without_a_part_is_handled_as_ever(tmp_path: Path, status: int, cached: bool) -> None:
    async def script(call: Call) -> None:
        await call.answer(b"no", status, Cache_Control=DAY)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        for _ in range(2):
            got = await part(edge, SLICE, SLICE + 9)
            assert (got.status, got.body) == (status, b"no")
            await until(lambda: len(edge.files()) == cached)
        assert len(origin.calls) == (1 if cached else 2)


async def test_a_part_that_may_not_be_kept_is_asked_for_as_the_viewer_did(tmp_path: Path) -> None:
    """RFC 9111 3: what holds for a 200 holds for its slices."""
    script = Ranged(BODY, {"ETag": '"v1"', "Cache_Control": "no-store"})
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        for _ in range(2):
            got = await part(edge, SLICE + 5, SLICE + 9)
            assert (got.status, got.body) == (206, BODY[SLICE + 5 : SLICE + 10])
        own = f"bytes={SLICE + 5}-{SLICE + 9}"
        assert script.ranges == [asked(1, 1), own, own]
        assert not edge.files()


def _lie(what: str) -> Callable[[Call], Awaitable[None]]:
    """A 206 for slice 2 that is not what was asked for."""
    first, last, total, sent = 2 * SLICE, 3 * SLICE - 1, len(BODY), SLICE
    if what == "start":
        first += 1
    elif what == "end":
        last, sent = last - 10, SLICE - 10
    elif what == "long":
        sent += 10
    elif what == "short":
        sent -= 10
    fields = {"Content_Range": "" if what == "none" else f"bytes {first}-{last}/{total}"}

    async def script(call: Call) -> None:
        await call.send(head(206, length=sent, ETag='"v1"', Cache_Control=DAY, **fields) + bytes(sent))

    return script


LIES = ["start", "end", "long", "short", "none"]


@pytest.mark.parametrize("what", LIES)
async def test_an_upstream_that_lies_at_first_is_asked_for_the_whole(tmp_path: Path, what: str) -> None:
    plain, lie = serving(), _lie(what)

    async def script(call: Call) -> None:
        await (lie if call.field("Range") else plain)(call)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        for _ in range(2):
            assert (await part(edge, 2 * SLICE, 2 * SLICE + 9)).body == BODY[2 * SLICE : 2 * SLICE + 10]
            await edge.ended("filled")
        assert len(origin.calls) == 2


@pytest.mark.parametrize("what", LIES)
async def test_an_upstream_that_lies_later_spoils_nothing(tmp_path: Path, what: str) -> None:
    plain, lie = serving(), _lie(what)

    async def script(call: Call) -> None:
        await (lie if call.field("Range") == asked(2, 2) else plain)(call)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await part(edge, 0, 9)
        await runs(edge, "filled", 1)
        assert (await part(edge, 2 * SLICE, 2 * SLICE + 9)).body == BODY[2 * SLICE : 2 * SLICE + 10]
        assert edge.count("runs_total", "changed") == 1


@pytest.mark.parametrize("more", [b"", b"x" * 10], ids=["short", "long"])
async def test_a_slice_of_another_length_than_stated_is_no_slice(tmp_path: Path, more: bytes) -> None:
    """Chunked, so that only the end tells: the last bytes wait for it."""
    plain, honest = serving(), asyncio.Event()

    async def script(call: Call) -> None:
        if honest.is_set():
            await plain(call)
            return
        span = f"bytes {2 * SLICE}-{3 * SLICE - 1}/{len(BODY)}"
        await call.send(head(206, Transfer_Encoding="chunked", Content_Range=span, ETag='"v1"', Cache_Control=DAY))
        data = BODY[2 * SLICE : 3 * SLICE] + more if more else BODY[2 * SLICE : 3 * SLICE - 1]
        await call.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        try:
            got = await part(edge, 2 * SLICE, 3 * SLICE - 1)
            assert got.status == 502
        except CutOff as cut:
            assert BODY[2 * SLICE : 3 * SLICE].startswith(cut.args[0])
        assert edge.count("runs_total", "cut") + edge.count("runs_total", "failed") == 1
        assert edge.count("slices_total") == 0
        honest.set()
        assert (await part(edge, 2 * SLICE, 3 * SLICE - 1)).body == BODY[2 * SLICE : 3 * SLICE]


async def test_an_upstream_that_dies_in_a_slice_cuts_its_reader_and_spoils_nothing(tmp_path: Path) -> None:
    """What was finished before stays."""
    plain, die = serving(), asyncio.Event()

    async def script(call: Call) -> None:
        if call.number:
            await plain(call)
            return
        span = f"bytes {2 * SLICE}-{4 * SLICE - 1}/{len(BODY)}"
        data = BODY[2 * SLICE : 3 * SLICE + 100]
        await call.send(head(206, length=2 * SLICE, Content_Range=span, ETag='"v1"', Cache_Control=DAY) + data)
        await die.wait()
        call.end()

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge, viewer(edge.port) as each:
        await each.ask("/a", Range=f"bytes={2 * SLICE}-{4 * SLICE - 1}")
        await each.head()
        assert await each.read(SLICE + 100) == BODY[2 * SLICE : 3 * SLICE + 100]
        die.set()
        with pytest.raises(CutOff) as got:
            await each.read(SLICE - 100)
        assert got.value.args == (b"",)
        await runs(edge, "cut", 1)
        again = await part(edge, 2 * SLICE, 4 * SLICE - 1)
        assert (again.body, plain.ranges) == (BODY[2 * SLICE : 4 * SLICE], [asked(3, 3)])


@pytest.mark.parametrize("status", [503, 401])
async def test_a_failure_before_the_first_byte_is_told_as_one(tmp_path: Path, status: int) -> None:
    plain = serving()

    async def script(call: Call) -> None:
        await (plain(call) if call.number != 1 else call.answer(b"no", status))

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await part(edge, 0, 9)
        assert (await part(edge, SLICE, SLICE + 9)).status == 502
        assert edge.count("runs_total", "failed") == 1
        assert (await part(edge, SLICE, SLICE + 9)).body == BODY[SLICE : SLICE + 10]


async def test_variants_have_slices_of_their_own(tmp_path: Path) -> None:
    """RFC 9111 4.1."""
    plain, gzipped = serving(Vary="Accept-Encoding"), serving(OTHER, '"gz"', Vary="Accept-Encoding")

    async def script(call: Call) -> None:
        await (gzipped if call.field("Accept-Encoding") == "gzip" else plain)(call)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        for first in (0, SLICE):
            assert (await part(edge, first, first + 9, Accept_Encoding="gzip")).body == OTHER[first : first + 10]
            assert (await part(edge, first, first + 9, Accept_Encoding="br")).body == BODY[first : first + 10]
        assert [len(each.ranges) for each in (plain, gzipped)] == [2, 2]
