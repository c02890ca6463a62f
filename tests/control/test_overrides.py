"""Operator overrides, canary percentages, and the explanation of a choice: issue 5, part 3."""

import json
from dataclasses import asdict

import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from control.overrides.redis_form import opened
from control.steering.choose import Candidates, Latency, Policy, choose
from control.steering.explain import Explanation, explain
from control.steering.overrides import Kind, Override, in_force
from control.steering.ranks import Ranks
from kit.clock import SystemClock
from kit.hashing import rank
from tests.control.support import NOW, node, picture, until
from tests.control.test_steering import GONE, POLICY, told
from tests.support.redis import RedisServer

ORDER = rank("bbb", ["a", "b", "c"])


def override(kind: Kind, edge: str, **changes) -> Override:
    return Override(**{"id": f"{kind}-{edge}", "kind": kind, "edge": edge, "until": 10.0} | changes)


def steer(nodes, *overrides: Override, session: str = "s", region: str = "east", coming=None):
    return choose(
        picture(*nodes),
        region,
        "bbb",
        NOW,
        POLICY,
        Ranks(),
        {},
        session=session,
        overrides=overrides,
        coming=coming or {},
    )


THREE = [node(name) for name in "abc"]
LAST = ORDER[-1]
CASES = {
    "a pin puts the edge first, the others keep their order": (
        THREE,
        [override(Kind.PIN, LAST)],
        [(LAST, "pinned"), (ORDER[0], "region"), (ORDER[1], "region")],
    ),
    "a pin reaches into another region": (
        [*THREE, node("far", region="south")],
        [override(Kind.PIN, "far")],
        [("far", "pinned"), *((name, "region") for name in ORDER)],
    ),
    "a pin holds above the eligible load": (
        [node("a", 85), node("b")],
        [override(Kind.PIN, "a")],
        [("a", "pinned"), ("b", "region")],
    ),
    "T-020 a pinned edge that is full is none": (
        [node("a", 95), node("b")],
        [override(Kind.PIN, "a")],
        [("b", "region")],
    ),
    "T-019 a pinned edge that is dead is none": (
        [node("a", **GONE), node("b")],
        [override(Kind.PIN, "a")],
        [("b", "region")],
    ),
    "a pinned edge that drains is none": (
        [node("a", draining=True), node("b")],
        [override(Kind.PIN, "a")],
        [("b", "region")],
    ),
    "a pin on an edge that is not there": (THREE[1:2], [override(Kind.PIN, "z")], [("b", "region")]),
    "a pin of another title says nothing": (
        THREE,
        [override(Kind.PIN, LAST, title="x")],
        [(name, "region") for name in ORDER],
    ),
    "a pin of this title in another region says nothing": (
        THREE,
        [override(Kind.PIN, LAST, title="bbb", region="west")],
        [(name, "region") for name in ORDER],
    ),
    "an avoided edge is no candidate": (
        THREE,
        [override(Kind.AVOID, ORDER[0])],
        [(name, "region") for name in ORDER[1:]],
    ),
    "keeping away beats pinning": (
        THREE,
        [override(Kind.PIN, LAST), override(Kind.AVOID, LAST)],
        [(name, "region") for name in ORDER[:2]],
    ),
    "all avoided is said": (THREE[:1], [override(Kind.AVOID, "a")], "all_avoided"),
    "a canary of 0 % gets nobody": (
        THREE,
        [override(Kind.CANARY, ORDER[0], percent=0)],
        [(name, "region") for name in ORDER[1:]],
    ),
    "a canary of 100 % is like all": (THREE, [override(Kind.CANARY, ORDER[0])], [(name, "region") for name in ORDER]),
}


@pytest.mark.parametrize(("nodes", "overrides", "says"), CASES.values(), ids=CASES)
def test_overrides(nodes, overrides, says) -> None:
    assert told(steer(nodes, *overrides)) == says


def test_an_override_ends_at_its_time() -> None:
    late = override(Kind.AVOID, "a", until=20.0)
    assert in_force([override(Kind.AVOID, "b", until=10.0), late], 10.0) == (late,)


def test_a_canary_takes_its_percentage_of_sessions_and_keeps_them_while_it_grows() -> None:
    def takes(percent: float) -> set[int]:
        one = override(Kind.CANARY, ORDER[0], percent=percent)
        return {n for n in range(4000) if told(steer(THREE, one, session=f"s{n}"))[0][0] == ORDER[0]}

    few, many = takes(5), takes(20)
    assert 150 < len(few) < 250
    assert 700 < len(many) < 900
    assert few < many


