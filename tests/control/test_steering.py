"""Where a session goes: CDN-07, CDN-10, C-64, T-019, T-020 as tables (order: contracts.md, Between processes)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.registry.model import Node
from control.steering.choose import Candidates, Choice, Latency, NoEdge, Policy, Why, WhyNone, choose
from control.steering.place import Geography, How, Places, nearest_first
from control.steering.ranks import ENTRY, Ranks
from geo.centroids import CENTROIDS
from geo.database import Place
from geo.distance import Point
from kit.hashing import rank
from tests.control.support import NOW, node, picture

POLICY = Policy(next={"east": ("west", "north"), "west": ("east",)})
FAR = {"region": "west"}
GONE = {"seen": NOW - 2.5}


def steer(*nodes: Node, region: str = "east", title: str = "bbb", latency=None, policy: Policy = POLICY) -> Choice:
    return choose(picture(*nodes), region, title, NOW, policy, Ranks(), latency or {})


def told(choice: Choice) -> list[tuple[str, str]] | str:
    match choice:
        case Candidates(edges):
            return [(each.node.id, str(each.why)) for each in edges]
        case NoEdge(why):
            return str(why)


CASES = {
    "CDN-07 below 80 is eligible": ([node("a", 79.99)], [("a", "region")]),
    "T-019 80 itself is not eligible while another is": ([node("a", 80), node("b", 5)], [("b", "region")]),
    "T-019 a dead edge never wins by its last low load": (
        [node("a", 0, **GONE), node("b", 79)],
        [("b", "region")],
    ),
    "T-019 a heartbeat 2.49 s ago still counts": ([node("a", seen=NOW - 2.49)], [("a", "region")]),
    "a draining edge takes no session": ([node("a", draining=True), node("b")], [("b", "region")]),
    "a shield is no edge": ([node("a", role="shield"), node("b")], [("b", "region")]),
    "a reserve edge waits": ([node("a", reserve=True), node("b")], [("b", "region")]),
    "C-64 next region when the own has none": ([node("a", 85), node("b", **FAR)], [("b", "next_region")]),
    "C-64 next regions in their order": (
        [node("a", region="north"), node("b", **FAR)],
        [("b", "next_region"), ("a", "next_region")],
    ),
    "a next region fills up behind the own": (
        [node("a", 70), node("b", 0, **FAR)],
        [("a", "region"), ("b", "next_region")],
    ),
    "C-64 a region that is nobody's neighbour is not asked": ([node("a", region="south")], "no_edge"),
    "D-14 band 90, own region first": (
        [node("a", 85), node("b", 81, **FAR)],
        [("a", "band"), ("b", "band")],
    ),
    "D-14 band 90 of the next region before band 95 here": ([node("a", 92), node("b", 89, **FAR)], [("b", "band")]),
    "D-14 band 95": ([node("a", 94.9)], [("a", "band")]),
    "C-64 reserve comes last": ([node("a", 95), node("b", 10, reserve=True)], [("b", "reserve")]),
    "C-64 a band comes before reserve": ([node("a", 94), node("b", 10, reserve=True)], [("a", "band")]),
    "T-020 all full is shed, not sent to origin": (
        [node("a", 95), node("b", 100, **FAR), node("o", 0, role="origin")],
        "all_full",
    ),
    "all draining": ([node("a", draining=True)], "all_draining"),
    "nobody": ([], "no_edge"),
    "all dead": ([node("a", **GONE)], "no_edge"),
    "held while Redis is away": ([node("a", **GONE, held=True)], [("a", "region")]),
}


@pytest.mark.parametrize(("nodes", "says"), CASES.values(), ids=CASES)
def test_the_order_of_candidates(nodes: list[Node], says: object) -> None:
    """CDN-07, CDN-10, C-64, T-019, T-020."""
    assert told(steer(*nodes)) == says


def test_five_candidates_in_rendezvous_order_of_the_title() -> None:
    """CDN-07: up to 5, ranked so that a title stays where it is cached."""
    nodes = [node(f"e{n}") for n in range(9)]
    for title in ("bbb", "sintel", "tears"):
        expected = rank(title, [each.id for each in nodes])[:5]
        assert told(steer(*nodes, title=title)) == [(name, "region") for name in expected]


def test_a_node_above_the_mean_by_a_quarter_passes_titles_on() -> None:
    """CDN-07: bounded-load rendezvous; the bound of loads 20, 20, 60 is 33.3 * 1.15 = 38."""
    first, *rest = rank("bbb", ["a", "b", "c"])
    nodes = [node(name, 60 if name == first else 20) for name in "abc"]
    assert [name for name, _ in told(steer(*nodes))] == [*rest, first]


def test_among_idle_nodes_titles_stay_at_home() -> None:
    home = rank("bbb", ["a", "b", "c"])[0]
    nodes = [node(name, 9 if name == home else 0) for name in "abc"]
    assert told(steer(*nodes))[0] == (home, "region")


@pytest.mark.parametrize(
    ("first", "second", "swapped"),
    [
        (Latency(50, 3), Latency(30, 3), True),
        (Latency(50, 3), Latency(30.1, 3), False),
        (Latency(50, 3), Latency(10, 2), False),
        (Latency(50, 2), Latency(10, 3), False),
        (Latency(50, 3), None, False),
        (None, Latency(10, 9), False),
        (Latency(10, 9), Latency(50, 9), False),
    ],
)
def test_the_second_wins_only_when_clearly_quicker(first, second, swapped: bool) -> None:
    """CTL-03, D-15: at least 3 samples of both and at least 20 ms."""
    a, b, c = rank("bbb", ["a", "b", "c"])
    latency = {name: value for name, value in ((a, first), (b, second), (c, Latency(0, 99))) if value}
    found = steer(node("a"), node("b"), node("c"), latency=latency)
    order = [name for name, _ in told(found)]
    assert order == ([b, a, c] if swapped else [a, b, c])
    assert (found.edges[0].why is Why.LATENCY) is swapped


loads = st.floats(0, 100)
drawn = st.builds(
    node,
    st.uuids().map(lambda u: f"n{u.hex[:8]}"),
    loads,
    region=st.sampled_from(["east", "west", "north", "south"]),
    role=st.sampled_from(["edge", "edge", "shield", "origin"]),
    draining=st.booleans(),
    reserve=st.booleans(),
    seen=st.floats(NOW - 5, NOW),
)


@settings(deadline=None)
@given(st.lists(drawn, max_size=12, unique_by=lambda each: each.id))
def test_never_a_dead_draining_full_or_foreign_node(nodes: list[Node]) -> None:
    """T-019, T-020, C-64: whatever the map, a candidate can take the session; none only when nobody can."""
    able = [
        n
        for n in nodes
        if n.role == "edge" and not n.draining and NOW - n.seen < 2.5 and n.load < 95 and n.region != "south"
    ]
    match steer(*nodes):
        case Candidates(edges):
            assert 1 <= len(edges) <= 5
            assert {each.node for each in edges} <= set(able)
            assert len({each.node.id for each in edges}) == len(edges)
            if any(n.load < 80 and not n.reserve for n in able):
                assert all(each.node.load < 80 for each in edges)
        case NoEdge(why):
            assert able == []
            assert why in WhyNone


def test_orders_are_remembered_while_members_stand_and_bounded() -> None:
    """contracts.md: rank memoised; a version that changed for a load alone keeps the orders."""
    ranks, nodes = Ranks(remembered=4 * (ENTRY + 5)), [node(f"e{n}") for n in range(5)]
    for version in range(1, 4):
        ranks.of(picture(*nodes, version=version), "east", "bbb")
    assert ranks.misses == 1
    assert "e0" not in ranks.of(picture(*nodes[1:], version=4), "east", "bbb")
    assert ranks.misses == 2
    grown = node("e1", capacity_mbps=1_000_000)
    assert ranks.of(picture(*nodes[2:], grown, version=5), "east", "bbb")[0] == "e1"
    for n in range(50):
        ranks.of(picture(*nodes, version=6), "east", f"t{n}")
    assert len(ranks) <= 4
    for n in range(50):
        assert ranks.of(picture(*nodes, version=6), "nowhere", f"t{n}") == ()
    assert len(ranks) <= 5, "orders of a region without edges are bounded too"


@pytest.mark.parametrize(
    ("client", "region"),
    [
        ("10.1.2.3", "east"),
        ("10.1.9.9", "west"),
        ("::ffff:10.1.9.9", "west"),
        ("2001:db8::1", "north"),
        ("192.0.2.1", "home"),
        ("::1", "home"),
    ],
)
def test_the_longest_network_names_the_region(client: str, region: str) -> None:
    """CTL-04."""
    places = Places({"east": ["10.0.0.0/8"], "west": ["10.1.8.0/22"], "north": ["2001:db8::/32"]}, "home")
    assert places.region(client) == region


def test_two_regions_cannot_claim_one_network() -> None:
    with pytest.raises(ValueError, match="belongs to east and west"):
        Places({"east": ["10.0.0.0/8"], "west": ["10.0.0.0/8"]}, "east")


GEO = {
    "192.0.2.1": Place("DE", Point(52.5, 13.4), "192.0.2.0/24"),
    "192.0.2.2": Place("US", CENTROIDS["US"], "192.0.2.0/24"),
    "192.0.2.3": Place("CH", CENTROIDS["CH"], "192.0.2.0/24"),
    "192.0.2.4": Place(None, None, "192.0.2.0/24"),
    "10.0.0.9": Place("US", CENTROIDS["US"], "10.0.0.0/8"),
}
CITIES = {"frankfurt": Point(50.1, 8.7), "chicago": Point(41.9, -87.6), "tokyo": Point(35.7, 139.7)}


@pytest.mark.parametrize(
    ("client", "region", "how"),
    [
        ("10.0.0.9", "lab", How.NETWORK),
        ("192.0.2.1", "frankfurt", How.DISTANCE),
        ("192.0.2.2", "chicago", How.DISTANCE),
        ("192.0.2.3", "tokyo", How.COUNTRY),
        ("192.0.2.4", "home", How.DEFAULT),
        ("192.0.2.5", "home", How.DEFAULT),
    ],
)
def test_network_then_country_then_distance_then_default(client: str, region: str, how: How) -> None:
    """CTL-04: the settings before the database, and in the database what was said before what is near."""
    places = Places({"lab": ["10.0.0.0/8"]}, "home", Geography(GEO.get, CITIES, {"CH": "tokyo"}))
    found = places.standing(client)
    assert (found.region, found.how, found.place) == (region, how, GEO.get(client))


def test_without_coordinates_a_place_is_no_region() -> None:
    assert Places({}, "home", Geography(GEO.get)).region("192.0.2.1") == "home"


def test_c_64_the_nearest_region_takes_over() -> None:
    assert nearest_first(CITIES) == {
        "frankfurt": ("chicago", "tokyo"),
        "chicago": ("frankfurt", "tokyo"),
        "tokyo": ("frankfurt", "chicago"),
    }
