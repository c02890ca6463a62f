"""Where running sessions go: HLS content steering (rfc8216bis 7), DASH content steering (ETSI TS 103 998), issue 5."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.schema.control import ControlSettings
from control.api import service
from control.registry.memory import MemoryRegistry
from control.registry.model import NodeMap
from control.steering.changes import Changes
from control.steering.choose import Policy
from control.steering.live import Live, current
from control.steering.order import Order, Rules, Why, order
from control.steering.overrides import Kind, Override, wishes
from control.steering.session import Session, SteeringTokenRefused, seal, steering_key, unseal
from kit.clock import ManualClock
from tests.control.support import NOW, node, picture

KEY = b"k" * 32
SESSION = Session("s1", "bbb", "east", "192.0.2.0/24", ("a", "b", "c"))
POLICY, RULES = Policy(next={}), Rules()
NEVER = float("-inf")
GONE = {"seen": NOW - 2.5}


def ask(*nodes, place: int = 0, session: Session = SESSION, changed: float = NEVER, said=(), now: float = NOW) -> Order:
    heard = wishes(said, session.content_id, session.region, session.id)
    return order(session, place, picture(*nodes), now, POLICY, RULES, lambda _: changed, heard)


def told(found: Order) -> tuple[str, str]:
    return "".join("ABC"[place] for place in found.places), str(found.why)


def avoid(edge: str) -> Override:
    return Override("o", Kind.AVOID, edge, 1e9)


def pin(edge: str) -> Override:
    return Override("o", Kind.PIN, edge, 1e9)


CASES = {
    "all well: the order at the start": ([node("a"), node("b"), node("c")], 0, (), "ABC", "stays"),
    "T-019 its edge is dead: the next": ([node("a", **GONE), node("b"), node("c")], 0, (), "BCA", "down"),
    "its edge left the map": ([node("b"), node("c")], 0, (), "BCA", "down"),
    "a draining edge is left": ([node("a", draining=True), node("b"), node("c")], 0, (), "BCA", "draining"),
    "a session on B stays there when A is back": ([node("a"), node("b"), node("c")], 1, (), "BAC", "stays"),
    "B is lost after A came back": ([node("a"), node("c")], 1, (), "ACB", "down"),
    "warm is no reason to move": ([node("a", 89.9), node("b", 0), node("c", 0)], 0, (), "ABC", "stays"),
    "nobody moves to an edge that is no better": ([node("a", 95), node("b", 91), node("c", 99)], 0, (), "ABC", "stays"),
    "full is left only for an eligible edge": ([node("a", 100), node("b", 85), node("c", 85)], 0, (), "ABC", "stays"),
    "a warm edge is better than a draining one": (
        [node("a", draining=True), node("b", 85), node("c", **GONE)],
        0,
        (),
        "BAC",
        "draining",
    ),
    "a draining edge still serves where the rest is dead": ([node("a", draining=True)], 0, (), "ABC", "stays"),
    "T-020 nobody left: the last order": ([], 0, (), "ABC", "last_known"),
    "nobody left, on C": ([], 2, (), "CAB", "last_known"),
    "an edge that operators avoid is left": ([node("a"), node("b"), node("c")], 0, [avoid("a")], "BCA", "draining"),
    "a pinned pathway comes first": ([node("a"), node("b"), node("c")], 0, [pin("c")], "CAB", "pinned"),
    "and stays": ([node("a"), node("b"), node("c")], 2, [pin("c")], "CAB", "stays"),
    "a dead one does not": ([node("a"), node("b")], 0, [pin("c")], "ABC", "stays"),
    "a pinned edge elsewhere is not this session's": ([node("a"), node("z")], 0, [pin("z")], "ABC", "stays"),
}


@pytest.mark.parametrize(("nodes", "place", "said", "places", "why"), CASES.values(), ids=CASES)
def test_the_order_of_a_running_session(nodes, place, said, places, why) -> None:
    assert told(ask(*nodes, place=place, said=said)) == (places, why)


@pytest.mark.parametrize(
    ("nodes", "changed", "ttl"),
    [
        ([node("a"), node("b"), node("c")], NEVER, range(270, 301)),
        ([node("a"), node("b"), node("c")], NOW - 1000, range(270, 301)),
        ([node("a"), node("b"), node("c")], NOW - 100, range(90, 101)),
        ([node("a"), node("b"), node("c")], NOW - 5, range(5, 6)),
        ([node("a"), node("b"), node("c")], NOW, range(5, 6)),
        ([node("a", 85), node("b"), node("c")], NEVER, range(5, 6)),
        ([node("a", draining=True), node("b"), node("c")], NEVER, range(5, 6)),
        ([node("a", **GONE), node("b"), node("c")], NEVER, range(5, 6)),
        ([], NEVER, range(5, 6)),
    ],
)
def test_players_hurry_when_something_is_wrong_for_them(nodes, changed, ttl) -> None:
    """TTL from 5 s to 300 s; calm players spread over a tenth of it."""
    assert ask(*nodes, changed=changed).ttl_s in ttl


def test_calm_players_do_not_come_in_step() -> None:
    nodes = [node(name) for name in "abc"]
    seen = {ask(*nodes, session=Session(f"s{n}", "bbb", "east", "n", SESSION.edges)).ttl_s for n in range(200)}
    assert len(seen) > 20


def test_only_the_surplus_leaves_a_full_edge_and_others_draw_later() -> None:
    """Load 96 of which 80 may stay: a sixth leaves; who stays draws anew in the next window."""
    nodes = [node("a", 96), node("b", 10), node("c", 10)]
    sessions = [Session(f"s{n}", "bbb", "east", "n", SESSION.edges) for n in range(3000)]

    def leave(at: float) -> set[str]:
        alive = [node(each.id, each.load, seen=at) for each in nodes]
        return {s.id for s in sessions if ask(*alive, session=s, now=at).why is Why.FULL}

    first, same, later = leave(960.0), leave(1019.0), leave(1021.0)
    assert 420 < len(first) < 580
    assert first == same
    assert first != later


def test_noise_moves_nobody() -> None:
    """No flapping: loads that swing between the eligible load and the one to leave at change no order."""
    for load_a, load_b in [(81, 10), (10, 81), (89, 79), (79, 89), (85, 85)]:
        for place in (0, 1):
            assert ask(node("a", load_a), node("b", load_b), node("c", 50), place=place).places[0] == place


drawn = st.lists(
    st.builds(node, st.sampled_from("abcxyz"), st.floats(0, 100), draining=st.booleans(), seen=st.floats(NOW - 5, NOW)),
    max_size=6,
    unique_by=lambda each: each.id,
)


@settings(deadline=None)
@given(drawn, st.integers(0, 2), st.floats(0, 2000), st.lists(st.sampled_from([pin("a"), avoid("b"), avoid("c")])))
def test_every_answer_names_every_pathway_once_and_no_worse_edge_wins(nodes, place, changed, said) -> None:
    found = ask(*nodes, place=place, changed=changed, said=said)
    assert sorted(found.places) == [0, 1, 2]
    assert 5 <= found.ttl_s <= 300
    alive = {n.id for n in nodes if NOW - n.seen < 2.5}
    if alive & set("abc"):
        assert SESSION.edges[found.places[0]] in alive


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("_HLS_pathway=B&_HLS_throughput=5140000", 1),
        ("_HLS_throughput=1&_HLS_pathway=C", 2),
        ("_DASH_pathway=%22B%22&_DASH_throughput=1", 1),
        ("_DASH_pathway=%22A,C%22&_DASH_throughput=%221,2%22", 2),
        ("", 0),
        ("_HLS_pathway=", 0),
        ("_HLS_pathway=D", 0),
        ("_HLS_pathway=AB", 0),
        ("x_HLS_pathway=B", 0),
        ("_HLS_pathway=%00%ff", 0),
    ],
)
def test_what_the_player_says_of_its_pathway(query: str, place: int) -> None:
    assert current(query, 3) == place


def test_a_token_is_read_by_whoever_has_the_fleet_key_and_nobody_else() -> None:
    token = seal(steering_key(KEY), SESSION)
    assert unseal(steering_key(KEY), token) == SESSION
    for wrong in (token[:-1], token + "A", "A" + token[1:], "", "x" * 2000, token.swapcase(), "~" * 50):
        with pytest.raises(SteeringTokenRefused):
            unseal(steering_key(KEY), wrong)
    with pytest.raises(SteeringTokenRefused):
        unseal(steering_key(b"x" * 32), token)


def live(nodes: list, base: str | None = "http://c.test", said=()) -> Live:
    return Live(KEY, base, policy=POLICY, rules=RULES, picture=lambda: nodes[-1], overrides=lambda: tuple(said))


def test_the_answer_is_a_steering_manifest() -> None:
    maps = [picture(node("a"), node("b"), node("c"))]
    steering = live(maps)
    url = steering.url(SESSION)
    assert url is not None
    token = url.removeprefix("http://c.test/steer/")
    answer = json.loads(steering.answer(token, "_HLS_pathway=A&_HLS_throughput=99", NOW))
    assert answer.pop("TTL") >= 270
    assert answer == {"VERSION": 1, "RELOAD-URI": url, "PATHWAY-PRIORITY": ["A", "B", "C"]}
    maps.append(NodeMap(2, 0, {"b": node("b")}))
    answer = json.loads(steering.answer(token, "_DASH_pathway=%22A%22", NOW))
    assert (answer["TTL"], answer["PATHWAY-PRIORITY"]) == (5, ["B", "A", "C"])
    assert steering.told == Counter({Why.STAYS: 1, Why.DOWN: 1})
    with pytest.raises(SteeringTokenRefused):
        steering.answer(token[:-2], "", NOW)


def test_a_session_with_one_edge_or_out_of_reach_is_not_steered() -> None:
    maps = [picture()]
    assert live(maps).url(Session("s", "bbb", "east", "n", ("a",))) is None
    assert live(maps, base=None).url(SESSION) is None


@pytest.mark.parametrize(
    ("listen", "public", "base"),
    [
        ("127.0.0.1:8100", None, "http://127.0.0.1:8100"),
        ("127.0.0.1:0", None, None),
        ("0.0.0.0:8100", None, None),
        ("[::]:8100", None, None),
        ("0.0.0.0:8100", "https://control.example", "https://control.example"),
    ],
)
def test_players_are_sent_to_an_address_that_they_can_reach_or_to_none(listen, public, base, tmp_path) -> None:
    told = ControlSettings(listen=listen, public_url=public, fleet_key_file=tmp_path / "key")
    registry = MemoryRegistry(ManualClock(), expiry_s=2.5, limits=(80.0,), max_nodes=4)
    assert service.live(told, KEY, registry, POLICY, tuple).base == base


def test_changes_are_seen_by_edge_and_forgotten() -> None:
    seen = Changes((80.0, 90.0), keep_s=300.0)
    seen.look(picture(node("a"), node("b"), version=1), 10.0)
    assert seen.last("a") == NEVER, "the first look of a control that just started"
    seen.look(picture(node("a", 85), node("b", 79), version=2), 20.0)
    assert (seen.last("a"), seen.last("b")) == (20.0, NEVER)
    seen.look(picture(node("b", 78), version=3), 30.0)
    assert (seen.last("a"), seen.last("b")) == (30.0, NEVER)
    seen.look(picture(node("a", 85), node("b", draining=True), version=4), 40.0)
    assert (seen.last("a"), seen.last("b"), len(seen)) == (40.0, 40.0, 2)
    seen.look(picture(version=5), 50.0)
    seen.look(picture(node("z"), version=6), 400.0)
    assert (seen.last("a"), len(seen)) == (NEVER, 1)
