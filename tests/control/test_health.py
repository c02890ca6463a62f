"""Which nodes are trusted: D-18, CTL-06, T-057 as tables; the sight that abstains; probes of real servers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from control.contract.orders import MAX_ANSWER_BYTES, OrdersAnswer
from control.health.monitor import Monitor
from control.health.probes import Prober
from control.health.rules import FIRST, Look, State, Thresholds, blind, judge, look, state_of
from control.health.sight import Sight, SightLimits, watch
from control.health.verdicts import MemoryVerdicts, RedisVerdicts
from control.health.watched import WatchedRegistry
from control.registry.memory import MemoryRegistry
from kit.clock import ManualClock, SystemClock
from kit.service import listening
from tests.control.ordering import fleet
from tests.control.support import NOW, node, report, until
from tests.support.redis import RedisServer

LIMITS = Thresholds()
LOOKS = {"g": Look.GOOD, "p": Look.POOR, "b": Look.BAD}
WORDS = {State.UP: "u", State.DEGRADED: "d", State.DOWN: "x"}
SIGHT = SightLimits(expiry_s=2.5)


@pytest.mark.parametrize(
    ("looks", "states"),
    [
        ("bbb", "uux"),
        ("bbgbbgbb", "uuuuuuuu"),
        ("bbbgg", "uuxxu"),
        ("bbbgbgg", "uuxxxxu"),
        ("bbbpp", "uuxxd"),
        ("bbbpg", "uuxxd"),
        ("ppp", "uud"),
        ("pppgg", "uuddu"),
        ("pppgpgg", "uuddddu"),
        ("pbp", "uud"),
        ("pppbbb", "uudddx"),
        ("bbbgpgg", "uuxxddu"),
        ("gggg", "uuuu"),
    ],
)
def test_three_looks_down_two_up(looks: str, states: str) -> None:
    """D-18, CTL-10, T-057: no state changes on one look, and what flaps stays where it is."""
    verdict, seen = FIRST, ""
    for each in looks:
        verdict = judge(verdict, LOOKS[each], LIMITS)
        seen += WORDS[verdict.state]
    assert seen == states


@pytest.mark.parametrize(
    ("probe", "quality", "age", "found"),
    [
        (None, None, 0.5, "g"),
        (True, None, 0.5, "g"),
        (False, None, 0.5, "b"),
        (False, 1.0, 0.5, "b"),
        (True, 0.49, 0.5, "p"),
        (True, 0.5, 0.5, "g"),
        (None, None, 2.1, "p"),
        (None, None, 2.0, "g"),
    ],
)
def test_a_look_takes_probe_players_and_heartbeat(probe, quality, age: float, found: str) -> None:
    assert look(probe=probe, quality=quality, age_s=age, limits=LIMITS) is LOOKS[found]


@pytest.mark.parametrize(
    ("good", "bad", "answer"), [(0, 3, False), (0, 4, True), (2, 2, False), (2, 3, True), (9, 0, False), (0, 0, False)]
)
def test_a_prober_that_reaches_too_few_is_blind(good: int, bad: int, answer: bool) -> None:
    assert blind([True] * good + [False] * bad, LIMITS) is answer


def test_the_word_for_a_node() -> None:
    """A node's own word comes after what makes it down."""
    cases = {
        State.UP: node("a"),
        State.DRAINING: node("a", draining=True, state="degraded"),
        State.DEGRADED: node("a", state="degraded"),
        State.DOWN: node("a", draining=True, state="down"),
    }
    assert {state_of(each, NOW, 2.5) for each in cases.values()} == set(State)
    assert all(state_of(each, NOW, 2.5) is state for state, each in cases.items())
    assert state_of(node("a", seen=NOW - 3), NOW, 2.5) is State.DOWN


class Seeing:
    """A fleet whose heartbeats are made by hand, one look a quarter of a second."""

    def __init__(self, count: int) -> None:
        self.now, self.sight = NOW, Sight()
        self.alive = {f"n{number}": NOW for number in range(count)}

    def go(self, seconds: float, *silent: str, left: tuple[str, ...] = ()) -> list[str]:
        """Time passes: all but `silent` report four times a second; `left` say farewell. The nodes then steered to."""
        for name in left:
            del self.alive[name]
        for _ in range(int(seconds * 4)):
            self.now += 0.25
            self.alive |= {name: self.now for name in self.alive if name not in silent}
            picture = {name: node(name, seen=seen) for name, seen in self.alive.items() if self.now - seen < 2.5}
            self.sight = watch(self.sight, picture, self.now, SIGHT)
        return sorted(self.sight.nodes)


