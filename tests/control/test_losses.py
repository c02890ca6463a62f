"""Steering weighs what players see, by shares that no network moves by more than a twentieth (issue 5, part 6)."""

import random
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.contract.observations import Quality
from control.observed.opinions import Opinions
from control.observed.quality import FIRM_SHARE, FIRM_VOTES, MOST_SHARE, Figures, Votes, complaint
from control.registry.model import Node
from control.steering.choose import Candidates, Policy, choose
from control.steering.explain import explain
from control.steering.losses import DEGRADED, PLAY, RISE_S, SLOPE, TELLING, Losses, shares, turned_away
from control.steering.order import Order, Rules, order
from control.steering.ranks import Ranks
from control.steering.session import Session
from kit.clock import ManualClock
from kit.hashing import rank
from tests.control.support import NOW, node, picture

POLICY = Policy(next={"east": ("west",)})
ORDER = rank("bbb", ["a", "b", "c"])
FIRST, SECOND, THIRD = ORDER
THREE = tuple(node(name) for name in "abc")
EXPIRY_S = 2.5
BAD = {"state": "degraded"}


def looked(*edges: Node, complaints: Mapping[str, float] | None = None, most: float = 0.9) -> Losses:
    losses = Losses(most)
    losses.look(picture(*edges), complaints or {}, NOW, EXPIRY_S)
    return losses


@pytest.mark.parametrize(
    ("edges", "complaints", "lost"),
    [
        (THREE, {}, {}),
        (THREE, {"a": 0.04}, {"a": 0.08}),
        (THREE, {"a": 0.3}, {"a": 0.6}),
        (THREE, {"a": 0.9}, {"a": 1.0}),
        (THREE, {"a": 0.5, "b": 0.5, "c": 0.5}, {}),
        (THREE, {"a": 0.5, "b": 0.4, "c": 0.5}, {}),
        (THREE, {"a": 0.5, "b": 0.4, "c": 0.2}, {"a": 0.2}),
        ((node("a", **BAD), node("b"), node("c")), {}, {"a": DEGRADED}),
        ((node("a", **BAD), node("b"), node("c")), {"a": 0.2}, {"a": 0.4}),
        ((node("a", **BAD), node("b"), node("c")), {"a": TELLING, "b": TELLING}, {}),
        ((node("a", **BAD), node("b", **BAD), node("c")), {}, {}),
        ((node("a", **BAD), node("b")), {}, {"a": DEGRADED}),
        ((node("a", **BAD),), {"a": 1.0}, {}),
        ((), {"a": 1.0}, {}),
    ],
)
def test_an_edge_loses_what_it_is_worse_by_than_the_middle_of_its_region(edges, complaints, lost) -> None:
    """A whole region that suffers moves nobody; nor does the only edge of a region."""
    assert {id_: share for id_, share in shares(edges, complaints).items() if share} == pytest.approx(lost)


def test_regions_are_judged_apart_and_of_edges_that_take_sessions() -> None:
    alone = [node("a"), node("b", region="west"), node("c", draining=True), node("d", seen=0), node("e", reserve=True)]
    assert looked(*alone, complaints={"a": 0.5}).new == {}
    assert looked(*alone, node("f"), complaints={"a": 0.5}).new == {"a": pytest.approx(0.9)}
    assert looked(*alone, node("f"), complaints={"a": 0.5}, most=0.2).new == {"a": 0.2}
    assert looked(*alone, node("f"), complaints={"a": 0.5}, most=0.0).new == {}


def test_hysteresis_begins_at_a_tenth_and_swings_move_nothing() -> None:
    losses, seen = Losses(0.9), []
    for told in (0.04, 0.05, 0.1, 0.2, 0.18, 0.16, 0.2, 0.15, 0.05, 0.0):
        losses.look(picture(*THREE), {"a": told}, NOW, EXPIRY_S)
        seen.append(round(losses.new.get("a", 0.0), 6))
    assert seen == [0, 0, 0.1, 0.3, 0.3, 0.3, 0.3, 0.3, 0.1, 0]


def test_running_sessions_leave_slowly_and_stay_at_once() -> None:
    losses, bad, at = Losses(0.9), {"a": 0.3}, NOW
    seen = []
    for complaints in (*[bad] * 13, {}, bad):
        edges = [node(name, seen=at) for name in "abc"]
        losses.look(picture(*edges), complaints, at, EXPIRY_S)
        seen.append(losses.running.get("a", 0.0) * RISE_S)
        at += 30.0
    assert seen == pytest.approx([*range(0, 300, 30), *[300] * 3, 0, 30])
    losses.look(picture(node("b")), {}, at, EXPIRY_S)
    assert (losses.new, losses.running, len(losses._edges)) == ({}, {}, 0)


