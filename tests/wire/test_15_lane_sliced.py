"""Sliced objects in the fast lane: what this worker knows to be sound goes out as from a complete file, and as aiohttp
says it (issue 4, part 1; CDN-24)."""

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.clock import ManualClock
from proxy.http import dates
from tests.support.nodes import Node, node
from tests.support.ranged import Ranged
from tests.support.sliced import BODY, SLICE, STORE, part, runs, serving
from tests.support.upstream import Call, upstream
from tests.support.wire import until, viewer
from tests.wire.test_15_lane_differential import BOUNDARY, OWN_ID, same_counts
from tests.wire.test_17_workers import workers


async def settled(edge: Node) -> None:
    """Wait until nothing is brought in any more."""
    names = re.compile(r"[a-z]+:(fill|run)")
    await until(lambda: not any(names.fullmatch(each.get_name()) for each in asyncio.all_tasks()), "all is brought in")


async def test_slices_that_are_there_are_the_lanes_and_others_are_not(tmp_path: Path) -> None:
    async with upstream(serving()) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        assert (await part(edge, 0, 2 * SLICE - 1)).status == 206
        await settled(edge)
        assert edge.count("lane_total", "fast") == 0
        inside = await part(edge, 10, SLICE + 10)
        assert (inside.cache.split(";")[1].strip(), inside.body) == ("hit", BODY[10 : SLICE + 11])
        assert edge.count("lane_total", "fast") == 1
        beyond = await part(edge, SLICE, 2 * SLICE)
        assert beyond.body == BODY[SLICE : 2 * SLICE + 1] and "fwd=partial" in beyond.cache
        assert edge.count("lane_total", "fast") == 1
        assert (await edge.get("/a", If_None_Match='"v1"')).status == 304
        assert edge.count("lane_total", "fast") == 2


async def test_an_object_whose_last_slice_came_is_one_file(tmp_path: Path) -> None:
    async with upstream(serving()) as origin, node(tmp_path, origin.url, store=STORE) as edge:
        await part(edge, 0, 10)
        assert (await edge.get("/a")).body == BODY
        await settled(edge)
        before = edge.count("lane_total", "fast")
        assert (await edge.get("/a")).body == BODY
        assert (await part(edge, 5, 500_000)).body == BODY[5:500_001]
        assert edge.count("lane_total", "fast") == before + 2


async def test_what_another_worker_brought_in_is_looked_at_once(tmp_path: Path) -> None:
    """A process believes a slice that it did not write when it has read it and found it sound."""
    async with upstream(serving()) as origin, workers(tmp_path, origin.url, store=STORE) as (one, two, _):
        await part(one, 0, SLICE - 1)
        await runs(one, "filled", 1)
        for fast in (0, 1, 2):
            assert (await part(two, 0, SLICE - 1)).body == BODY[:SLICE]
            assert two.count("lane_total", "fast") == fast


class Dated(Ranged):
    """The object under every target, dated by the test's clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(BODY, {"ETag": '"v1"', "Cache_Control": "max-age=90", "Content_Type": "video/mp4"})
        self._clock = clock

    async def __call__(self, call: Call) -> None:
        """See Ranged."""
        self.fields["Date"] = dates.render(self._clock.wall())
        await super().__call__(call)


@contextlib.asynccontextmanager
async def _pair(tmp_path: Path, clock: ManualClock) -> AsyncIterator[tuple[Node, Node]]:
    async with (
        upstream(Dated(clock)) as origin,
        node(tmp_path / "a", origin.url, clock=clock, store=STORE) as one,
        node(tmp_path / "b", origin.url, clock=clock, store=STORE, fast_lane=False) as two,
    ):
        yield one, two


def _request(rng: random.Random) -> bytes:
    start = rng.randrange(len(BODY) + 100)
    end = start + rng.choice((0, 10, SLICE, SLICE, 5 * SLICE, len(BODY)))
    several = f"bytes={start}-{end},0-9"
    lines = [f"GET /film{rng.randrange(4)} HTTP/1.1", "Host: x", f"Range: bytes={start}-{end}"]
    lines = lines[: 2 + (rng.random() < 0.95)]
    odd = (several, "bytes=-900", f"bytes={start}-", "bytes=9-1", "items=0-1")
    if rng.random() < 0.2:
        lines[2:] = [f"Range: {rng.choice(odd)}"]
    conditions = ('If-None-Match: "v1"', 'If-Range: "v1"', 'If-Range: "v0"', 'If-Match: "v0"', "User-Agent: x")
    lines += rng.sample(conditions, rng.choice((0, 0, 0, 1)))
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _answer(edge: Node, data: bytes) -> bytes:
    async with viewer(edge.port) as each:
        await each.send(data)
        head = await each.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
        body = await each.read(int(length[1])) if length else b""
    await settled(edge)
    boundary = BOUNDARY.search(head)
    if boundary:
        head, body = head.replace(boundary[1], b"*"), body.replace(boundary[1], b"*")
    return OWN_ID.sub(rb"\1*\r\n", head) + body


async def _compare(tmp_path: Path, seed: int, requests: int) -> None:
    clock, rng = ManualClock(), random.Random(seed)
    async with _pair(tmp_path, clock) as (one, two):
        for number in range(requests):
            if number % 25 == 24:
                clock.advance(rng.choice((0.5, 5, 100)))
            data = _request(rng)
            assert await _answer(one, data) == await _answer(two, data), data
        same_counts(one, two)


@pytest.mark.parametrize("seed", range(2))
async def test_generated_requests_for_slices_get_the_same_answers_from_both_lanes(tmp_path: Path, seed: int) -> None:
    await _compare(tmp_path, seed, requests=200)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
async def test_two_thousand_generated_requests_for_slices(tmp_path: Path, seed: int) -> None:
    await _compare(tmp_path, seed, requests=200)
