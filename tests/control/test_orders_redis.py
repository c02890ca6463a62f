"""Orders over a Redis that dies, and to many nodes: CDN-16, T-090; issue 5, Must show."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import redis.asyncio

from control.api.app import public_app
from control.contract.orders import Ack, Drain, Order, Purge, Revoke, Targets
from control.main import building
from control.orders.model import OrdersAway
from control.steering.choose import Candidates, choose
from kit.clock import SystemClock
from kit.service import listening
from kit.tasks import end
from tests.control.ordering import CLOCK, Fleet, Noted, fleet, settings
from tests.control.support import until
from tests.support.redis import RedisServer

NODES = 50


@contextlib.asynccontextmanager
async def replica(control: Fleet, redis_url: str) -> AsyncIterator[Fleet]:
    """Another control process over the same Redis, with the same fleet key; in this process."""
    async with (
        building(settings(control.directory, redis_url=redis_url), CLOCK) as service,
        listening(public_app(service), "127.0.0.1", 0, drain_s=5) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Fleet(service, url, session, control.directory)


def purge(number: int) -> Purge:
    return Purge(by="tag", what=f"t{number}")


async def test_a_tag_purge_reaches_fifty_nodes_and_the_one_that_was_away(tmp_path: Path, redis_server) -> None:
    """T-090: every order on every node, in order; the figure of the Must show is bench's (`bench orders`)."""
    async with fleet(tmp_path, redis_url=redis_server.url) as control, contextlib.AsyncExitStack() as stack:
        async with control.node("edge-away") as (follower, away):
            await until(lambda: follower.state().cursor)
        noted = [(await stack.enter_async_context(control.node(f"edge-{n}")))[1] for n in range(NODES)]
        await until(lambda: all(each.did for each in noted))
        for number in range(5):
            last = await control.service.orders.issue(purge(number))
        expected = ["purge all", *(f"purge tag t{number}" for number in range(5))]
        await until(lambda: all(each.did == expected for each in noted))
        async with control.node("edge-away", away):
            await until(lambda: away.did == expected)
            await all_done(control, last.number, NODES + 1)


async def all_done(control: Fleet, number: int, count: int) -> None:
    """Until so many nodes have done it, and none waits."""
    end = time.monotonic() + 20
    while True:
        status = await control.service.orders.status(number)
        if (status.done, status.failed, status.waiting) == (count, 0, 0):
            return
        assert time.monotonic() < end, status
        await asyncio.sleep(0.02)


async def test_replicas_share_the_log(tmp_path: Path, redis_server: RedisServer) -> None:
    """An order issued at one control process reaches nodes of another, and its status is the same at both."""
    async with fleet(tmp_path, redis_url=redis_server.url) as one, replica(one, redis_server.url) as two:
        async with one.node("edge-1") as (_, first), two.node("edge-2") as (_, second):
            await until(lambda: first.did and second.did)
            order = await one.service.orders.issue(purge(1))
            await until(lambda: first.did[-1] == second.did[-1] == "purge tag t1")
            await all_done(two, order.number, 2)
        async with two.node("edge-1", first) as (follower, _):  # a cursor of one is good at the other
            await until(lambda: follower.state().cursor)
            order = await two.service.orders.issue(purge(2))
            await until(lambda: first.did[-1] == "purge tag t2")
        assert first.did == ["purge all", "purge tag t1", "purge tag t2"]


async def test_a_shield_of_one_replica_holds_up_the_edges_of_another(tmp_path: Path, redis_server) -> None:
    """contracts.md, Purge across tiers: whoever hears the last shield tells the edges."""
    async with fleet(tmp_path, redis_url=redis_server.url) as one, replica(one, redis_server.url) as two:
        await two.beat("shield-1")
        async with one.node("edge-1") as (_, edge):
            await until(lambda: edge.did)
            order = await one.service.orders.issue(purge(1))
            assert (await two.service.orders.status(order.number)).stage == "shields"
            async with two.node("shield-1") as (_, shield):
                await until(lambda: edge.did[-1] == "purge tag t1")
                assert shield.did[-1] == "purge tag t1"


