"""The breaker: RES-06, RES-07, C-26, T-031, T-032."""

from kit.resilience import Breaker, Limits, State

LIMITS = Limits(failures=3, ratio=0.5, volume=10, window_s=60, reset_s=30, probes=2)


def _fail(breaker: Breaker, times: int, now: float) -> None:
    for _ in range(times):
        ticket = breaker.allow(now)
        assert ticket is not None
        breaker.failed(ticket, now)


def test_it_opens_on_the_count_and_rejects_until_the_reset() -> None:
    breaker = Breaker(LIMITS)
    _fail(breaker, 2, 0)
    assert breaker.state(0) is State.CLOSED
    _fail(breaker, 1, 0)
    assert breaker.state(29.9) is State.OPEN
    assert breaker.allow(29.9) is None
    assert breaker.state(30) is State.HALF_OPEN


def test_it_opens_on_the_ratio_only_with_enough_calls() -> None:
    breaker = Breaker(Limits(failures=1000, ratio=0.5, volume=4))
    for failed in (True, False, False):
        ticket = breaker.allow(0)
        assert ticket is not None
        (breaker.failed if failed else breaker.succeeded)(ticket, 0)
    assert breaker.state(0) is State.CLOSED
    _fail(breaker, 1, 0)
    assert breaker.state(0) is State.OPEN


def test_old_failures_leave_the_window() -> None:
    breaker = Breaker(LIMITS)
    _fail(breaker, 2, 0)
    _fail(breaker, 1, 61)
    assert breaker.state(61) is State.CLOSED


def test_half_open_admits_a_few_probes_and_closes_when_all_succeed() -> None:
    breaker = Breaker(LIMITS)
    _fail(breaker, 3, 0)
    tickets = [breaker.allow(30) for _ in range(3)]
    assert tickets[2] is None
    for ticket in tickets[:2]:
        assert ticket is not None
        breaker.succeeded(ticket, 31)
    assert breaker.state(31) is State.CLOSED


def test_one_failed_probe_opens_again() -> None:
    breaker = Breaker(LIMITS)
    _fail(breaker, 3, 0)
    _fail(breaker, 1, 30)
    assert breaker.state(59) is State.OPEN
    assert breaker.state(60) is State.HALF_OPEN


def test_a_late_result_of_an_earlier_state_counts_nothing() -> None:
    """T-032."""
    breaker = Breaker(LIMITS)
    late = breaker.allow(0)
    assert late is not None
    _fail(breaker, 3, 0)
    assert breaker.state(30) is State.HALF_OPEN
    breaker.succeeded(late, 30)
    breaker.failed(late, 30)
    assert breaker.state(30) is State.HALF_OPEN
    assert "half_open" in repr(breaker)