def test_a_silent_node_is_dropped_while_most_are_heard() -> None:
    """T-019: one, two, half of them: that happens."""
    seeing = Seeing(6)
    seeing.go(1)
    assert seeing.go(3, "n0") == ["n1", "n2", "n3", "n4", "n5"]
    assert seeing.go(3, "n0", "n1", "n2") == ["n3", "n4", "n5"]
    assert seeing.sight.since is None


def test_nodes_that_die_one_after_the_other_are_believed() -> None:
    seeing = Seeing(6)
    seeing.go(1)
    gone: list[str] = []
    for number in range(5):
        gone.append(f"n{number}")
        seeing.go(9, *gone)
        assert seeing.sight.since is None
    assert sorted(seeing.sight.nodes) == ["n5"]


def test_too_many_silent_at_once_are_kept() -> None:
    """Issue 5: a monitor that loses sight of everything abstains; heard again, all is as before."""
    seeing = Seeing(6)
    seeing.go(1)
    everybody = tuple(seeing.alive)
    assert seeing.go(600, *everybody) == sorted(everybody)
    assert all(each.held for each in seeing.sight.nodes.values())
    assert seeing.sight.since is not None
    assert seeing.go(1) == sorted(everybody)
    assert seeing.sight.since is None
    assert not any(each.held for each in seeing.sight.nodes.values())


def test_those_that_stay_silent_when_others_are_heard_again_are_believed_dead() -> None:
    seeing = Seeing(6)
    seeing.go(1)
    seeing.go(10, *seeing.alive)
    assert len(seeing.go(50, "n0", "n1", "n2", "n3")) == 6
    assert seeing.go(12, "n0", "n1", "n2", "n3") == ["n4", "n5"]
    assert seeing.sight.since is None


def test_those_that_left_in_good_order_are_not_silent() -> None:
    """A fleet that is shut down leaves an empty map."""
    seeing = Seeing(6)
    seeing.go(1)
    assert seeing.go(5, left=("n0", "n1", "n2", "n3", "n4")) == ["n5"]


def test_three_nodes_are_too_few_to_doubt() -> None:
    seeing = Seeing(3)
    seeing.go(1)
    assert seeing.go(5, *seeing.alive) == []


@contextlib.asynccontextmanager
async def admin(answers: dict[str, int]) -> AsyncIterator[str]:
    """A node's admin endpoint that answers as told, a path a node."""

    async def ready(request: web.Request) -> web.Response:
        status = answers[request.match_info["node"]]
        if not status:
            assert request.transport
            request.transport.abort()
        return web.Response(status=status or 200)

    app = web.Application()
    app.router.add_get("/{node}/ready", ready)
    async with listening(app, "127.0.0.1", 0, drain_s=0.1) as url:
        yield url


async def test_probes_take_a_node_out_and_bring_it_back() -> None:
    """T-057, CTL-06: /ready; a node that drains says 503 and is well; one that cannot be asked is believed."""
    clock = ManualClock()
    answers = {"a": 200, "b": 200, "c": 503, "d": 200, "e": 200}
    inner = MemoryRegistry(clock, expiry_s=60, limits=(80.0,), max_nodes=9)
    watched = WatchedRegistry(inner, clock, SIGHT)
    async with admin(answers) as url, aiohttp.ClientSession() as session:
        for name in answers:
            probe = None if name == "e" else f"{url}/{name}"
            await watched.beat(name, report(probe=probe, draining=name == "c"))
        monitor = Monitor(watched, MemoryVerdicts(), Prober(session), clock)
        before = watched.map().version
        answers["b"] = 503
        answers["d"] = 0
        states = []
        for _ in range(3):
            await monitor.round()
            states.append({id_ for id_, each in watched.map().nodes.items() if each.state == "down"})
        assert states == [set(), set(), {"b", "d"}]
        assert monitor.state().down == ("b", "d")
        assert watched.map().version > before
        assert not watched.map().nodes["b"].alive(clock.monotonic(), 60)
        answers["b"] = 200
        await monitor.round()
        assert not watched.map().nodes["b"].alive(clock.monotonic(), 60)
        await monitor.round()
        assert watched.map().nodes["b"].alive(clock.monotonic(), 60)
        answers |= {"a": 503, "b": 503, "c": 200}
        for _ in range(5):
            await monitor.round()
        assert monitor.state().blind
        assert monitor.state().down == ("d",)
        await monitor.close()


