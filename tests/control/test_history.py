"""Round trips by client network and edge, over both forms of the history: CTL-03, D-15."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis.asyncio

from control.contract.observations import RoundTrip
from control.observed.memory import MemoryHistory
from control.observed.model import MOST_EDGES, MOST_SAMPLES, Trip, merged
from control.observed.redis_form import RedisHistory
from kit.clock import ManualClock, SystemClock
from tests.control.support import until
from tests.support.redis import RedisServer

HERE, THERE = "192.0.2.0/24", "2001:db8:1::/48"
CLOCK = SystemClock()


def trip(ms: float, count: int = 1, network: str = HERE) -> RoundTrip:
    return RoundTrip(network=network, ms=ms, count=count)


@asynccontextmanager
async def over_redis(server: RedisServer, most: int = 3) -> AsyncIterator[RedisHistory]:
    history = RedisHistory.connect(server.url, CLOCK, half_life_s=3600, most=most)
    await history.start()
    try:
        yield history
    finally:
        await history.close()


@pytest.fixture(params=["memory", "redis"])
async def history(request: pytest.FixtureRequest, redis_server: RedisServer):
    if request.param == "memory":
        yield MemoryHistory(CLOCK, half_life_s=3600, most=3)
        return
    async with over_redis(redis_server) as made:
        yield made


async def settled(history) -> None:
    """What Redis holds is in the picture."""
    if isinstance(history, RedisHistory):
        await history.poll()


@pytest.mark.parametrize(
    ("old", "ms", "count", "now", "expected"),
    [
        (None, 40.0, 2, 0.0, Trip(40.0, 2.0, 0.0)),
        (Trip(100.0, 5.0, 0.0), 0.0, 1, 0.0, Trip(70.0, 6.0, 0.0)),
        (Trip(100.0, 5.0, 0.0), 0.0, 2, 0.0, Trip(49.0, 7.0, 0.0)),
        (Trip(100.0, 8.0, 0.0), 100.0, 1, 20.0, Trip(100.0, 3.0, 20.0)),
        (Trip(100.0, 1.5, 0.0), 10.0, 1, 10.0, Trip(10.0, 1.0, 10.0)),
        (Trip(100.0, 64.0, 0.0), 100.0, 9, 0.0, Trip(100.0, MOST_SAMPLES, 0.0)),
        (None, 5.0, 1_000, 0.0, Trip(5.0, MOST_SAMPLES, 0.0)),
    ],
)
def test_d_15_the_average_and_its_fading(old, ms, count, now, expected) -> None:
    """EWMA 0.3 a sample; half of the samples are forgotten in a half-life (10 s here)."""
    found = merged(old, ms, count, now, 10.0)
    assert (found.samples, found.at) == (expected.samples, expected.at)
    assert found.ms == pytest.approx(expected.ms)


async def test_what_an_edge_measured_is_known(history) -> None:
    await history.note("edge-1", [trip(100.0, 4), trip(9.0, network=THERE)])
    await history.note("edge-1", [trip(0.001)])
    await history.note("edge-2", [trip(20.0, 3)])
    await settled(history)
    found = history.latency(HERE)
    assert found["edge-1"].ms == pytest.approx(70.0, abs=0.01)
    assert found["edge-1"].samples == 5
    assert found["edge-2"].ms == 20.0
    assert history.latency(THERE)["edge-1"].ms == 9.0
    assert history.latency("198.51.100.0/24") == {}


async def test_the_history_is_bounded(history) -> None:
    """The longest silent network goes first, and of a network the edge longest silent."""
    for number in range(5):
        await history.note("edge-1", [trip(10.0, network=f"10.0.{number}.0/24")])
    for number in range(MOST_EDGES + 3):
        await history.note(f"edge-{number}", [trip(10.0, network="10.0.4.0/24")])
    await settled(history)
    known = [number for number in range(5) if history.latency(f"10.0.{number}.0/24")]
    assert known == [2, 3, 4]
    assert len(history.latency("10.0.4.0/24")) == MOST_EDGES
    assert history.state().networks == 3


def test_samples_fade_until_nothing_is_believed() -> None:
    """D-15: at least 3 samples; an hour without news halves them."""
    clock = ManualClock()
    history = MemoryHistory(clock, half_life_s=3600, most=3)
    history.put(HERE, {"edge-1": Trip(10.0, 8.0, clock.monotonic())})
    seen = []
    for _ in range(4):
        seen.append(history.latency(HERE)["edge-1"].samples)
        clock.advance(3600)
    assert seen == [8, 4, 2, 1]


async def test_two_control_processes_share_one_history(redis_server: RedisServer) -> None:
    async with over_redis(redis_server) as one, over_redis(redis_server) as two:
        await one.note("edge-1", [trip(100.0, 3)])
        assert two.latency(HERE) == {}
        await two.poll()
        await two.note("edge-1", [trip(100.0, 3)])
        await one.poll()
        assert one.latency(HERE)["edge-1"].samples >= 5
        async with redis.asyncio.Redis.from_url(redis_server.url) as client:
            assert await client.pttl(f"rtt:{HERE}") > 0, "Redis forgets by itself"


async def test_many_networks_are_read_in_batches(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.observed.redis_form.BATCH", 7)
    async with over_redis(redis_server, most=100) as one, over_redis(redis_server, most=100) as two:
        for number in range(40):
            await one.note("edge-1", [trip(10.0, network=f"10.0.{number}.0/24")])
        await two.poll()
        assert two.state().networks == 40


async def test_with_redis_away_this_process_goes_on_knowing(own_redis: RedisServer) -> None:
    """Nothing fails, /health says so, and Redis is used again when it is back."""
    async with over_redis(own_redis) as history:
        await history.note("edge-1", [trip(100.0, 1), trip(1.0, 1, "10.0.0.0/24"), trip(1.0, 1, "10.0.1.0/24")])
        await history.poll()
        own_redis.kill()
        await history.note("edge-1", [trip(100.0, 3)])
        assert history.latency(HERE)["edge-1"].ms == 100.0
        state = history.state()
        assert state.redis == "away" and state.error
        own_redis.start()
        await until(lambda: history.state().redis == "up")
        await history.note("edge-2", [trip(50.0, 3)])
        async with over_redis(own_redis) as other:
            assert set(other.latency(HERE)) == {"edge-2"}
            await other.note("edge-3", [trip(50.0, 3)])
        await history.poll()
        assert "edge-3" in history.latency(HERE), "Redis counts from one again"
        async with redis.asyncio.Redis.from_url(own_redis.url) as client:
            assert await client.hkeys(f"rtt:{HERE}") == [b"edge-2", b"edge-3"]
