"""Bounded-load rendezvous hashing: stable, balanced, bounded (contracts.md, Between processes)."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.hashing import bound, bounded, rank

NODES = [f"edge-{n}" for n in range(10)]
KEYS = [f"title-{n}" for n in range(3000)]
names = st.lists(st.text(max_size=12), min_size=1, max_size=12, unique=True)


def test_the_order_is_the_same_on_every_machine() -> None:
    assert rank("bbb", ["edge-1", "edge-2", "edge-3"]) == ["edge-3", "edge-1", "edge-2"]


@settings(deadline=None)
@given(st.text(), names, st.randoms())
def test_the_order_does_not_depend_on_how_nodes_are_listed(key: str, nodes: list[str], chance) -> None:
    shuffled = list(nodes)
    chance.shuffle(shuffled)
    assert rank(key, shuffled) == rank(key, nodes)
    assert sorted(rank(key, nodes)) == sorted(nodes)


@settings(deadline=None)
@given(st.text(), names, st.data())
def test_when_a_node_leaves_only_its_keys_move(key: str, nodes: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(nodes))
    stay = [node for node in nodes if node != gone]
    assert rank(key, stay) == [node for node in rank(key, nodes) if node != gone]


def test_keys_spread_evenly() -> None:
    shares = Counter(rank(key, NODES)[0] for key in KEYS)
    assert set(shares) == set(NODES)
    assert all(230 < share < 370 for share in shares.values()), shares


def test_a_node_of_three_times_the_weight_gets_three_times_the_keys() -> None:
    shares = Counter(rank(key, ["big", "small"], {"big": 3.0})[0] for key in KEYS)
    assert 2.5 < shares["big"] / shares["small"] < 3.6


def test_a_weight_change_moves_keys_only_to_the_node_that_grew() -> None:
    for key in KEYS[:500]:
        before, after = rank(key, NODES)[0], rank(key, NODES, {"edge-3": 2.0})[0]
        assert after in (before, "edge-3")


def test_a_node_above_the_bound_passes_keys_to_its_second() -> None:
    first, second, *_ = rank("bbb", NODES)
    loads = dict.fromkeys(NODES, 10.0)
    assert bounded("bbb", loads) == first
    assert bounded("bbb", loads | {first: 90.0}) == second


def test_the_bound_is_the_mean_by_the_factor_rounded_up() -> None:
    assert bound([10, 10, 50]) == 30
    assert bound([0, 0]) == 0
    assert bound([]) == 0


@settings(deadline=None)
@given(st.text(), st.dictionaries(st.text(max_size=8), st.floats(0, 1e6), min_size=1, max_size=12))
def test_there_is_always_a_choice_and_it_is_within_the_bound(key: str, loads: dict[str, float]) -> None:
    assert loads[bounded(key, loads)] <= bound(loads.values())


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.lists(st.sampled_from(["hot", "hot", "hot", "warm", "cold"]), max_size=120))
def test_one_hot_key_never_piles_up_on_one_node(count: int, keys: list[str]) -> None:
    loads = {f"n{n}": 0.0 for n in range(count)}
    for key in keys:
        limit = bound(loads.values())
        chosen = bounded(key, loads)
        loads[chosen] += 1
        assert loads[chosen] <= limit + 1


@pytest.mark.parametrize("call", [lambda: bounded("k", {}), lambda: rank("k", ["a", "a"])])
def test_no_node_and_the_same_node_twice_are_errors(call) -> None:
    with pytest.raises(ValueError, match=r"no node|twice"):
        call()