async def issuing(control: Fleet, issued: list[Order], refused: Counter[str]) -> None:
    """Orders one after the other; a refused one is given again under its key until it is taken."""
    number = 0
    while True:
        with contextlib.suppress(OrdersAway):
            issued.append(await control.service.orders.issue(purge(number), key=f"k{number}"))
            number += 1
            await asyncio.sleep(0.02)
            continue
        refused["away"] += 1


async def beating(control: Fleet, names: list[str], failures: Counter[str]) -> None:
    """Heartbeats, and a steering answer after each round: none may fail."""
    while True:
        await control.beat(*names)
        nodes, policy = control.service.registry.map(), control.service.policy
        choice = choose(nodes, "east", "bbb", CLOCK.monotonic(), policy, control.service.ranks, {})
        failures["steering"] += not isinstance(choice, Candidates)
        failures["lost"] += not set(names) <= set(nodes.nodes)
        await asyncio.sleep(0.05)


@pytest.mark.processes
@pytest.mark.parametrize("durable", [True, False], ids=["durable", "empty"])
async def test_redis_is_killed_and_started_again_under_load(tmp_path: Path, durable: bool) -> None:
    """No failed steering answer, no node lost, no order lost or done twice with another result; also where Redis comes
    back empty, and this control process alone knows what there was."""
    server = RedisServer(tmp_path, durable=durable)
    server.start()
    names = [f"edge-{n}" for n in range(10)]
    issued: list[Order] = []
    refused, failures = Counter[str](), Counter[str]()
    try:
        async with fleet(tmp_path, redis_url=server.url) as control, contextlib.AsyncExitStack() as stack:
            await control.beat(*names)
            await until(lambda: len(control.service.registry.map().nodes) == len(names))
            await control.service.orders.issue(Drain(), targets=Targets(nodes=("edge-late",)))
            await control.service.orders.issue(Revoke(by="token", what="aa", until=CLOCK.wall() + 600))
            noted = [(await stack.enter_async_context(control.node(name)))[1] for name in names]
            await until(lambda: all(each.did for each in noted))
            tasks = [
                asyncio.create_task(issuing(control, issued, refused)),
                asyncio.create_task(beating(control, names, failures)),
            ]
            for _ in range(2):
                count = len(issued)
                await until(lambda: len(issued) > count + 10)  # noqa: B023
                server.kill()
                refusals = refused["away"]
                await until(lambda: refused["away"] > refusals)  # noqa: B023
                assert control.service.orders.state().redis == "away"
                server.start()
            count = len(issued)
            await until(lambda: len(issued) > count + 10)
            await end(tasks)
            expected = ["purge all", *(f"purge tag t{n}" for n in range(len(issued)))]
            await until(lambda: all(each.did[: len(expected)] == expected for each in noted))
            async with control.node("edge-late", Noted()) as (_, late):
                await until(lambda: late.did[: len(expected)] == expected)
                assert (late.draining, late.refused) == (True, {"token": ["aa"]})
    finally:
        server.stop()
    assert failures == Counter(steering=0, lost=0)
    numbers = [order.number for order in issued]
    assert numbers == sorted(set(numbers))


@pytest.mark.processes
async def test_with_redis_away_a_node_that_returns_is_told_what_was_issued_before(tmp_path: Path, own_redis) -> None:
    """Nothing can be issued meanwhile, said so; what is known is told. Acknowledgements come later."""
    async with fleet(tmp_path, redis_url=own_redis.url) as control:
        async with control.node("edge-1") as (follower, edge):
            await until(lambda: follower.state().cursor)
        order = await control.service.orders.issue(purge(1))
        own_redis.pause()
        async with control.node("edge-1", edge) as (follower, _):
            await until(lambda: edge.did[-1] == "purge tag t1")
            with pytest.raises(OrdersAway):
                await control.service.orders.issue(purge(2))
            async with control.session.get(control.url + "/health") as response:
                health = await response.json()
            assert (health["status"], health["orders"]["redis"]) == ("degraded", "away")
            own_redis.resume()
            await all_done(control, order.number, 1)


