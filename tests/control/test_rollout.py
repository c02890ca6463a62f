"""Rollouts: what may follow what, when a canary is bad, and that a bad version never reaches the fleet (issue 5)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control.contract.messages import Answers
from control.registry.memory import MemoryRegistry
from control.rollout import rules
from control.rollout.model import MOST_VERSIONS, Canary, Content, Stage, State
from control.rollout.rules import MIN_ANSWERS, TAKE_UP_S, Bad, Evidence, Proven, Waiting
from control.rollout.service import Rollout
from control.rollout.shelf import RedisShelf, Shelf, ShelfAway, shelf
from kit.clock import ManualClock
from kit.errors import Conflict, Unprocessable
from tests.control.admin_client import Console, console
from tests.control.support import node, report
from tests.support.redis import RedisServer

GOOD = Content(edge={"store": {"slice": "2MiB"}}, shield={"limits": {"drain_s": 5}})
PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
CANARY = Canary(version=1, nodes=("a",), since=100.0, soak_s=60.0, goes_on=False)


def staged(state: State | None = None, content: Content = GOOD) -> State:
    return rules.staged(state or State(), content, now=1.0, by="ann", note="")


def active(state: State | None = None) -> State:
    """One more version, all the way."""
    made = staged(state)
    tried = rules.begun(made, CANARY.model_copy(update={"version": made.last}), now=2.0, by="ann")
    return rules.activated(rules.proven(tried, now=3.0), made.last, now=4.0, by="ann")


def stages(state: State) -> list[str]:
    return [each.stage for each in state.versions]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (Content(edge={"listen": "0.0.0.0:1"}), "`listen`: not for a snapshot"),
        (Content(edge={"store": {"cache_dir": ["/"]}}), "`store.cache_dir`: not for a snapshot"),
        (Content(edge={"identity": {"id": "x"}}), "`identity.id`: not for a snapshot"),
        (Content(edge={"origins": ["http://a"]}), "`origins`: not for a snapshot"),
        (Content(edge={"shields": []}), "a node needs one at least"),
        (Content(shield={"origins": ["ftp://a"]}), "`origins.0`"),
        (Content(edge={"upstream": {"connections": 0}}), "`upstream.connections`: Input should be greater"),
        (Content(edge={"limits": {"drain_s": "soon"}}), "`limits.drain_s`"),
        (Content(edge={"limits": 5}), "`limits`"),
        (Content(edge={"": {}}), "``: Extra inputs"),
        (Content(shield={"token_keys": {"k": PEM}}), "`token_keys.k`: not for a snapshot"),
        (Content(edge={"token_keys": {"k": PEM.replace("PUBLIC", "PRIVATE")}}), "`token_keys.k`: String should match"),
        (Content(edge={"token_keys": {"../k": PEM}}), "`token_keys.../k..key.`: String should match"),
        (Content(edge={"token_keys": {"k": PEM}}), "`token_keys.k`: no public key"),
        (Content(edge={"a": {"b": {"c": {"d": {"e": {"f": {}}}}}}}), "not for a snapshot"),
    ],
)
def test_what_no_node_could_use_is_not_even_staged(content: Content, says: str) -> None:
    with pytest.raises(Unprocessable, match=says.replace("`", ".").replace("(", ".")):
        staged(content=content)


@pytest.mark.parametrize(
    ("seen", "now", "verdict"),
    [
        (Evidence(pending=("a",)), 100 + TAKE_UP_S, Waiting("a does not use it yet")),
        (Evidence(pending=("a",)), 101 + TAKE_UP_S, Bad("a does not use it after 30 s")),
        (Evidence(failed={"a": "no such file"}), 101, Bad("a could not use it: no such file")),
        (Evidence(silent=("a",)), 101, Bad("a was lost")),
        (Evidence(answers=MIN_ANSWERS - 1, errors=MIN_ANSWERS), 101, Waiting("59 s are left")),
        (Evidence(answers=MIN_ANSWERS, errors=2), 101, Waiting("59 s are left")),
        (Evidence(answers=MIN_ANSWERS, errors=3), 101, Bad("1.50% of its answers are errors, 0.00% elsewhere")),
        (Evidence(answers=1000, errors=15, other_answers=1000, other_errors=8), 101, Waiting("59 s are left")),
        (Evidence(1000, 17, 1000, 8), 101, Bad("1.70% of its answers are errors, 0.80% elsewhere")),
        (Evidence(1000, 15, MIN_ANSWERS - 1, 100), 101, Bad("1.50% of its answers are errors, 0.00% elsewhere")),
        (Evidence(answers=10), 160, Waiting("10 answers say too little")),
        (Evidence(answers=MIN_ANSWERS), 160, Proven()),
    ],
)
def test_when_a_canary_is_bad(seen: Evidence, now: float, verdict: rules.Verdict) -> None:
    assert rules.judge(CANARY, seen, now) == verdict


def test_the_way_of_a_version() -> None:
    state = staged()
    assert (stages(state), rules.wanted(state, "a")) == ([Stage.STAGED], 0)
    state = rules.begun(state, CANARY, now=2.0, by="ann")
    assert [rules.wanted(state, each) for each in "ab"] == [1, 0]
    state = rules.proven(state, now=3.0)
    assert (stages(state), rules.wanted(state, "b")) == ([Stage.PROVEN], 0)
    state = rules.activated(state, 1, now=4.0, by="ann")
    assert (stages(state), [rules.wanted(state, each) for each in "ab"]) == ([Stage.ACTIVE], [1, 1])
    state = active(state)
    assert (stages(state), state.active) == ([Stage.RETIRED, Stage.ACTIVE], 2)
    state = rules.rolled_back(state, now=9.0, by="bob", why="slow")
    assert (stages(state), state.active) == ([Stage.ACTIVE, Stage.ROLLED_BACK], 1)
    state = rules.rolled_back(state, now=9.0, by="bob", why="slow")
    assert (stages(state), state.active) == ([Stage.ROLLED_BACK, Stage.ROLLED_BACK], None)
    assert [(each.version, each.stage, each.by) for each in state.events][-3:] == [
        (2, "rolled_back", "bob"),
        (1, "active", "bob"),
        (1, "rolled_back", "bob"),
    ]


def test_what_may_not_follow() -> None:
    one = staged()
    trying = rules.begun(one, CANARY, now=2.0, by="ann")
    gone = rules.rolled_back(trying, now=3.0, by="ann", why="")
    for state, step in (
        (one, lambda s: rules.activated(s, 1, now=1, by="ann")),
        (trying, lambda s: rules.activated(s, 1, now=1, by="ann")),
        (gone, lambda s: rules.activated(s, 1, now=1, by="ann")),
        (gone, lambda s: rules.begun(s, CANARY, now=1, by="ann")),
        (staged(trying), lambda s: rules.begun(s, CANARY.model_copy(update={"version": 2}), now=1, by="ann")),
        (one, lambda s: rules.proven(s, now=1)),
        (one, lambda s: rules.rolled_back(s, now=1, by="ann", why="")),
    ):
        with pytest.raises(Conflict):
            step(state)
    with pytest.raises(rules.NoSuchVersion):
        rules.activated(one, 7, now=1, by="ann")


def test_versions_are_bounded_and_what_is_needed_stays() -> None:
    state = active(active())
    for _ in range(3 * MOST_VERSIONS):
        state = staged(state)
    kept = [each.number for each in state.versions]
    assert len(kept) == MOST_VERSIONS
    assert kept[:2] == [1, 2]
    assert kept[-1] == state.last


def test_differences_by_name() -> None:
    changes = rules.differences(GOOD, Content(edge={"store": {"slice": "4MiB"}, "fast_lane": False}))
    assert [(each.tier, each.name, each.before, each.after) for each in changes] == [
        ("edge", "fast_lane", None, False),
        ("edge", "store.slice", "2MiB", "4MiB"),
        ("shield", "limits.drain_s", 5, None),
    ]


def test_other_nodes_for_each_version() -> None:
    nodes = [node(f"edge-{number}") for number in range(20)]
    picks = [rules.picked(nodes, 2, version) for version in range(10)]
    assert all(len(set(each)) == 2 for each in picks)
    assert len(set(picks)) > 5
    assert rules.picked(list(reversed(nodes)), 2, 3) == picks[3]


@pytest.fixture(params=["memory", "redis"])
async def kept(request: pytest.FixtureRequest, redis_server: RedisServer) -> AsyncIterator[Shelf]:
    made = shelf(redis_server.url if request.param == "redis" else None)
    yield made
    await made.close()


async def test_two_that_change_at_once_are_noticed(kept: Shelf) -> None:
    before = await kept.get()
    assert before == State()
    first = staged(before).model_copy(update={"revision": 1})
    assert await kept.put(first)
    assert not await kept.put(first)
    assert await kept.get() == first


async def test_redis_away_keeps_what_nodes_have(own_redis: RedisServer) -> None:
    clock = ManualClock()
    registry = MemoryRegistry(clock, expiry_s=5, limits=(80.0,), max_nodes=10)
    rollout = Rollout(RedisShelf(own_redis.url), registry, clock, expiry_s=5)
    try:
        await rollout.stage(GOOD, by="ann", note="")
        before = rollout.state
        own_redis.kill()
        await rollout.look()
        assert rollout.state == before
        with pytest.raises(ShelfAway):
            await rollout.stage(GOOD, by="ann", note="")
    finally:
        await rollout.close()


class Fleet:
    """Nodes in this process that take up what they should have, over a control that is real."""

    def __init__(self, desk: Console) -> None:
        self.desk, self.service = desk, desk.admin.service
        self.trouble: dict[int, str] = {}
        self.errors: dict[int, float] = {}

    async def second(self, times: int = 1) -> None:
        """Heartbeats of all, then control looks."""
        assert isinstance(self.desk.clock, ManualClock)
        for _ in range(times):
            self.desk.clock.advance(1)
            for number in range(6):
                version = self.service.rollout.wanted(f"edge-{number}")
                rates = Answers(all=50, hits=40, misses=10, errors=self.errors.get(version, 0.0))
                told = report(
                    region="default",
                    answers=rates,
                    snapshot=version,
                    snapshot_error=self.trouble.get(version, ""),
                )
                await self.service.registry.beat(f"edge-{number}", told)
            await self.service.rollout.look()

    def using(self) -> list[int]:
        return [self.service.rollout.wanted(f"edge-{number}") for number in range(6)]


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with console(tmp_path, administration={"rate_per_min": 10_000}) as desk:
        made = Fleet(desk)
        await made.second()
        yield made


async def tried(fleet: Fleet, **canary: object) -> int:
    status, version, _ = await fleet.desk.call(
        "POST", "/rollout/versions", json={"edge": {"fast_lane": False}, "note": "try"}
    )
    assert status == 201
    path = f"/rollout/versions/{version['number']}/canary"
    status, standing, _ = await fleet.desk.call("POST", path, json={"soakS": 10, **canary})
    assert (status, len(standing["canary"]["nodes"])) == (200, canary.get("count", 1))
    return int(version["number"])


async def test_a_good_version_reaches_the_fleet_by_itself(fleet: Fleet) -> None:
    number = await tried(fleet, count=2, goesOn=True)
    await fleet.second(9)
    assert sorted(fleet.using()) == [0, 0, 0, 0, number, number]
    await fleet.second(3)
    assert fleet.using() == [number] * 6
    standing = (await fleet.desk.call("GET", "/rollout"))[1]
    assert (standing["active"], standing["canary"], standing["versions"][0]["nodes"]) == (number, None, 6)


async def test_one_that_raises_errors_goes_back_and_reached_the_canary_alone(fleet: Fleet) -> None:
    good = await tried(fleet, goesOn=True)
    await fleet.second(12)
    bad = good + 1
    fleet.errors[bad] = 2.0
    assert await tried(fleet, count=2, goesOn=True) == bad
    seen = set()
    for _ in range(12):
        await fleet.second()
        seen |= {n for n, version in enumerate(fleet.using()) if version == bad}
    assert len(seen) == 2
    assert fleet.using() == [good] * 6
    standing = (await fleet.desk.call("GET", "/rollout"))[1]
    row = standing["versions"][0]
    assert (row["stage"], standing["active"]) == ("rolled_back", good)
    assert "of its answers are errors" in row["why"]
    assert (await fleet.desk.call("POST", f"/rollout/versions/{bad}/activate"))[0] == 409


async def test_one_that_a_node_cannot_use_goes_back(fleet: Fleet) -> None:
    fleet.trouble[1] = "`keys_dir`: no such directory"
    await tried(fleet)
    await fleet.second(2)
    assert fleet.using() == [0] * 6
    standing = (await fleet.desk.call("GET", "/rollout"))[1]
    assert "could not use it: `keys_dir`" in standing["versions"][0]["why"]


async def test_the_whole_way_over_the_api(fleet: Fleet) -> None:
    number = await tried(fleet, nodes=["edge-3"])
    await fleet.second(12)
    assert fleet.using() == [0, 0, 0, number, 0, 0]
    standing = (await fleet.desk.call("GET", "/rollout"))[1]
    assert [each["stage"] for each in standing["events"]] == ["proven", "canary", "staged"]
    assert (await fleet.desk.call("POST", f"/rollout/versions/{number}/activate"))[0] == 200
    assert fleet.using() == [number] * 6
    _, compared, _ = await fleet.desk.call("GET", f"/rollout/versions/{number}/diff?against=0")
    assert compared["changes"] == [{"tier": "edge", "name": "fast_lane", "before": None, "after": False}]
    status, standing, _ = await fleet.desk.call("POST", "/rollout/back", json={"why": "no need"})
    assert (status, standing["active"], fleet.using()) == (200, None, [0] * 6)
    assert (await fleet.desk.call("POST", "/rollout/versions", json={"edge": {"workers": 9}}))[0] == 422
