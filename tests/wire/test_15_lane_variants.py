"""Variants in the fast lane (RFC 9111 4.1): whatever selects, it chooses as aiohttp's path does (issue 4, part 1)."""

import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from zlib import crc32

import pytest

from kit.clock import ManualClock
from proxy.http import dates
from tests.support.nodes import node
from tests.support.upstream import Call, says, upstream
from tests.support.wire import viewer
from tests.wire.test_15_lane_differential import Pair, Spoken, bare, same, same_counts

DAY = "public, max-age=86400"
NAMES = {
    "/coding": "Accept-Encoding",
    "/origin": "Origin",
    "/both": "origin, Accept-Encoding",
    "/language": "Accept-Language",
    "/odd": "X-Odd, Range, Headrace-Node",
    "/id": "X-Request-ID",
    "/via": "Via, CDN-Loop",
    "/all": "*",
    "/plain": "",
}
SECOND = "/second"
"""Names other selecting fields for other answers."""


def _vary(call: Call) -> str:
    """What selects the answer."""
    name = call.target.partition("?")[0]
    if name == SECOND:
        return "Origin" if call.field("Accept-Encoding") == "br" else "Accept-Encoding"
    return NAMES[name]


class Origin:
    """Bodies that say what selected them: a wrong choice shows."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    async def __call__(self, call: Call) -> None:
        vary = _vary(call)
        chosen = [f"{name.strip()}={call.field(name.strip())}" for name in vary.split(",") if name.strip() != "*"]
        body = f"{call.target} {chosen}".encode()
        large = body * (20_000 // len(body)) if "big" in call.target else body
        fields = {"Vary": vary} if vary else {}
        date = dates.render(self._clock.wall())
        await call.answer(large, Cache_Control="max-age=60", ETag=f'"{crc32(body) % 97}"', Date=date, **fields)


@contextlib.asynccontextmanager
async def _pair(tmp_path: Path) -> AsyncIterator[Pair]:
    clock, logs = ManualClock(), (tmp_path / "lane.log", tmp_path / "aiohttp.log")
    store = {"memory_object": 10_000}
    async with (
        upstream(Origin(clock)) as source,
        node(tmp_path / "a", source.url, clock=clock, access_log=str(logs[0]), store=store) as one,
        node(tmp_path / "b", source.url, clock=clock, access_log=str(logs[1]), store=store, fast_lane=False) as two,
    ):
        yield Pair(clock, [], (one, two), logs)


def _request(rng: random.Random) -> Spoken:
    target = rng.choice([*NAMES, SECOND, "/coding", "/origin"]) + rng.choice(("", "", "?big", "?CMCD=x"))
    method = rng.choice(["GET"] * 60 + ["HEAD", "DELETE"])
    given = [
        ("Accept-Encoding", rng.choice(("gzip", "br", "br, gzip", "gzip;q=0.5,br", "identity", "*;q=0", "x-gzip"))),
        ("Origin", f"https://{rng.randrange(6)}.test"),
        ("Accept-Language", rng.choice(("de", "DE", "en, de", "de,  en"))),
        ("X-Odd", rng.choice(("a  b", "a b", "", "c"))),
        ("X-Request-ID", rng.choice(("one", "two"))),
        ("CDN-Loop", "other"),
        ("Via", "1.1 other"),
        ("Range", rng.choice(("bytes=0-3", "bytes=2-", "bytes=0-1,3-4"))),
        ("If-None-Match", f'"{rng.randrange(97)}"'),
        ("Headrace-Node", "x"),
        ("Cookie", f"a={rng.randrange(3)}"),
    ]
    fields = [f"{name}: {value}" for name, value in rng.sample(given, rng.choice((0, 1, 1, 2, 3)))]
    if target.startswith("/id") and not any(each.startswith("X-Request-ID") for each in fields):
        fields.append("X-Request-ID: one")  # one that an edge draws takes a slot, and another one at the other
    data = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *fields]) + "\r\n\r\n"
    return Spoken(data.encode(), [method])


async def _compare(tmp_path: Path, seed: int, requests: int) -> None:
    rng = random.Random(seed)
    async with _pair(tmp_path) as pair:
        for number in range(requests):
            if number % 100 == 99:
                pair.clock.advance(rng.choice((0.5, 5, 70)))
            spoken = _request(rng)
            await same(pair, spoken, [spoken.data])
        same_counts(*pair.edges)
    lines = [[bare(line) for line in log.read_bytes().splitlines()] for log in pair.logs]
    assert lines[0] == lines[1]


async def test_generated_requests_select_the_same_variants_in_both_lanes(tmp_path: Path) -> None:
    await _compare(tmp_path, seed=1, requests=900)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
async def test_ten_thousand_generated_requests_select_the_same_variants(tmp_path: Path, seed: int) -> None:
    await _compare(tmp_path, seed=100 + seed, requests=1000)


async def test_a_stored_variant_is_the_lanes(tmp_path: Path) -> None:
    async with _pair(tmp_path) as pair:
        lane = pair.edges[0]
        for coding in ("gzip", "br"):
            await lane.get("/coding", Accept_Encoding=coding)
            await lane.settled()
        before = lane.count("lane_total", "fast")
        async with viewer(lane.port) as each:
            for coding in ("gzip", "br", "br;q=0.5", "gzip"):
                await each.ask("/coding", Accept_Encoding=coding)
                got = await each.answer()
                assert got.body == f"/coding ['Accept-Encoding={coding[:4].rstrip(';q')}']".encode()
            await each.ask("/coding", Accept_Encoding="br, gzip")
            assert "fwd=vary-miss" in (await each.answer()).cache
        assert lane.count("lane_total", "fast") == before + 4


async def test_variants_that_share_a_slot_are_not_taken_for_one_another(tmp_path: Path) -> None:
    """There are 256 slots a key: of so many variants some share one, and the later replaces the earlier."""
    async with upstream(Origin(ManualClock())) as source, node(tmp_path, source.url) as lane:
        for _ in range(2):
            for number in range(80):
                got = await lane.get("/origin", Origin=f"https://{number}.test")
                assert got.body == f"/origin ['Origin=https://{number}.test']".encode()
                await lane.settled()
        fast, asked = lane.count("lane_total", "fast"), lane.count("upstream_requests_total")
        assert fast + asked == 160
        assert fast > 40
        assert asked > 80


async def test_an_invalidation_takes_all_variants_from_the_lane(tmp_path: Path) -> None:
    """RFC 9111 4.4."""
    async with upstream(says(b"x", Cache_Control=DAY, Vary="Origin")) as source, node(tmp_path, source.url) as lane:
        for _ in range(2):
            await lane.get("/a", Origin="b")
            await lane.settled()
        assert lane.count("lane_total", "fast") == 1
        await lane.get("/a", "DELETE")
        assert "fwd=uri-miss" in (await lane.get("/a", Origin="b")).cache
        assert lane.count("lane_total", "fast") == 1


async def test_what_upstream_sees_selects_and_nothing_else(tmp_path: Path) -> None:
    """The node's own Via counts, and the request's id; a Range and a forged credential do not."""
    async with _pair(tmp_path) as pair:
        lane = pair.edges[0]
        for target in ("/via", "/odd"):
            await lane.get(target)
            await lane.settled()
        assert (await lane.get("/via")).body == b"/via ['Via=1.1 edge', 'CDN-Loop=edge']"
        assert (await lane.get("/odd", Headrace_Node="x", Range="bytes=0-3")).body == b"/odd"
        assert lane.count("lane_total", "fast") == 2
        assert (await lane.get("/via", Via="1.1 other")).body == b"/via ['Via=1.1 other, 1.1 edge', 'CDN-Loop=edge']"
        assert lane.count("lane_total", "fast") == 2
        for stated, fast in (("one", 2), ("one", 3), ("", 3), ("two", 3), ("one", 4)):
            got = await lane.get("/id", **({"X_Request_ID": stated} if stated else {}))
            await lane.settled()
            assert stated in got.body.decode()
            assert lane.count("lane_total", "fast") == fast
