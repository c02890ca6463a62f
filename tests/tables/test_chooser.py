"""Which server is asked: rank, load, health, retries. Pure; time is handed in."""

from hypothesis import given
from hypothesis import strategies as st

from kit.hashing import rank
from proxy.upstream.chooser import DOWN_S, LIMITS, RETRIES_SAVED, SILENT, SLACK, Attempt, Chooser

BASES = ("http://a", "http://b", "http://c")


def _begin(chooser: Chooser, key: str, now: float = 0.0) -> Attempt:
    attempt = chooser.begins(chooser.order(key, now)[0], now)
    assert attempt is not None
    return attempt


def _bases(chooser: Chooser, key: str, now: float = 0.0) -> list[str]:
    return [server.base for server in chooser.order(key, now)]


@given(st.text(max_size=20))
def test_a_quiet_tier_is_asked_in_rendezvous_order(key: str) -> None:
    assert _bases(Chooser(BASES), key) == rank(key, BASES)


def test_one_hot_key_spreads_when_its_server_is_above_the_bound() -> None:
    """kit.hashing: no server has more than 1.25 times the mean, above a slack."""
    chooser = Chooser(BASES)
    for _ in range(300):
        _begin(chooser, "hot")
    loads = sorted(chooser.loads.values())
    assert sum(loads) == 300
    assert loads[-1] <= 1.25 * 100 + 2
    assert loads[0] > 0


def test_with_few_requests_a_key_stays_where_it_is() -> None:
    chooser = Chooser(BASES)
    first = _bases(chooser, "k")[0]
    for _ in range(SLACK):
        assert _bases(chooser, "k")[0] == first
        _begin(chooser, "k")
    assert chooser.loads[first] == SLACK


def test_load_goes_when_an_attempt_is_over_and_once_only() -> None:
    chooser = Chooser(BASES)
    attempt = _begin(chooser, "k")
    attempt.answered(0.0)
    assert sum(chooser.loads.values()) == 1
    for _ in range(2):
        attempt.over()
    assert sum(chooser.loads.values()) == 0


def test_an_unreachable_server_is_asked_last_for_a_while() -> None:
    chooser = Chooser(BASES)
    first, *_ = _bases(chooser, "k")
    _begin(chooser, "k").failed(0.0, unreachable=True)
    assert _bases(chooser, "k", DOWN_S - 0.1)[-1] == first
    assert _bases(chooser, "k", DOWN_S)[0] == first


def test_a_server_that_keeps_failing_is_left_alone_then_probed() -> None:
    chooser = Chooser(BASES[:1])
    for _ in range(LIMITS.volume):
        attempt = _begin(chooser, "k")
        attempt.failed(0.0)
        attempt.over()
    assert chooser.order("k", 1.0) == []
    server = chooser.order("k", LIMITS.reset_s)[0]
    probes = [chooser.begins(server, LIMITS.reset_s) for _ in range(LIMITS.probes + 1)]
    assert [probe is not None for probe in probes] == [True] * LIMITS.probes + [False]
    for probe in probes:
        if probe is not None:
            probe.answered(LIMITS.reset_s)
    assert chooser.begins(server, LIMITS.reset_s) is not None


def test_a_few_failures_among_many_answers_leave_it_in() -> None:
    chooser = Chooser(BASES[:1])
    for number in range(1000):
        attempt = _begin(chooser, "k", 5.0)
        attempt.failed(5.0) if number % 10 == 9 else attempt.answered(5.0)
        attempt.over()
    assert len(chooser.order("k", 5.0)) == 1


def test_what_viewers_abandon_says_nothing_but_a_probe_must_prove() -> None:
    chooser = Chooser(BASES[:1])
    for _ in range(100):
        _begin(chooser, "k").abandoned(0.0)
    assert len(chooser.order("k", 0.0)) == 1
    for _ in range(LIMITS.volume):
        _begin(chooser, "k").failed(0.0)
    _begin(chooser, "k", LIMITS.reset_s).abandoned(LIMITS.reset_s)
    assert chooser.order("k", LIMITS.reset_s) == []


def test_retries_have_a_budget() -> None:
    chooser = Chooser(BASES)
    assert [chooser.may_retry() for _ in range(int(RETRIES_SAVED) + 1)] == [True] * int(RETRIES_SAVED) + [False]
    allowed = 0
    for _ in range(1000):
        chooser.order("k", 0.0)
        allowed += chooser.may_retry()
    assert 95 <= allowed <= 101


def test_a_server_that_answers_no_probe_is_asked_last_until_it_answers_one() -> None:
    chooser = Chooser(BASES)
    first, *others = _bases(chooser, "k")
    for _ in range(SILENT - 1):
        chooser.probed(first, answered=False)
    assert (_bases(chooser, "k")[0], chooser.unwell(0.0)) == (first, 0)
    chooser.probed(first, answered=False)
    assert (_bases(chooser, "k"), chooser.unwell(0.0)) == ([*others, first], 1)
    chooser.probed(first, answered=True)
    assert (_bases(chooser, "k"), chooser.unwell(0.0)) == ([first, *others], 0)


def test_a_probe_that_is_answered_brings_an_unreachable_server_back_at_once() -> None:
    chooser = Chooser(BASES)
    first, *_ = _bases(chooser, "k")
    _begin(chooser, "k").failed(0.0, unreachable=True)
    assert (_bases(chooser, "k")[-1], chooser.unwell(0.0)) == (first, 1)
    chooser.probed(first, answered=True)
    assert (_bases(chooser, "k")[0], chooser.unwell(0.0)) == (first, 0)


def test_an_open_breaker_counts_as_unwell() -> None:
    chooser = Chooser(("http://a",))
    for _ in range(LIMITS.volume):
        _begin(chooser, "k").failed(0.0)
    assert (chooser.order("k", 0.0), chooser.unwell(0.0)) == ([], 1)
