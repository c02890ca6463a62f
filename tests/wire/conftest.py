"""What the wire scripts share."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from kit.clock import ManualClock
from proxy.http import dates
from tests.support.certificates import Authority, Files


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that nodes run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def clock() -> ManualClock:
    """Time that moves when told."""
    return ManualClock()


@pytest.fixture
def date(clock: ManualClock) -> str:
    """The clock's present time as a Date field."""
    return dates.render(clock.wall())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who issues what the test needs."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def pair(authority: Authority) -> Files:
    """The edge's certificate."""
    return authority.issue("edge.test")
