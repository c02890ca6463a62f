"""How many answers a worker remembers (issue 4: 100,000 objects by popularity)."""

import pytest

from proxy.store.store import Bounds


@pytest.mark.parametrize(
    ("memory", "entries"),
    [(256 * 2**20, 104_857), (2 * 2**30, 838_860), (2**20, 20_000), (0, 20_000)],
)
def test_a_worker_remembers_as_its_share_of_memory_allows(memory: int, entries: int) -> None:
    assert Bounds(memory, 256 * 2**10).entries == entries