def steer(losses: Mapping[str, float], session: str = "s", *edges: Node) -> list[tuple[str, str]]:
    found = choose(picture(*(edges or THREE)), "east", "bbb", NOW, POLICY, Ranks(), {}, session=session, losses=losses)
    assert isinstance(found, Candidates)
    return [(each.node.id, str(each.why)) for each in found.edges]


def test_sessions_of_the_share_go_to_the_next_candidate() -> None:
    losses = {FIRST: 0.3}
    away = [f"s{n}" for n in range(2000) if turned_away(f"s{n}", FIRST, losses)]
    assert 520 < len(away) < 680
    assert steer(losses, away[0]) == [(SECOND, "quality"), (THIRD, "region"), (FIRST, "poor")]
    stays = next(name for name in map(str, range(99)) if not turned_away(name, FIRST, losses))
    assert steer(losses, stays) == [(FIRST, "region"), (SECOND, "region"), (THIRD, "region")]
    assert all(turned_away(name, FIRST, {FIRST: 0.5}) for name in away)


def test_no_loss_makes_a_region_ineligible_or_sends_sessions_to_another() -> None:
    """Abstain: who is turned away by all is turned away by none."""
    everybody = dict.fromkeys("abc", 1.0)
    west = node("w", region="west")
    assert steer(everybody, "s", *THREE, west) == [
        *[(name, "region") for name in rank("bbb", ["a", "b", "c"])],
        ("w", "next_region"),
    ]
    assert steer({"a": 1.0}, "s", node("a"), west) == [("a", "region"), ("w", "next_region")]


def test_explain_names_it() -> None:
    losses = {FIRST: 1.0}
    edges = [node(name, state="degraded" if name == FIRST else "up") for name in "abc"]
    said = explain(picture(*edges), "east", "bbb", NOW, POLICY, Ranks(), {}, session="s", losses=losses)
    rows = {row.id: (row.place, row.why, row.state, row.loss) for row in said.rows}
    assert rows == {
        SECOND: (1, "quality", "up", 0.0),
        THIRD: (2, "region", "up", 0.0),
        FIRST: (3, "poor", "degraded", 1.0),
    }


SESSION = Session("s1", "bbb", "east", "192.0.2.0/24", ("a", "b", "c"))


def polled(losses: Mapping[str, float], *edges: Node, place: int = 0, session: Session = SESSION) -> Order:
    return order(session, place, picture(*edges), NOW, POLICY, Rules(), lambda _: float("-inf"), losses=losses)


@pytest.mark.parametrize(
    ("losses", "edges", "places", "why"),
    [
        ({"a": 1.0}, THREE, (1, 0, 2), "quality"),
        ({"a": 1.0, "b": 1.0}, THREE, (2, 0, 1), "quality"),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, THREE, (0, 1, 2), "stays"),
        ({"b": 1.0}, THREE, (0, 2, 1), "stays"),
        ({"a": 1.0}, (node("a"), node("b", 85), node("c", 85)), (0, 1, 2), "stays"),
        ({"a": 1.0}, (node("a"),), (0, 1, 2), "stays"),
        ({"b": 1.0}, (node("b"), node("c")), (2, 1, 0), "down"),
    ],
)
def test_running_sessions_of_the_share_leave_for_a_good_edge(losses, edges, places, why) -> None:
    found = polled(losses, *edges)
    assert (str(found.why), found.places[0]) == (why, places[0])
    assert sorted(found.places) == [0, 1, 2]


def test_players_of_an_edge_that_loses_some_ask_within_a_minute() -> None:
    stays = next(name for name in map(str, range(99)) if not turned_away(name, "a", {"a": 0.5}))
    session = Session(stays, "bbb", "east", "n", ("a", "b", "c"))
    assert polled({"a": 0.5}, *THREE, session=session).ttl_s == 60
    assert polled({"b": 0.5}, *THREE, session=session).ttl_s > 60


def fares(votes: float, bad: float) -> Figures:
    return Figures(votes=votes, failed=votes * bad)


SAYS = st.tuples(st.sampled_from([0.0, 1.0, FIRM_VOTES, 50.0, 1e6]), st.sampled_from([0.0, 0.3, 1.0]))
"""Votes of one network on one edge, and the share of them that failed."""
THREE_SAY = st.tuples(SAYS, SAYS, SAYS)
CROWD = st.tuples(st.integers(0, 90), THREE_SAY).map(lambda drawn: [drawn[1]] * drawn[0])
"""Networks that say the same."""
OTHERS = st.lists(CROWD, max_size=3).map(lambda crowds: [each for crowd in crowds for each in crowd])
STATES = st.lists(st.sampled_from(["up", "up", "degraded"]), min_size=3, max_size=3)
ROUND = st.tuples(OTHERS, THREE_SAY, THREE_SAY, STATES)