async def test_a_control_that_never_saw_the_log_says_nothing_of_it(tmp_path: Path, own_redis: RedisServer) -> None:
    """Else every node would take it for another log, and make all that it has stale."""
    async with fleet(tmp_path, redis_url=own_redis.url) as control, control.node("edge-1") as (follower, edge):
        await until(lambda: follower.state().cursor)
        own_redis.pause()
        async with replica(control, own_redis.url) as blind:
            with pytest.raises(OrdersAway):
                await blind.service.orders.wait("edge-1", "edge", follower.state().cursor, seconds=0.2)
            own_redis.resume()
            answer = await blind.service.orders.wait("edge-1", "edge", follower.state().cursor, seconds=0.2)
            assert answer.reset is None
        assert edge.did == ["purge all"]


class Slow(Noted):
    """A node whose purge takes until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def purge(self, by: str, what: str, *, soft: bool) -> None:
        await self.go.wait()
        await super().purge(by, what, soft=soft)


async def test_an_acknowledgement_that_cannot_be_kept_holds_no_order_up(own_redis: RedisServer, tmp_path: Path) -> None:
    """Redis dies while a node works: what was issued before reaches it all the same, a revocation above all."""
    async with (
        fleet(tmp_path, redis_url=own_redis.url) as control,
        control.node("edge-1", Slow()) as (follower, slow),
    ):
        assert isinstance(slow, Slow)
        await until(lambda: slow.did)
        await control.beat("edge-1")
        await control.service.orders.issue(purge(1))
        await until(lambda: control.service.orders.asking == 0)
        await control.service.orders.issue(Revoke(by="token", what="aa", until=CLOCK.wall() + 600))
        own_redis.kill()
        slow.go.set()
        await until(lambda: slow.refused == {"token": ["aa"]})
        assert follower.state().untold == 2
        own_redis.start()
        await until(lambda: follower.state().untold == 0)


class Ahead(SystemClock):
    """The clock of a machine that is an hour ahead."""

    def wall(self) -> float:
        return super().wall() + 3600


async def test_a_replica_whose_clock_is_ahead_does_not_tell_edges_early(tmp_path: Path, redis_server) -> None:
    """Shields have their time by the clock of whoever watches, not by the difference of two machines' clocks."""
    async with (
        fleet(tmp_path, redis_url=redis_server.url, shield_wait_s=600) as one,
        building(settings(tmp_path, redis_url=redis_server.url, shield_wait_s=600), Ahead()) as two,
    ):
        await one.beat("shield-1")
        await until(lambda: "shield-1" in two.registry.map().nodes)
        first = await one.service.orders.issue(purge(1))
        await one.service.orders.issue(purge(2))
        await until(lambda: two.orders.state().staged == 2)
        await one.service.orders.issue(purge(3))
        await until(lambda: two.orders.state().staged == 3)
        assert (await one.service.orders.status(first.number)).stage == "shields"


async def test_many_orders_of_many_nodes_can_be_listed(tmp_path: Path, redis_server: RedisServer) -> None:
    """Two hundred thousand fates are more than Redis answers in one go before the call is given up."""
    done = Ack(outcome="done", seconds=0.1).model_dump_json()
    async with fleet(tmp_path, redis_url=redis_server.url, orders_kept=1000) as control:
        for number in range(200):
            await control.service.orders.issue(purge(number))
        async with redis.asyncio.Redis.from_url(redis_server.url) as link:
            fates = {f"edge-{n}": f"{CLOCK.wall()} {done}" for n in range(1000)}
            for number in range(1, 201):
                await link.hset(f"order:{number}:fates", mapping=fates)  # as acknowledgements write them
        assert [each.done for each in await control.service.orders.list(200)] == [1000] * 200
