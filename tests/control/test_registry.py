"""The node map, over both its forms: CTL-01, T-019; and over Redis, with Redis away."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import redis.asyncio

from control.registry.memory import MemoryRegistry
from control.registry.model import RegistryFull
from control.registry.redis_form import RedisRegistry
from control.registry.redis_rows import RedisRows
from control.steering.choose import Candidates, Policy, choose
from control.steering.ranks import Ranks
from kit.clock import ManualClock, SystemClock
from kit.tasks import end
from tests.control.support import report, until
from tests.support.redis import RedisServer

LIMITS = (80.0, 90.0, 95.0)
EXPIRY_S = 1.0
CLOCK = SystemClock()


@asynccontextmanager
async def over_redis(
    server: RedisServer, expiry_s: float = EXPIRY_S, max_nodes: int = 4
) -> AsyncIterator[RedisRegistry]:
    rows = RedisRows.connect(server.url, CLOCK, regions=["east", "west"], expiry_s=expiry_s, limits=LIMITS)
    registry = RedisRegistry(rows, CLOCK, expiry_s=expiry_s, limits=LIMITS, max_nodes=max_nodes)
    await registry.start()
    try:
        yield registry
    finally:
        await registry.close()


@pytest.fixture(params=["memory", "redis"])
async def registry(request: pytest.FixtureRequest, redis_server: RedisServer):
    if request.param == "memory":
        yield MemoryRegistry(CLOCK, expiry_s=EXPIRY_S, limits=LIMITS, max_nodes=4)
        return
    async with over_redis(redis_server) as made:
        yield made


async def test_a_heartbeat_registers(registry) -> None:
    """CTL-01: a node that starts just reports."""
    await registry.beat("edge-1", report(42, connections=7, egress_mbps=1.5, version="0.1.0"))
    found = (await registry.roster()).nodes["edge-1"]
    assert (found.load, found.connections, found.egress_mbps, found.version) == (42, 7, 1.5, "0.1.0")
    assert found.alive(CLOCK.monotonic(), EXPIRY_S)


async def test_the_version_moves_with_eligibility_and_only_then(registry) -> None:
    """CTL-02: crossing 80, 90 or 95 is a change; a load that moves below 80 is none."""
    seen = []
    steps = [report(10), report(79.9), report(80), report(85), report(90), report(95), report(20)]
    steps += [report(20, draining=True), report(20, draining=True), report(20, region="west")]
    for each in steps:
        await registry.beat("edge-1", each)
        seen.append((await registry.roster()).version)
    changed = [b > a for a, b in pairwise(seen)]
    assert changed == [False, True, False, True, True, True, True, False, True]


async def test_a_silent_node_leaves_the_map(registry) -> None:
    """T-019: the load of the dead does not stay behind."""
    await registry.beat("edge-1", report(0))
    before = (await registry.roster()).version
    await until(lambda: "edge-1" not in registry.map().nodes)
    assert (await registry.roster()).version > before


async def test_leaving_is_at_once_and_coming_back_too(registry) -> None:
    await registry.beat("edge-1", report())
    await registry.leave("edge-1")
    assert "edge-1" not in registry.map().nodes
    await registry.leave("edge-1")
    await registry.beat("edge-1", report(started=2.0))
    assert (await registry.roster()).nodes["edge-1"].started == 2.0


async def test_a_node_moves_from_region_to_region(registry) -> None:
    await registry.beat("edge-1", report(region="east"))
    await registry.beat("edge-1", report(region="west"))
    assert (await registry.roster()).edges == {"west": ("edge-1",)}


async def test_the_map_is_bounded(registry) -> None:
    for n in range(4):
        await registry.beat(f"edge-{n}", report())
    await registry.roster()
    with pytest.raises(RegistryFull):
        await registry.beat("edge-4", report())
    await registry.beat("edge-3", report(20))


async def test_redis_holds_what_the_seeds_name(redis_server: RedisServer) -> None:
    """CTL-01: sorted set `edges:{region}` scored by load; shields are not in it."""
    async with over_redis(redis_server) as registry, redis.asyncio.Redis.from_url(redis_server.url) as client:
        await registry.beat("edge-1", report(42.5))
        await registry.beat("shield-1", report(1, role="shield"))
        assert await client.zrange("edges:east", 0, -1, withscores=True) in ([(b"edge-1", 42.5)], [[b"edge-1", 42.5]])
        assert await client.zcard("seen:east") == 2
        assert await client.hget("node:edge-1", "region") == b"east"
        await until(lambda: not registry.map().nodes)
        assert await client.keys("*") == [b"map:version"]


async def test_two_control_processes_share_one_map(redis_server: RedisServer) -> None:
    async with over_redis(redis_server) as one, over_redis(redis_server) as two:
        await one.beat("edge-1", report(10))
        await until(lambda: "edge-1" in two.map().nodes)
        await two.leave("edge-1")
        await until(lambda: "edge-1" not in one.map().nodes)


def chosen(registry: RedisRegistry) -> list[str]:
    """The candidates now; a failure of any kind fails the test."""
    choice = choose(registry.map(), "east", "bbb", CLOCK.monotonic(), Policy(next={}), Ranks(), {})
    return [each.node.id for each in choice.edges] if isinstance(choice, Candidates) else []


async def beating(registry: RedisRegistry, node_id: str, answers: list[list[str]]) -> None:
    """Report ten times a second and ask after each."""
    while True:
        await registry.beat(node_id, report())
        answers.append(chosen(registry))
        await asyncio.sleep(0.1)


@pytest.mark.processes
async def test_redis_is_killed_and_comes_back_empty_under_heartbeats(own_redis: RedisServer) -> None:
    """T-019: choose never fails meanwhile; the map is back in Redis, the node of another control process too."""
    async with over_redis(own_redis, 2.5) as one, over_redis(own_redis, 2.5) as two:
        answers: list[list[str]] = []
        await one.beat("edge-1", report())
        await two.beat("edge-2", report())
        await until(lambda: set(one.map().nodes) == set(two.map().nodes) == {"edge-1", "edge-2"})
        before = one.map().version
        tasks = [asyncio.create_task(beating(r, f"edge-{n}", answers)) for n, r in ((1, one), (2, two))]
        own_redis.kill()
        await until(lambda: one.state().redis == two.state().redis == "away")
        assert {n.id for n in one.map().nodes.values() if n.held} == {"edge-2"}
        count = len(answers)
        await until(lambda: len(answers) > count + 6)
        own_redis.start()
        await until(lambda: one.state().redis == two.state().redis == "up")
        async with redis.asyncio.Redis.from_url(own_redis.url) as client:
            assert b"edge-1" in await client.zrange("edges:east", 0, -1)
        await until(lambda: not any(n.held for n in one.map().nodes.values()) and len(one.map().nodes) == 2)
        await end(tasks)
        assert one.map().version > before
        assert all(set(answer) == {"edge-1", "edge-2"} for answer in answers), answers


@pytest.mark.processes
async def test_with_redis_away_death_and_farewell_are_still_seen(own_redis: RedisServer) -> None:
    """T-019: a node heard here is judged by its heartbeats here; one that left stays away when Redis is back."""
    async with over_redis(own_redis) as registry:
        await registry.beat("edge-1", report())
        await registry.beat("edge-2", report())
        await until(lambda: len(registry.map().nodes) == 2)
        own_redis.pause()
        await registry.leave("edge-2")
        assert registry.state().redis == "away"
        assert "edge-2" not in registry.map().nodes
        await until(lambda: chosen(registry) == [])
        own_redis.resume()
        await until(lambda: registry.state().redis == "up")
        assert registry.map().nodes == {}


async def test_control_starts_without_its_redis(own_redis: RedisServer) -> None:
    own_redis.kill()
    async with over_redis(own_redis) as registry:
        assert registry.state().redis == "away"
        await registry.beat("edge-1", report())
        assert chosen(registry) == ["edge-1"]


def test_each_node_expires_in_its_own_time() -> None:
    """T-019: `expiry_s` after its last heartbeat, whenever the others were heard."""
    clock = ManualClock()
    nodes = MemoryRegistry(clock, expiry_s=2.5, limits=LIMITS, max_nodes=4)
    for name in ("a", "b", "c"):
        nodes.note(name, report())
        clock.advance(1)
    nodes.note("a", report())
    seen = []
    for _ in range(7):
        seen.append("".join(sorted(nodes.map().nodes)))
        clock.advance(0.5)
    assert seen == ["abc", "ac", "ac", "a", "a", "", ""]
    nodes.note("b", report())
    assert set(nodes.map().nodes) == {"b"}


def test_ten_thousand_nodes_can_report_once_a_second() -> None:
    """`max_nodes` must be a number that control can bear: a heartbeat may not look at every other node."""
    nodes = MemoryRegistry(CLOCK, expiry_s=60, limits=LIMITS, max_nodes=10_000)
    for number in range(10_000):
        nodes.note(f"edge-{number}", report())
    told, began = report(20), time.process_time()
    for number in range(2_000):
        nodes.note(f"edge-{number}", told)
    assert time.process_time() - began < 0.4


async def test_a_burst_of_heartbeats_is_no_reason_to_call_redis_away(redis_server: RedisServer) -> None:
    """Nodes beat as they like, many of them in one moment: more at once than there are connections wait in line."""
    async with over_redis(redis_server, expiry_s=60, max_nodes=1000) as registry:
        for _ in range(3):
            await asyncio.gather(*(registry.beat(f"edge-{n}", report()) for n in range(300)))
            assert registry.state().redis == "up"
        assert len((await registry.roster()).nodes) == 300
