"""Ranges of an object that is not stored: aligned slices in one sparse file (issue 3; contracts.md, Workers of one
node), fetched once, never of two versions, never cut short."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edge.admit.open import OpenTier
from kit.clock import ManualClock
from kit.metrics import Board
from proxy.host.worker import families
from proxy.store import disk
from proxy.store.evict import Sieve
from proxy.store.format import Layout
from proxy.store.inspect import opened, verify
from proxy.store.keeper import Keeper
from proxy.store.purge import Purge
from tests.support.nodes import Node, node
from tests.support.ranged import Ranged
from tests.support.upstream import Call, Script, head, upstream
from tests.support.wire import Answer, CutOff, until, viewer
from tests.wire.test_17_workers import workers

K = 1024
SLICE = 64 * K
DAY = "public, max-age=86400"
BODY = os.urandom(20 * SLICE + 1000)
OTHER = os.urandom(len(BODY))
STORE = {"slice": SLICE, "memory_object": 4 * K}


def _origin(body: bytes = BODY, tag: str = '"v1"', **fields: str) -> Ranged:
    return Ranged(body, {"ETag": tag, "Cache_Control": DAY, **fields})


async def _part(edge: Node, first: int, last: int, **fields: str) -> Answer:
    return await edge.get("/a", Range=f"bytes={first}-{last}", **fields)


async def _runs(edge: Node, ending: str, count: int) -> None:
    await until(lambda: edge.count("runs_total", ending) >= count, f"{count} runs {ending}")


def _asked(first: int, last: int) -> str:
    """The Range field for slices `first` to `last` of BODY."""
    return f"bytes={first * SLICE}-{min((last + 1) * SLICE, len(BODY)) - 1}"


def _layout(edge: Node) -> Layout:
    """That of the one file."""
    (path,) = edge.files()
    found = disk.find(edge.directory, disk.read_meta(path).key)
    assert found is not None
    return found.layout


def _used(path: Path) -> int:
    return path.stat().st_blocks * 512


async def test_a_seek_fetches_the_slices_that_hold_it_and_no_more(tmp_path: Path) -> None:
    """20 MiB, slices of 1 MiB: a thousand bytes cost one slice, those nearby nothing (RFC 9211 2.2)."""
    body = os.urandom(20 * 2**20)
    script = _origin(body)
    async with upstream(script) as origin, node(tmp_path, origin.url) as edge:
        first = await _part(edge, 10_000_000, 10_000_999)
        assert (first.status, first.body) == (206, body[10_000_000:10_001_000])
        assert first.field("Content-Range") == f"bytes 10000000-10000999/{len(body)}"
        assert first.cache == "edge; fwd=uri-miss; fwd-status=206; stored"
        await _runs(edge, "filled", 1)
        near = await _part(edge, 9_999_000, 9_999_999)
        assert (near.body, near.cache.split(";")[1]) == (body[9_999_000:10_000_000], " hit")
        over = await _part(edge, 10_485_000, 10_486_999)
        assert (over.body, over.cache) == (
            body[10_485_000:10_487_000],
            "edge; fwd=partial; fwd-status=206; stored",
        )
        assert script.ranges == ["bytes=9437184-10485759", "bytes=10485760-11534335"]
        await _runs(edge, "filled", 2)
        assert edge.count("slices_total") == 2
        assert edge.count("responses_total", "partial") == 1
        (file,) = edge.files()
        assert 2 * 2**20 <= _used(file) < 2 * 2**20 + 16 * K
        assert edge.count("store_disk_bytes") == disk.size_of(file)


async def test_the_whole_fetches_what_is_missing_and_is_then_like_any_other(tmp_path: Path) -> None:
    script = _origin()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await _part(edge, 3 * SLICE, 3 * SLICE)
        await _part(edge, 5 * SLICE + 10, 6 * SLICE + 10)
        await _runs(edge, "filled", 2)
        whole = await edge.get("/a")
        assert (whole.status, whole.body, whole.cache) == (200, BODY, "edge; fwd=partial; fwd-status=206; stored")
        assert script.ranges[2:] == [_asked(0, 2), _asked(4, 4), _asked(7, 14), _asked(15, 20)]
        assert script.sent == len(BODY)
        await _runs(edge, "filled", 6)
        again = await edge.get("/a")
        assert (again.body, again.cache.split(";")[1]) == (BODY, " hit")
        await until(lambda: _layout(edge).complete, "complete")
        assert edge.count("store_disk_bytes") == disk.size_of(edge.files()[0])
    async with (
        upstream(script) as origin2,
        node(tmp_path, origin2.url, authority=_authority(origin.url), store=STORE) as next_life,
    ):
        kept = await next_life.get("/a")
        assert (kept.body, kept.cache.split(";")[1]) == (BODY, " hit")


def _authority(url: str) -> str:
    return url.removeprefix("http://")


async def test_bytes_from_zero_to_the_end_are_the_ordinary_whole(tmp_path: Path) -> None:
    script = _origin()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        got = await edge.get("/a", Range="bytes=0-")
        assert (got.status, got.body, script.ranges) == (206, BODY, [None])
        await edge.ended("filled")


async def test_slices_can_be_switched_off(tmp_path: Path) -> None:
    script = _origin()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE | {"slice": 0}) as edge:
        got = await _part(edge, SLICE, SLICE + 9)
        assert (got.body, script.ranges) == (BODY[SLICE : SLICE + 10], [None])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("bytes=1300000-", BODY[1300000:]), ("bytes=-100000", BODY[-100000:]), ("bytes=0-0", BODY[:1])],
)
async def test_open_ended_and_suffix_ranges(tmp_path: Path, wanted: str, expected: bytes) -> None:
    script = _origin()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        got = await edge.get("/a", Range=wanted)
        assert (got.status, got.body) == (206, expected)
        assert script.sent < 4 * SLICE


async def test_a_sparse_object_answers_conditions_heads_and_sets_of_ranges(tmp_path: Path) -> None:
    """RFC 9110 13, 14: all of it needs metadata only, but for the bytes."""
    script = _origin(Content_Type="video/mp4")
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await _part(edge, SLICE, SLICE)
        assert (await edge.get("/a", If_None_Match='"v1"')).status == 304
        assert (await edge.get("/a", If_Match='"v2"')).status == 412
        probe = await edge.get("/a", "HEAD")
        assert (probe.status, probe.field("Content-Length")) == (200, str(len(BODY)))
        assert (await edge.get("/a", Range=f"bytes={len(BODY)}-")).field("Content-Range") == f"bytes */{len(BODY)}"
        assert len(script.ranges) == 1
        both = await edge.get("/a", Range=f"bytes=0-9,{10 * SLICE}-{10 * SLICE + 9}")
        assert both.status == 206
        assert BODY[:10] in both.body and BODY[10 * SLICE : 10 * SLICE + 10] in both.body
        assert script.ranges[1:] == [_asked(0, 0), _asked(10, 10)]
        other = await _part(edge, 0, 9, If_Range='"v2"')
        assert (other.status, other.body) == (200, BODY)


async def test_a_range_that_upstream_refuses_gets_the_true_size(tmp_path: Path) -> None:
    """RFC 9110 15.5.17."""
    async with upstream(_origin()) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        far = await _part(edge, 10**9, 10**9 + 5)
        assert (far.status, far.field("Content-Range")) == (416, f"bytes */{len(BODY)}")
        near = await _part(edge, len(BODY) + 5, len(BODY) + 50)  # inside the last slice, behind the end
        assert (near.status, near.field("Content-Range")) == (416, f"bytes */{len(BODY)}")


async def test_an_object_of_one_slice_is_kept_whole(tmp_path: Path) -> None:
    script = _origin(BODY[:1000])
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        assert (await _part(edge, 100, 199)).body == BODY[100:200]
        await edge.ended("filled")
        whole = await edge.get("/a")
        assert (whole.status, whole.body, whole.field("Content-Range")) == (200, BODY[:1000], None)
        assert len(script.ranges) == 1


async def test_readers_of_one_slice_are_one_request_and_follow_it(tmp_path: Path) -> None:
    """The first bytes of a slice reach all who wait before its last have come; who wants another slice goes ahead."""
    go, first = asyncio.Event(), BODY[4 * SLICE : 5 * SLICE]

    async def script(call: Call) -> None:
        if call.field("Range") != _asked(4, 4):
            await plain(call)
            return
        span = f"bytes {4 * SLICE}-{5 * SLICE - 1}/{len(BODY)}"
        await call.send(head(206, length=SLICE, Content_Range=span, ETag='"v1"', Cache_Control=DAY) + first[:30_000])
        await go.wait()
        await call.send(first[30_000:])

    plain = _origin()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        async with viewer(edge.port) as one, viewer(edge.port) as two:
            for each in (one, two):
                await each.ask("/a", Range=f"bytes={4 * SLICE}-{5 * SLICE - 1}")
            for each in (one, two):
                assert (await each.head()).status == 206
                assert await each.read(30_000) == first[:30_000]
            assert (await _part(edge, 9 * SLICE, 9 * SLICE + 9)).body == BODY[9 * SLICE : 9 * SLICE + 10]
            assert len(origin.calls) == 2
            go.set()
            for each in (one, two):
                assert await each.read(SLICE - 30_000) == first[30_000:]
        assert edge.count("runs_total", "filled") >= 1


async def test_a_viewer_that_leaves_does_not_end_a_run(tmp_path: Path) -> None:
    go = asyncio.Event()
    plain = _origin()

    async def script(call: Call) -> None:
        await go.wait()
        await plain(call)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        async with viewer(edge.port) as leaving:
            await leaving.ask("/a", Range=f"bytes={SLICE}-{SLICE + 9}")
            await origin.called(1)
            leaving.leave()
        go.set()
        await _runs(edge, "filled", 1)
        assert "; hit" in (await _part(edge, SLICE, SLICE + 9)).cache


def _changes(after: int, how: str) -> Script:
    """Another version from request `after` on, told in one of the ways of upstreams."""
    old, new = _origin(), _origin(OTHER + b"!", '"v1"') if how == "total" else _origin(OTHER, '"v2"')

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
        await _part(edge, 0, 9)
        await _runs(edge, "filled", 1)
        got = await _part(edge, 5 * SLICE, 5 * SLICE + 9)
        assert got.body == OTHER[5 * SLICE : 5 * SLICE + 10]
        assert edge.count("runs_total", "changed") == 1
        assert (await edge.get("/a")).body[: len(OTHER)] == OTHER


@pytest.mark.parametrize("how", ["412", "ignores-if-match", "whole", "total"])
async def test_a_reader_under_way_is_cut_when_the_version_changes(tmp_path: Path, how: str) -> None:
    async with upstream(_changes(1, how)) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        with pytest.raises(CutOff) as got:
            await _part(edge, 6 * SLICE, 16 * SLICE - 1)  # two runs: 6 to 13, 14 to 15
        assert BODY[6 * SLICE : 14 * SLICE].startswith(got.value.args[0])
        assert (await _part(edge, 0, 99)).body == OTHER[:100]


@pytest.mark.parametrize("fields", [{"ETag": 'W/"v1"'}, {}, {"Last_Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}])
async def test_without_a_strong_validator_the_whole_is_fetched(tmp_path: Path, fields: dict[str, str]) -> None:
    """RFC 9110 8.8.1, 8.8.2.2: nothing else says that two parts are of one version. It is not tried again soon."""
    script = Ranged(BODY, {"Cache_Control": "max-age=0, no-cache", "Date": "Sun, 06 Nov 1994 08:49:37 GMT", **fields})
    if not fields:
        script.fields["Cache_Control"] = DAY
        del script.fields["Date"]
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        got = await _part(edge, SLICE, SLICE + 9)
        assert (got.status, got.body) == (206, BODY[SLICE : SLICE + 10])
        assert script.ranges == [_asked(1, 1), None]
        await edge.ended("filled")
        assert edge.count("runs_total", "filled") == 0


async def test_a_strong_date_will_do(tmp_path: Path) -> None:
    """RFC 9110 8.8.2.2: changed a second or more before it was sent."""
    script = Ranged(BODY, {"Cache_Control": DAY, "Last_Modified": "Sun, 06 Nov 1994 08:49:37 GMT"})
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await _part(edge, 0, 0)
        assert (await _part(edge, SLICE, SLICE + 9)).body == BODY[SLICE : SLICE + 10]
        assert origin.calls[1].field("If-Unmodified-Since") == script.fields["Last_Modified"]


async def test_an_upstream_without_ranges_is_asked_once(tmp_path: Path) -> None:
    """A 200 is the whole: shared, and kept."""

    async def script(call: Call) -> None:
        await call.answer(BODY, ETag='"v1"', Cache_Control=DAY)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        got = await _part(edge, SLICE, SLICE + 9)
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
            got = await _part(edge, SLICE, SLICE + 9)
            assert (got.status, got.body) == (status, b"no")
            await until(lambda: len(edge.files()) == cached)
        assert len(origin.calls) == (1 if cached else 2)


async def test_a_part_that_may_not_be_kept_is_asked_for_as_the_viewer_did(tmp_path: Path) -> None:
    """RFC 9111 3: what holds for a 200 holds for its slices."""
    script = Ranged(BODY, {"ETag": '"v1"', "Cache_Control": "no-store"})
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        for _ in range(2):
            got = await _part(edge, SLICE + 5, SLICE + 9)
            assert (got.status, got.body) == (206, BODY[SLICE + 5 : SLICE + 10])
        own = f"bytes={SLICE + 5}-{SLICE + 9}"
        assert script.ranges == [_asked(1, 1), own, own]
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
    plain, lie = _origin(), _lie(what)

    async def script(call: Call) -> None:
        await (lie if call.field("Range") else plain)(call)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        for _ in range(2):
            assert (await _part(edge, 2 * SLICE, 2 * SLICE + 9)).body == BODY[2 * SLICE : 2 * SLICE + 10]
            await edge.ended("filled")
        assert len(origin.calls) == 2


@pytest.mark.parametrize("what", LIES)
async def test_an_upstream_that_lies_later_spoils_nothing(tmp_path: Path, what: str) -> None:
    plain, lie = _origin(), _lie(what)

    async def script(call: Call) -> None:
        await (lie if call.field("Range") == _asked(2, 2) else plain)(call)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await _part(edge, 0, 9)
        await _runs(edge, "filled", 1)
        assert (await _part(edge, 2 * SLICE, 2 * SLICE + 9)).body == BODY[2 * SLICE : 2 * SLICE + 10]
        assert edge.count("runs_total", "changed") == 1


@pytest.mark.parametrize("more", [b"", b"x" * 10], ids=["short", "long"])
async def test_a_slice_of_another_length_than_stated_is_no_slice(tmp_path: Path, more: bytes) -> None:
    """Chunked, so that only the end tells: the last bytes wait for it."""
    plain, honest = _origin(), asyncio.Event()

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
            got = await _part(edge, 2 * SLICE, 3 * SLICE - 1)
            assert got.status == 502
        except CutOff as cut:
            assert BODY[2 * SLICE : 3 * SLICE].startswith(cut.args[0])
        assert edge.count("runs_total", "cut") + edge.count("runs_total", "failed") == 1
        assert edge.count("slices_total") == 0
        honest.set()
        assert (await _part(edge, 2 * SLICE, 3 * SLICE - 1)).body == BODY[2 * SLICE : 3 * SLICE]


async def test_an_upstream_that_dies_in_a_slice_cuts_its_reader_and_spoils_nothing(tmp_path: Path) -> None:
    """What was finished before stays."""
    plain, die = _origin(), asyncio.Event()

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
        await _runs(edge, "cut", 1)
        again = await _part(edge, 2 * SLICE, 4 * SLICE - 1)
        assert (again.body, plain.ranges) == (BODY[2 * SLICE : 4 * SLICE], [_asked(3, 3)])


@pytest.mark.parametrize("status", [503, 401])
async def test_a_failure_before_the_first_byte_is_told_as_one(tmp_path: Path, status: int) -> None:
    plain = _origin()

    async def script(call: Call) -> None:
        await (plain(call) if call.number != 1 else call.answer(b"no", status))

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await _part(edge, 0, 9)
        assert (await _part(edge, SLICE, SLICE + 9)).status == 502
        assert edge.count("runs_total", "failed") == 1
        assert (await _part(edge, SLICE, SLICE + 9)).body == BODY[SLICE : SLICE + 10]


async def test_variants_have_slices_of_their_own(tmp_path: Path) -> None:
    """RFC 9111 4.1."""
    plain, gzipped = _origin(Vary="Accept-Encoding"), _origin(OTHER, '"gz"', Vary="Accept-Encoding")

    async def script(call: Call) -> None:
        await (gzipped if call.field("Accept-Encoding") == "gzip" else plain)(call)

    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        for first in (0, SLICE):
            assert (await _part(edge, first, first + 9, Accept_Encoding="gzip")).body == OTHER[first : first + 10]
            assert (await _part(edge, first, first + 9, Accept_Encoding="br")).body == BODY[first : first + 10]
        assert [len(each.ranges) for each in (plain, gzipped)] == [2, 2]


async def test_one_304_freshens_all_slices(tmp_path: Path, clock: ManualClock) -> None:
    """RFC 9111 4.3.4."""
    script = _origin()
    script.fields["Cache_Control"] = "max-age=60"
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE, clock=clock) as edge:
        await _part(edge, 0, 9)
        await _part(edge, 5 * SLICE, 5 * SLICE + 9)
        await _runs(edge, "filled", 2)
        clock.advance(100)
        assert (await _part(edge, 0, 9)).cache == "edge; fwd=stale; fwd-status=304"
        assert "; hit" in (await _part(edge, 5 * SLICE, 5 * SLICE + 9)).cache
        assert len(origin.calls) == 3
        clock.advance(100)
        script.body, script.fields["ETag"] = OTHER, '"v2"'
        assert (await _part(edge, 0, 9)).body == OTHER[:10]
        assert (await _part(edge, 5 * SLICE, 5 * SLICE + 9)).body == OTHER[5 * SLICE : 5 * SLICE + 10]


async def test_a_new_life_keeps_the_slices(tmp_path: Path) -> None:
    script = _origin()
    async with upstream(script) as origin:
        async with node(tmp_path, origin.url, store=STORE) as edge:
            await _part(edge, SLICE, 2 * SLICE)
            await _runs(edge, "filled", 1)
        async with node(tmp_path, origin.url, store=STORE | {"slice": 2 * SLICE}) as again:
            assert "; hit" in (await _part(again, SLICE + 5, 2 * SLICE + 5)).cache
            assert (await _part(again, 4 * SLICE, 4 * SLICE + 9)).body == BODY[4 * SLICE : 4 * SLICE + 10]
        assert script.ranges == [_asked(1, 2), _asked(4, 4)]


async def test_workers_share_slices(tmp_path: Path) -> None:
    """What one worker brought in the other serves, and either may complete the object."""
    script = _origin()
    async with upstream(script) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, _):
        for index in range(21):
            got = await _part((one, two)[index % 2], index * SLICE, index * SLICE + 9)
            assert got.body == BODY[index * SLICE : index * SLICE + 10]
        await until(lambda: one.count("runs_total", "filled") == 21)
        for edge in (one, two):
            got = await edge.get("/a")
            assert (got.body, got.cache.split(";")[1]) == (BODY, " hit")
        assert script.sent == len(BODY)
        assert one.count("store_disk_bytes") == disk.size_of(one.files()[0])


async def test_the_workers_of_a_node_ask_for_a_slice_once_and_follow_it(tmp_path: Path) -> None:
    """The first bytes reach the viewers of the worker that did not ask before the last have come."""
    go, plain = asyncio.Event(), _origin()
    held = BODY[4 * SLICE : 5 * SLICE]

    async def script(call: Call) -> None:
        if call.field("Range") != _asked(4, 4):
            await plain(call)
            return
        span = f"bytes {4 * SLICE}-{5 * SLICE - 1}/{len(BODY)}"
        await call.send(head(206, length=SLICE, Content_Range=span, ETag='"v1"', Cache_Control=DAY) + held[:30_000])
        await go.wait()
        await call.send(held[30_000:])

    async with upstream(script) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, _):
        await _part(one, 0, 9)
        async with viewer(one.port) as first, viewer(two.port) as second:
            for each in (first, second):
                await each.ask("/a", Range=f"bytes={4 * SLICE}-{5 * SLICE - 1}")
                assert (await each.head()).status == 206
                assert await each.read(30_000) == held[:30_000]
            go.set()
            for each in (first, second):
                assert await each.read(SLICE - 30_000) == held[30_000:]
        assert [call.field("Range") for call in origin.calls] == [_asked(0, 0), _asked(4, 4)]
        await _runs(one, "followed", 1)
        for got in await asyncio.gather(*((one, two)[n % 2].get("/a") for n in range(8))):
            assert got.body == BODY
        assert plain.sent == len(BODY) - SLICE


async def test_cold_viewers_of_both_workers_are_one_request(tmp_path: Path) -> None:
    script = _origin()
    async with upstream(script) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, _):
        asked = (_part((one, two)[n % 2], 7 * SLICE + n, 7 * SLICE + n + 99) for n in range(20))
        for number, got in enumerate(await asyncio.gather(*asked)):
            assert got.body == BODY[7 * SLICE + number : 7 * SLICE + number + 100]
        assert script.ranges == [_asked(7, 7)]


async def test_a_worker_that_goes_in_a_run_leaves_it_to_the_other(tmp_path: Path) -> None:
    """Before the first byte another asks; nothing waits for who is gone."""
    plain = _origin()

    async def script(call: Call) -> None:
        if call.number == 1:
            await asyncio.Event().wait()
        await plain(call)

    async with upstream(script) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, first):
        await _part(one, 0, 9)
        await _runs(one, "filled", 1)
        lost = asyncio.create_task(_part(one, 4 * SLICE, 4 * SLICE + 9))
        await origin.called(2)
        waits = asyncio.create_task(_part(two, 4 * SLICE, 4 * SLICE + 9))
        await first.aclose()
        assert (await waits).body == BODY[4 * SLICE : 4 * SLICE + 10]
        with contextlib.suppress(CutOff):
            assert (await lost).status == 502


async def test_a_slice_that_rotted_is_missing_again(tmp_path: Path) -> None:
    script = _origin()
    async with upstream(script) as origin:
        async with node(tmp_path, origin.url, store=STORE) as edge:
            await _part(edge, SLICE, 3 * SLICE - 1)
            await _runs(edge, "filled", 1)
            (path,), offset = edge.files(), _layout(edge).body_offset
        with path.open("r+b") as file:
            file.seek(offset + 2 * SLICE + 17)
            file.write(b"rot")
        async with node(tmp_path, origin.url, store=STORE) as again:
            assert "; hit" in (await _part(again, SLICE, SLICE + 9)).cache
            got = await _part(again, 2 * SLICE, 2 * SLICE + 99)
            assert (got.body, got.cache.split(";")[1]) == (BODY[2 * SLICE : 2 * SLICE + 100], " fwd=partial")
            assert again.count("store_foreign_total") == 1
        assert script.ranges == [_asked(1, 2), _asked(2, 2)]


async def test_rot_found_at_the_end_keeps_an_object_from_being_complete(tmp_path: Path) -> None:
    script = _origin(BODY[: 3 * SLICE])
    async with upstream(script) as origin:
        async with node(tmp_path, origin.url, store=STORE) as edge:
            await _part(edge, 0, 2 * SLICE - 1)
            await _runs(edge, "filled", 1)
            (path,), offset = edge.files(), _layout(edge).body_offset
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"rot")
        async with node(tmp_path, origin.url, store=STORE) as again:
            await _part(again, 2 * SLICE, 2 * SLICE + 9)
            await until(lambda: again.count("store_foreign_total") == 1)
            assert (await again.get("/a")).body == BODY[: 3 * SLICE]


async def test_a_purge_takes_all_slices_and_a_run_brings_none_back(tmp_path: Path) -> None:
    go, plain = asyncio.Event(), _origin()

    async def script(call: Call) -> None:
        if call.field("Range") == _asked(5, 5) and not go.is_set():
            await go.wait()
        await plain(call)

    board = Board(families(OpenTier().reasons), 3)
    disk.prepare(tmp_path)
    keeper = Keeper(tmp_path, 2**30, 1000, Sieve(1000), board, ManualClock())
    keeper.start()
    assert keeper.loaded.wait(10)
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE, board=board) as edge:
        await _part(edge, 0, 9)
        slow = asyncio.create_task(_part(edge, 5 * SLICE, 5 * SLICE + 9))
        await origin.called(2)
        purged = await asyncio.wrap_future(keeper.purge(Purge("key", f"{_authority(origin.url)}/a")))
        assert (purged.objects, edge.files()) == (1, [])
        plain.body, plain.fields["ETag"] = OTHER, '"v2"'
        go.set()
        assert (await slow).body in (BODY[5 * SLICE : 5 * SLICE + 10], OTHER[5 * SLICE : 5 * SLICE + 10])
        assert (await edge.get("/a")).body == OTHER
        await asyncio.to_thread(keeper.close)
        assert edge.count("store_disk_bytes") == disk.size_of(edge.files()[0])
        index = opened(tmp_path)
        (*_, result) = verify(tmp_path, index)
        index.close()
        assert (result.findings, result.files) == ([], 1)
    board.close()


async def test_the_keeper_learns_what_slices_take(tmp_path: Path) -> None:
    """The journal tells after every run; the index has what is allocated, not the length."""
    board = Board(families(OpenTier().reasons), 3)
    disk.prepare(tmp_path)
    async with upstream(_origin()) as origin, node(tmp_path, origin.url, store=STORE, board=board) as edge:
        keeper = Keeper(tmp_path, 2**30, 1000, Sieve(1000), board, ManualClock())
        keeper.start()
        assert keeper.loaded.wait(10)
        for index in (1, 3, 7):
            await _part(edge, index * SLICE, index * SLICE)
            await _runs(edge, "filled", 1)
        await until(lambda: edge.count("runs_total", "filled") == 3)
    await asyncio.to_thread(keeper.close)
    known = opened(tmp_path)
    (row,) = known.rows()
    known.close()
    assert row.size == disk.size_of(edge.files()[0])
    assert 3 * SLICE <= row.size < 4 * SLICE
    board.close()


async def test_without_room_the_viewer_is_served_past_the_cache(tmp_path: Path) -> None:
    script = _origin()
    async with upstream(script) as origin, node(tmp_path, origin.url, store=STORE | {"disk": SLICE // 2}) as edge:
        got = await _part(edge, SLICE, SLICE + 9)
        assert (got.status, got.body) == (206, BODY[SLICE : SLICE + 10])
        assert not edge.files()
    async with (
        upstream(script) as origin,
        node(tmp_path / "two", origin.url, store=STORE | {"disk": SLICE + 8 * K}) as edge,
    ):
        for index in (1, 2):
            got = await _part(edge, index * SLICE, index * SLICE + 9)
            assert (got.status, got.body) == (206, BODY[index * SLICE : index * SLICE + 10])
        assert edge.count("runs_total", "no_room") == 1


async def test_a_disk_that_is_full_in_a_slice_is_no_fault_towards_viewers(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes every write behind it fail: the file's length is fixed before, its extents are not."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with upstream(_origin()) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await _part(edge, 0, 9)
        await _runs(edge, "filled", 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * SLICE, before[1]))
        try:
            got = await _part(edge, 9 * SLICE, 9 * SLICE + 9)
            assert (got.status, got.body) == (206, BODY[9 * SLICE : 9 * SLICE + 10])
            assert (await _part(edge, 0, 9)).body == BODY[:10]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert edge.count("runs_total", "no_room") == 1
        assert edge.count("store_errors_total") == 1