@settings(deadline=None, max_examples=200)
@given(st.lists(ROUND, min_size=1, max_size=6))
def test_no_network_moves_more_than_a_twentieth_of_an_edges_sessions(rounds) -> None:
    """Two worlds that differ in what one network says, whatever the others say and how it went on until now."""
    worlds = Losses(0.9), Losses(0.9)
    for at, (others, *said, states) in enumerate(rounds):
        now = NOW + 100.0 * at
        edges = [node(name, state=state, seen=now) for name, state in zip("abc", states, strict=True)]
        for losses, words in zip(worlds, said, strict=True):
            complaints = {}
            for place, name in enumerate("abc"):
                voices = {str(n): fares(*each[place]) for n, each in enumerate(others)}
                voices["one"] = fares(*words[place])
                complaints[name] = complaint({who: each for who, each in voices.items() if each.votes})
            losses.look(picture(*edges), complaints, now, EXPIRY_S)
        for name in "abc":
            new = [each.new.get(name, 0.0) for each in worlds]
            running = [each.running.get(name, 0.0) for each in worlds]
            assert abs(new[0] - new[1]) <= MOST_SHARE + 1e-9
            assert abs(running[0] - running[1]) <= MOST_SHARE + 1e-9


def test_a_complaint_needs_networks_and_votes() -> None:
    assert complaint({}) == 0
    assert complaint({"a": fares(1e9, 1.0)}) == pytest.approx(FIRM_SHARE)
    assert complaint({"a": fares(1.0, 1.0)}) == pytest.approx(FIRM_SHARE / FIRM_VOTES)
    assert complaint({str(n): fares(50, 1.0) for n in range(200)}) == pytest.approx(1.0)
    assert pytest.approx(MOST_SHARE) == SLOPE * 2 * FIRM_SHARE


def told(network: int, votes: int, stalled: int) -> Quality:
    return Quality(network=f"10.0.{network}.0/24", votes=votes, stalled=stalled)


def opinions_of(clock: ManualClock, edges: list[str], **more: str) -> tuple[Votes, Opinions]:
    votes = Votes(clock, half_life_s=300)

    def now() -> object:
        return picture(*(node(name, seen=clock.monotonic(), state=more.get(name, "up")) for name in edges))

    return votes, Opinions(votes, now, clock, most=0.9, expiry_s=EXPIRY_S)  # type: ignore[arg-type]


async def test_votes_of_many_networks_move_sessions_and_call_an_edge_degraded() -> None:
    clock = ManualClock()
    votes, opinions = opinions_of(clock, ["a", "b", "c"])
    for network in range(100):
        votes.note("a", [Quality(network=f"10.0.{network}.0/24", votes=10, failed=8)])
        votes.note("b", [told(network, 10, 0)])
    await opinions.round()
    assert set(opinions.losses.new) == {"a"}
    assert opinions.losses.new["a"] == pytest.approx(0.9)
    assert (opinions.quality("a"), opinions.quality("b"), opinions.quality("z")) == (pytest.approx(0.2), None, None)


async def test_a_few_networks_do_neither() -> None:
    clock = ManualClock()
    votes, opinions = opinions_of(clock, ["a", "b", "c"])
    for network in range(3):
        votes.note("a", [Quality(network=f"10.0.{network}.0/24", votes=10_000, failed=10_000)])
    await opinions.round()
    assert votes.score("a") == pytest.approx(0.85)
    assert (opinions.losses.new, opinions.quality("a")) == ({}, None)


async def test_noisy_votes_do_not_flap() -> None:
    """An hour: every edge stalls a little by chance, one clearly more often. The good ones lose nobody, the share of
    the bad one stays within a band, and no session is sent to and fro."""
    clock, chance = ManualClock(), random.Random(5)
    votes, opinions = opinions_of(clock, ["a", "b", "c"])
    seen: list[float] = []
    sessions = [Session(f"s{n}", "bbb", "east", "n", ("a", "b", "c")) for n in range(300)]
    places = [n % 3 for n in range(300)]
    moves = [0] * 300
    for second in range(0, 3600, 5):
        for edge, often in (("a", 0.4), ("b", 0.05), ("c", 0.06)):
            for network in chance.sample(range(120), 20):
                stalled = sum(chance.random() < often for _ in range(4))
                votes.note(edge, [told(network, 4, stalled)])
        await opinions.round()
        assert set(opinions.losses.new) <= {"a"}
        seen.append(opinions.losses.new.get("a", 0.0))
        for number, session in enumerate(sessions if second % 60 == 0 else ()):
            place = polled(opinions.losses.running, *THREE, place=places[number], session=session).places[0]
            moves[number] += place != places[number]
            places[number] = place
        clock.advance(5.0)
    later = seen[120:]
    assert max(later) - min(later) < PLAY
    assert min(later) > 0.2
    assert sum(before != after for before, after in pairwise(later)) < len(later) / 20
    assert max(moves) == 1
    assert set(moves[1::3]) == set(moves[2::3]) == {0}
    assert sum(moves) == pytest.approx(100 * max(seen), abs=12), "of the hundred that began on the bad one"
