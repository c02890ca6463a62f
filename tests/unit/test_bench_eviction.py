"""Replays: the store's own classes on a trace, checked against libcachesim (issue 3, Must show)."""

import xml.etree.ElementTree as ET
from array import array

import pytest

from bench.chart import chart
from bench.eviction import CHOSEN, eviction
from bench.oracle import next_uses, theirs
from bench.replay import Marks, replay
from bench.trace import Trace
from bench.viewers import generate
from bench.workload import Workload
from proxy.store.evict import Lru, Sieve

LOAD = Workload(titles=20, sessions=300, days=1.0)
ONE_BY_ONE = Marks(1.0, 1.0)


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A day of one small edge."""
    return generate(LOAD)


@pytest.mark.parametrize("share", [0.02, 0.2])
@pytest.mark.parametrize("name", ["LRU", "SIEVE"])
def test_misses_in_bytes_equal_libcachesim_s(name: str, share: float, trace: Trace) -> None:
    evictor = Lru() if name == "LRU" else Sieve(len(trace.sizes))
    limit = int(trace.footprint * share)
    ours = replay(trace, evictor, limit, marks=ONE_BY_ONE, warm=1_000)
    assert ours == theirs(name, trace, limit, warm=1_000)


def test_others_remarks_stay_out_of_standard_output(trace: Trace, capfd: pytest.CaptureFixture[str]) -> None:
    """W-TinyLFU makes some at certain sizes; `--json` promises a line and no more."""
    theirs("W-TinyLFU", trace, int(trace.footprint * 0.05))
    said = capfd.readouterr()
    assert said.out == ""


def _of(objects: list[int], sizes: list[int]) -> Trace:
    return Trace(array("d", range(len(objects))), array("L", objects), array("Q", sizes))


def test_a_cache_evicts_from_the_high_mark_to_the_low_one() -> None:
    """D-09: ten objects of ten bytes in 100; the tenth goes above 90, so the two oldest go."""
    trace = _of([*range(10), 2, 3, 0, 1], [10] * 10)
    misses = replay(trace, Lru(), 100, warm=10)
    assert (misses.requests, misses.missed) == (4, 2)


def test_what_is_asked_for_once_is_not_admitted_once_the_cache_was_full() -> None:
    trace = _of([*range(10), 10, 11, 10, 10], [100] * 12)
    misses = replay(trace, Lru(), 1_000, warm=10, admit_above=50)
    assert (misses.missed, misses.refused) == (3, 2), "object 10 is stored at its second request, 11 never"
    assert replay(trace, Lru(), 1_000, warm=10, admit_above=100).refused == 0, "small ones are exempt"


def test_what_is_larger_than_the_cache_is_passed_on() -> None:
    misses = replay(_of([0, 0], [101]), Sieve(1), 100)
    assert (misses.missed, misses.refused, misses.missed_bytes) == (2, 2, 202)


def test_the_next_use_of_each_request() -> None:
    ahead = next_uses(_of([0, 1, 0, 0], [1, 1]))
    assert list(ahead[:1]) + list(ahead[2:3]) == [2, 3]
    assert ahead[1] == ahead[3] > 2**60


def test_a_report_has_a_ratio_to_lru_for_each_setting() -> None:
    report = eviction(LOAD, (0.8, 1.0), (0.05, 0.2), oracle=True)
    assert {f"{CHOSEN}/zipf {zipf}/{share}%" for zipf in ("0.8", "1") for share in (5, 20)} <= set(report.ratios)
    rows = {(row["zipf"], row["share"], row["in"], row["policy"]): row for row in report.figures["rows"]}
    for zipf in (0.8, 1.0):
        for share in (0.05, 0.2):
            theirs_lru = rows[zipf, share, "libcachesim", "LRU"]
            assert rows[zipf, share, "libcachesim", "our LRU"] == theirs_lru | {"policy": "our LRU"} | {
                "refused": rows[zipf, share, "libcachesim", "our LRU"]["refused"]
            }
            assert rows[zipf, share, "libcachesim", "Belady"]["byte_miss_ratio"] < theirs_lru["byte_miss_ratio"]
    missed = {name for name, ratio in report.ratios.items() if name.startswith(CHOSEN) and ratio > 0.9}
    assert len(report.failed) == len(missed)


def test_the_chart_has_a_line_for_each_policy_and_skew() -> None:
    report = eviction(LOAD, (0.8, 1.0), (0.05, 0.2))
    tree = ET.fromstring(chart(report.figures["rows"]))
    lines = [each for each in tree.iter() if each.tag.endswith("polyline")]
    assert len(lines) == 2 * 4
    assert all(len(each.get("points", "").split()) == 2 for each in lines)
