"""What the wire scripts share."""

import pytest

from kit.clock import ManualClock
from proxy.http import dates


@pytest.fixture
def clock() -> ManualClock:
    """Time that moves when told."""
    return ManualClock()


@pytest.fixture
def date(clock: ManualClock) -> str:
    """The clock's present time as a Date field."""
    return dates.render(clock.wall())