async def test_one_control_process_judges_for_all_and_all_take_it_over(redis_server: RedisServer) -> None:
    """Three looks, not three by each process."""
    clock = ManualClock()
    async with admin({"a": 503}) as url, aiohttp.ClientSession() as session, contextlib.AsyncExitStack() as stack:
        monitors, maps = [], []
        for _ in range(2):
            watched = WatchedRegistry(MemoryRegistry(clock, expiry_s=60, limits=(80.0,), max_nodes=9), clock, SIGHT)
            await watched.beat("a", report(probe=f"{url}/a"))
            monitor = Monitor(watched, RedisVerdicts.connect(redis_server.url), Prober(session), clock)
            stack.push_async_callback(monitor.close)
            monitors.append(monitor)
            maps.append(watched)
        seen = []
        for _ in range(3):
            for monitor in monitors:
                await monitor.round()
            seen.append([each.map().nodes["a"].state for each in maps])
        assert seen == [["up", "up"], ["up", "up"], ["down", "down"]]


async def test_verdicts_outlive_redis(own_redis: RedisServer) -> None:
    """Redis away: this process judges on, from what it knew."""
    verdicts = RedisVerdicts.connect(own_redis.url)
    await verdicts.turn(5)
    bad = replace(FIRST, state=State.DOWN)
    await verdicts.write({"a": bad, "b": FIRST})
    assert await verdicts.read() == {"a": bad, "b": FIRST}
    await verdicts.write({"a": bad})
    assert await verdicts.read() == {"a": bad}
    own_redis.kill()
    assert await verdicts.turn(5)
    assert await verdicts.read() == {"a": bad}
    await verdicts.write({"b": bad})
    assert await verdicts.read() == {"b": bad}
    own_redis.start()
    await verdicts.put("c", bad)
    assert await verdicts.read() == {"c": bad}
    await verdicts.close()


async def test_a_broken_order_stream_is_a_probe_at_once(tmp_path: Path) -> None:
    """contracts.md: a node that is killed is out before its heartbeat expires."""
    answers = {"edge-1": 200}
    async with admin(answers) as url, fleet(tmp_path) as control:
        await control.beat("edge-1", probe=f"{url}/edge-1")
        async with aiohttp.ClientSession() as dying:
            control.session, session = dying, control.session
            link = control.link("edge-1")
            asking = asyncio.create_task(control_waits(link))
            await until(lambda: control.service.orders.asking)
            answers["edge-1"] = 0
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        control.session = session
        await until(lambda: control.service.monitor.state().down == ("edge-1",))
        assert not control.service.registry.map().nodes["edge-1"].alive(SystemClock().monotonic(), 60)


async def control_waits(link) -> None:
    """Ask for orders until there are some: the first answer is the cursor."""
    path = "/api/v1/nodes/edge-1/orders"
    first = await link.get(path, OrdersAnswer, timeout_s=30, most_bytes=MAX_ANSWER_BYTES)
    await link.get(f"{path}?after={first.cursor}", OrdersAnswer, timeout_s=30, most_bytes=MAX_ANSWER_BYTES)


async def test_health_says_that_it_abstains(tmp_path: Path) -> None:
    """Five nodes fall silent: sessions still find an edge, and /health is degraded."""
    async with fleet(tmp_path, expiry_s=0.5) as control:
        names = [f"edge-{number}" for number in range(5)]
        await control.beat(*names)
        await until(lambda: len(control.service.registry.sight.heard) == 5)
        await until(lambda: control.service.monitor.state().abstaining_s is not None)
        assert set(control.service.registry.map().nodes) == set(names)
        async with control.session.get(control.url + "/health") as response:
            health = await response.json()
        assert (health["status"], health["monitor"]["silent"]) == ("degraded", 5)
        async with control.session.get(control.url + "/metrics") as response:
            assert "headrace_control_abstaining 1.0" in await response.text()
        await control.beat(*names)
        await until(lambda: control.service.monitor.state().abstaining_s is None)
