"""Pauses between tries: C-25, RES-05."""

import pytest

from kit.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "least", "most"), [(0, 0.05, 0.1), (1, 0.1, 0.2), (4, 0.8, 1.6), (5, 1.0, 2.0), (10_000, 1.0, 2.0)]
)
def test_pauses_double_up_to_a_bound(attempt: int, least: float, most: float) -> None:
    backoff = Backoff(first_s=0.1, most_s=2.0)
    assert backoff.delay_s(attempt, 0.0) == pytest.approx(least)
    assert backoff.delay_s(attempt, 1.0) == pytest.approx(most)
