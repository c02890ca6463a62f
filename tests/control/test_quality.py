"""Votes of players: figures, fading, bounds, and a score that no network moves by more than a twentieth (issue 5)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.contract.observations import Quality
from control.observed import quality
from control.observed.quality import LEAST_VOTES, MOST_SHARE, ROWS_OF_EDGE, Figures, Votes, figures_of, judged
from kit.clock import ManualClock

GOOD = {"stalled": 0, "stalls": 0}
ALL_STALL = {"stalled": 50, "stalls": 90}


def told(network: int = 0, votes: int = 50, **given: object) -> Quality:
    return Quality(network=f"10.{network // 256}.{network % 256}.0/24", votes=votes, **given)  # type: ignore[arg-type]


def votes_of(clock: ManualClock, most: int = 1000) -> Votes:
    return Votes(clock, half_life_s=300, most=most)


@pytest.mark.parametrize(
    ("figures", "score"),
    [
        (Figures(), 1.0),
        (Figures(votes=10), 1.0),
        (Figures(votes=10, stalled=5), 0.7),
        (Figures(votes=10, stalled=10), 0.4),
        (Figures(votes=10, failed=10), 0.0),
        (Figures(votes=10, failed=5, stalled=10), 0.2),
        (Figures(votes=10, started=4, startup_ms=4 * 3000), 0.9),
        (Figures(votes=10, started=4, startup_ms=4 * 90_000), 0.8),
        (Figures(votes=10, started=4, startup_ms=4 * 300), 1.0),
        (Figures(votes=10, rated=4, top_share=2), 0.9),
    ],
)
def test_the_score_of_sessions(figures: Figures, score: float) -> None:
    assert figures.score() == pytest.approx(score)


def test_votes_add_up_and_fade() -> None:
    clock = ManualClock()
    votes = votes_of(clock)
    votes.note("edge-1", [told(votes=40, started=10, startup_ms=800, rated=40, kbps=3000, top_share=0.5)])
    votes.note("edge-1", [told(votes=40, stalled=20, stalls=30, rebuffer_ms=4000)])
    (row,) = votes.rows("edge-1")
    assert row.figures.as_json() == {
        "votes": 80.0,
        "stalledShare": 0.25,
        "stallsPerVote": 0.375,
        "rebufferMsPerVote": 50.0,
        "failedShare": 0.0,
        "startupMs": 800.0,
        "kbps": 3000.0,
        "topShare": 0.5,
        "throughputKbps": None,
        "score": 0.75,
    }
    clock.advance(300)
    (row,) = votes.rows("edge-1")
    assert row.figures.votes == pytest.approx(40)
    assert row.figures.as_json()["startupMs"] == 800.0
    clock.advance(300 * 20)
    assert votes.rows("edge-1") == []
    assert (len(votes), votes.qoe("edge-1")) == (0, None)


def test_an_edge_of_many_networks_that_stall_is_told_from_one_that_plays() -> None:
    votes = votes_of(ManualClock())
    for network in range(40):
        votes.note("good", [told(network)])
        votes.note("bad", [told(network, **ALL_STALL)])
        votes.note("half", [told(network, **(ALL_STALL if network % 2 else GOOD))])
    scores = {edge: votes.qoe(edge) for edge in ("good", "bad", "half", "unknown")}
    assert scores["unknown"] is None is votes.score("unknown")
    assert votes.score("bad") == pytest.approx(0.4)
    assert {edge: each and round(each.score, 3) for edge, each in scores.items()} == {
        "good": 1.0,
        "bad": 0.4,
        "half": 0.7,
        "unknown": None,
    }
    assert scores["bad"] and (scores["bad"].networks, scores["bad"].votes) == (40, 2000)


NETWORKS = st.lists(st.tuples(st.floats(0.01, 1e6), st.booleans()), min_size=1, max_size=60)


def _judged(networks: list[tuple[float, bool]]) -> float:
    found = judged({str(n): Figures(votes=votes, failed=votes * bad) for n, (votes, bad) in enumerate(networks)})
    return found.score if found else 1.0


@given(NETWORKS, st.floats(100, 1e9))
def test_what_one_network_says_moves_a_score_by_a_twentieth_at_most(others, size: float) -> None:
    lies, praise = _judged([*others, (size, True)]), _judged([*others, (size, False)])
    assert 0 <= praise - lies <= MOST_SHARE + 1e-9


@given(st.integers(20, 60), st.booleans(), st.floats(100, 1e9))
def test_nor_can_one_network_drown_the_others_by_its_size(count: int, bad: bool, size: float) -> None:
    others = [(50.0, bad)] * count
    assert abs(_judged(others) - _judged([*others, (size, not bad)])) <= MOST_SHARE + 1e-9


@given(st.lists(st.floats(0.001, 1e9), min_size=1, max_size=300))
def test_weights_are_bounded_and_fill_the_scale(votes: list[float]) -> None:
    found = quality.weights(votes)
    assert max(found) <= MOST_SHARE + 1e-9
    assert sum(found) == pytest.approx(min(1.0, MOST_SHARE * len(votes)))
    assert max(quality.weights([*votes, *[1e-300] * 30, *[1e300] * 20])) <= MOST_SHARE + 1e-9
    order = sorted(range(len(votes)), key=votes.__getitem__)
    assert all(found[one] <= found[more] + 1e-12 for one, more in pairwise(order))


def test_few_votes_are_no_score() -> None:
    assert judged({"a": Figures(votes=LEAST_VOTES - 1)}) is None
    assert judged({}) is None
    assert judged({"a": Figures(votes=LEAST_VOTES)}) is not None


def test_memory_is_bounded_and_the_longest_silent_go() -> None:
    votes = votes_of(ManualClock(), most=ROWS_OF_EDGE + 10)
    for network in range(ROWS_OF_EDGE + 50):
        votes.note("edge-1", [told(network)])
    assert len(votes) == len(votes.rows("edge-1")) == ROWS_OF_EDGE
    assert {row.network for row in votes.rows("edge-1")}.isdisjoint({"10.0.0.0/24", "10.0.49.0/24"})
    for network in range(30):
        votes.note("edge-2", [told(network)])
    assert len(votes) == ROWS_OF_EDGE + 10
    assert len(votes.rows("edge-2")) == 30


def test_a_score_is_worked_out_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    votes, worked = votes_of(clock), []
    real = quality.judged
    monkeypatch.setattr(quality, "judged", lambda rows: worked.append(1) or real(rows))
    votes.note("edge-1", [told()])
    for _ in range(100):
        votes.qoe("edge-1")
    clock.advance(1.0)
    votes.qoe("edge-1")
    assert len(worked) == 2


async def test_a_report_by_edge_region_network_and_class() -> None:
    votes = votes_of(ManualClock())
    for edge in ("a", "b"):
        votes.note(edge, [told(1, stream="vod"), told(2, votes=5, stream="live")])
    by_edge = await votes.report(lambda row: row.edge)
    assert {name: each.votes for name, each in by_edge.items()} == {"a": 55, "b": 55}
    assert (await votes.report(lambda _: "west"))["west"].votes == 110
    assert {n: f.votes for n, f in (await votes.report(lambda r: r.network)).items()} == {
        "10.0.1.0/24": 100,
        "10.0.2.0/24": 10,
    }
    assert {n: f.votes for n, f in (await votes.report(lambda r: r.stream)).items()} == {"vod": 100, "live": 10}


def test_means_become_sums() -> None:
    sums = figures_of(told(votes=9, started=2, startup_ms=700, measured=3, throughput_kbps=5000))
    assert (sums.startup_ms, sums.throughput_kbps, sums.kbps) == (1400, 15_000, 0)
    with pytest.raises(ValueError, match="more sessions than votes"):
        told(votes=9, stalled=10)