def test_load_that_is_coming_counts_towards_the_bound() -> None:
    nodes = [node(name, 30) for name in "abc"]
    assert told(steer(nodes, coming={ORDER[0]: 20.0}))[0][0] == ORDER[1]
    assert told(steer(nodes, coming={ORDER[0]: 5.0}))[0][0] == ORDER[0]


def described(nodes, *overrides: Override, latency=None, policy: Policy = POLICY) -> Explanation:
    return explain(
        picture(*nodes), "east", "bbb", NOW, policy, Ranks(), latency or {}, session="s", overrides=overrides
    )


def test_every_edge_is_explained() -> None:
    nodes = [
        *THREE,
        node("dead", **GONE),
        node("drain", draining=True),
        node("far", region="south"),
        node("full", 80),
        node("kept", 10),
        node("next", region="west"),
        node("spare", reserve=True),
        node("shield", role="shield"),
    ]
    said = described(
        nodes,
        override(Kind.AVOID, "kept"),
        override(Kind.PIN, LAST),
        policy=Policy(next={"east": ("west",)}, candidates=3),
    )
    rows = {row.id: row for row in said.rows}
    assert {id_: row.why for id_, row in rows.items()} == {
        LAST: "pinned",
        ORDER[0]: "region",
        ORDER[1]: "region",
        "dead": "down",
        "drain": "draining",
        "far": "far",
        "full": "load",
        "kept": "avoided",
        "next": "next_region",
        "spare": "reserve",
    }
    assert [row.place for row in said.rows] == [1, 2, 3, *[None] * 7]
    assert (rows[LAST].override, rows["kept"].override, rows["full"].override) == ("pin-" + LAST, "avoid-kept", None)
    assert said.none is None
    assert said.bounds == {"east": 25.0, "west": 25.0}
    assert json.loads(json.dumps(asdict(said)))["rows"][0]["id"] == LAST


def test_an_edge_above_the_bound_is_said_to_be() -> None:
    nodes = [node(name, 70 if name == ORDER[0] else 20) for name in "abc"]
    said = described(nodes, latency={ORDER[1]: Latency(31.5, 4)})
    row = next(row for row in said.rows if row.id == ORDER[0])
    assert (row.rank, row.place, row.above_bound) == (1, 3, True)
    second = next(row for row in said.rows if row.id == ORDER[1])
    assert (second.place, second.above_bound, second.latency_ms, second.samples) == (1, False, 31.5, 4)


def test_nobody_is_explained_too() -> None:
    said = described([node("a", 99)])
    assert (said.none, said.rows[0].why) == ("all_full", "load")


kinds = st.builds(
    override,
    st.sampled_from(list(Kind)),
    st.sampled_from("abcd"),
    percent=st.floats(0, 100),
    title=st.sampled_from([None, "bbb", "x"]),
    region=st.sampled_from([None, "east", "west"]),
)
drawn = st.lists(
    st.builds(
        node,
        st.sampled_from("abcd"),
        st.floats(0, 100),
        region=st.sampled_from(["east", "west", "south"]),
        draining=st.booleans(),
        reserve=st.booleans(),
        seen=st.floats(NOW - 5, NOW),
    ),
    max_size=4,
    unique_by=lambda each: each.id,
)


@settings(deadline=None)
@given(drawn, st.lists(kinds, max_size=3))
def test_the_explanation_is_the_choice(nodes, overrides) -> None:
    """Whatever the map and the overrides, the rows with a place are the candidates, and no other row claims to be."""
    choice = steer(nodes, *overrides)
    said = described(nodes, *overrides)
    placed = [(row.id, row.why) for row in said.rows if row.place]
    assert placed == (told(choice) if isinstance(choice, Candidates) else [])
    assert len(said.rows) == len(nodes)


async def test_an_override_of_another_version_keeps_no_other_from_being_followed(redis_server: RedisServer) -> None:
    """While control processes are upgraded one after the other."""
    async with redis.asyncio.Redis.from_url(redis_server.url) as link:
        await link.hset("overrides", "new", json.dumps({"id": "new", "until": 2e9, "kind": "later", "more": 1}))
        book = await opened(redis_server.url, SystemClock())
        other = await opened(redis_server.url, SystemClock())
        try:
            await other.put(override(Kind.AVOID, "a", until=2e9))
            await until(lambda: [each.edge for each in book.in_force()] == ["a"])
        finally:
            await book.close()
            await other.close()
