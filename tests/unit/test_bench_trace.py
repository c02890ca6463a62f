"""The workload of viewers (issue 3, Must show: the trace generator): deterministic, and shaped as it says."""

import random
from pathlib import Path

import pytest
from pydantic import ValidationError

from bench.catalogue import Catalogue
from bench.trace import Trace, read, write
from bench.viewers import Viewers, generate
from bench.workload import DAY_S, Workload
from kit.errors import BadRequest

SMALL = Workload(titles=20, sessions=300, days=1.0)
DIGEST = "b13d6f40eba476859962390f83633a723e1bceeb33b531f033d916a05a44417d"


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A day of one small edge."""
    return generate(SMALL)


def test_the_same_seed_gives_the_same_trace(trace: Trace) -> None:
    assert trace.digest() == DIGEST
    assert generate(SMALL.model_copy(update={"seed": 2})).digest() != DIGEST


def test_requests_come_in_the_order_of_time_and_an_object_has_one_size(trace: Trace) -> None:
    assert all(earlier <= later for earlier, later in zip(trace.times, trace.times[1:], strict=False))
    assert set(trace.objects) == set(range(len(trace.sizes)))
    assert all(0 <= when < DAY_S for when in trace.times)


def test_about_half_of_the_objects_are_asked_for_once() -> None:
    """As in models of a CDN's video traffic: 42 % and 52 %."""
    assert 0.38 < generate(Workload(titles=100, sessions=3_000)).asked_once() < 0.56


def test_segments_are_as_large_as_the_ladder_says(trace: Trace) -> None:
    """6 s at 400 to 6000 kbit/s, a few times more or less for what is hard or easy to code."""
    load = SMALL
    largest = max(rung.kbps for rung in load.ladder) * 125 * load.segment_s
    assert largest < max(trace.sizes) < 4 * largest
    audio = int(load.audio_kbps * 125 * load.segment_s)
    assert 0.3 < sum(trace.sizes[number] == audio for number in trace.objects) / len(trace) < 0.5


def test_more_come_by_day_than_by_night(trace: Trace) -> None:
    """The first half of a day is its day: arrivals swing as a sine."""
    day = sum(when < DAY_S / 2 for when in trace.times)
    assert day > 1.8 * (len(trace) - day)


def _sessions(load: Workload) -> "list[tuple[float, float]]":
    """(seconds watched, of the title's seconds) of many sessions."""
    model = Viewers(load)
    title = next(title for title in model._catalogue.ranked if title.segments > 400)
    return [(model._watched_s(title), title.segments * load.segment_s) for _ in range(4_000)]


def test_most_leave_early_and_a_fifth_stay_to_the_end() -> None:
    watched = _sessions(SMALL)
    assert 0.18 < sum(seconds >= whole for seconds, whole in watched) / len(watched) < 0.22
    assert 0.45 < sum(seconds < 300 for seconds, _ in watched) / len(watched) < 0.65


@pytest.mark.parametrize("zipf", [0.8, 1.0])
def test_popularity_is_zipf_s(zipf: float) -> None:
    load = Workload(titles=50, zipf=zipf)
    catalogue = Catalogue(load, random.Random(3))
    drawn = [catalogue.drawn().number for _ in range(20_000)]
    first, tenth = (drawn.count(catalogue.ranked[rank].number) for rank in (0, 9))
    assert first / tenth == pytest.approx(10**zipf, rel=0.15)


def test_titles_come_and_fade() -> None:
    catalogue = Catalogue(Workload(titles=50), random.Random(3))
    before = [title.number for title in catalogue.ranked]
    for _ in range(10):
        catalogue.renew()
    after = [title.number for title in catalogue.ranked]
    assert len(after) == 50
    assert len(set(after) - set(before)) > 5
    kept = [number for number in before if number in after]
    assert [number for number in after if number in before] == kept, "they keep their order among themselves"
    assert after[0] != before[0]


def test_a_trace_survives_being_written_and_read(trace: Trace, tmp_path: Path) -> None:
    write(trace, tmp_path / "trace.csv")
    again = read(tmp_path / "trace.csv")
    assert (again.objects, again.sizes) == (trace.objects, trace.sizes)
    assert all(abs(a - b) < 0.001 for a, b in zip(again.times, trace.times, strict=True))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("object,size\n", "the first line must be time,object,size"),
        ("time,object,size\n1,a\n", ":2: want time,object,size"),
        ("time,object,size\n1,a,-5\n", ":2: want time,object,size"),
        ("time,object,size\n1,a,5\n2,a,6\n", ":3: object a had 5 bytes before"),
    ],
)
def test_what_is_no_trace_is_said_with_its_line(rows: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text(rows)
    with pytest.raises(BadRequest, match=said):
        read(tmp_path / "trace.csv")


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValidationError, match="must add up to 1"):
        Workload(ladder=Workload().ladder[:2])
    with pytest.raises(ValidationError, match="1 at most"):
        Workload(complete=0.6, browse=0.6)
