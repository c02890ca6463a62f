"""Votes among control processes, by a stream in Redis (issue 5, part 6)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis.asyncio

from control.contract.observations import Quality
from control.observed.quality import Votes
from control.observed.redis_votes import KEY, MOST_MESSAGES, SharedVotes
from kit.clock import SystemClock
from tests.control.support import until
from tests.support.redis import RedisServer

CLOCK = SystemClock()


def told(votes: int = 20, network: int = 0) -> tuple[Quality, ...]:
    return (Quality(network=f"10.0.{network}.0/24", votes=votes, stalled=votes),)


@asynccontextmanager
async def process(server: RedisServer) -> AsyncIterator[tuple[Votes, SharedVotes]]:
    votes = Votes(CLOCK, half_life_s=300)
    shared = SharedVotes.connect(server.url, votes)
    await shared.start()
    try:
        yield votes, shared
    finally:
        await shared.close()


async def say(one: tuple[Votes, SharedVotes], edge: str, **given: int) -> None:
    """What the API does."""
    one[0].note(edge, told(**given))
    await one[1].share(edge, told(**given))


def count(votes: Votes, edge: str) -> float:
    found = votes.qoe(edge)
    return round(found.votes) if found else 0


async def test_every_process_sums_what_all_were_told(redis_server: RedisServer) -> None:
    async with process(redis_server) as one, process(redis_server) as two:
        await say(one, "edge-1", votes=20)
        await say(two, "edge-1", votes=30, network=1)
        for each in (one, two):
            await each[1].poll()
            await each[1].poll()
            assert count(each[0], "edge-1") == 50, "its own once, the other's once"


async def test_one_that_starts_later_takes_in_what_is_there(redis_server: RedisServer) -> None:
    async with process(redis_server) as one:
        await say(one, "edge-1", votes=40)
    async with process(redis_server) as late:
        assert count(late[0], "edge-1") in (39, 40)


async def test_the_stream_is_bounded(redis_server: RedisServer) -> None:
    async with process(redis_server) as one, redis.asyncio.Redis.from_url(redis_server.url) as client:
        for number in range(MOST_MESSAGES + 600):
            await client.xadd(KEY, {"by": "x", "edge": "e", "told": "junk"}) if number % 600 else await say(one, "e")
        await say(one, "e")
        assert await client.xlen(KEY) <= MOST_MESSAGES + 200, "Redis cuts by whole blocks"
        await one[1].poll()
        assert one[1].error is None, "what is not understood is passed over"


async def test_redis_away_and_back_anew(own_redis: RedisServer) -> None:
    """This process goes on; the stream that begins again is read from its beginning."""
    async with process(own_redis) as one, process(own_redis) as two:
        await say(one, "edge-1")
        await two[1].poll()
        own_redis.kill()
        await say(one, "edge-2")
        assert one[1].error is not None
        assert count(one[0], "edge-2") == 20
        own_redis.start()
        await until(lambda: one[1].error is None)
        await say(one, "edge-3")
        await until(lambda: count(two[0], "edge-3") == 20)
        assert count(two[0], "edge-1") in (19, 20), "and nothing twice"


@pytest.mark.parametrize(("age_s", "left"), [(0.0, 40), (300.0, 20), (3000.0, 0)])
def test_what_comes_late_has_faded(age_s: float, left: int) -> None:
    votes = Votes(CLOCK, half_life_s=300)
    votes.note("edge-1", told(40), age_s=age_s)
    assert count(votes, "edge-1") == left
