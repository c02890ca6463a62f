"""A shield serves a revoked node no more, in neither lane, and others as before (contracts.md; issue 5, part 1)."""

from pathlib import Path

import pytest

from control.contract.credential import issue
from kit.clock import SystemClock
from kit.published import Publisher
from origin.contract.headers import NODE
from origin.contract.revoked import MOST_BYTES, RevokedNodes
from shield.guard.tier import ShieldTier
from tests.support.nodes import node
from tests.support.upstream import says, upstream

FLEET = b"f" * 32
CLOCK = SystemClock()


@pytest.mark.parametrize("fast_lane", [True, False])
async def test_a_revoked_node_is_refused_from_its_next_request_on(tmp_path: Path, fast_lane: bool) -> None:
    publisher = Publisher(MOST_BYTES)
    tier = ShieldTier(issue(FLEET, "shield-1", "shield"), RevokedNodes(publisher.fd))
    names = {
        "lost": issue(FLEET, "edge-1", "edge", "0123456789abcdef"),
        "anew": issue(FLEET, "edge-1", "edge", "f" * 16),
    }
    async with (
        upstream(says(b"x", Cache_Control="max-age=60")) as origin,
        node(tmp_path, origin.url, tier=tier, fast_lane=fast_lane) as shield,
    ):

        async def statuses() -> dict[str, int]:
            found = {}
            for who, credential in names.items():
                field = credential.sign("shield", method="GET", target="/a", now=CLOCK.wall())
                found[who] = (await shield.get("/a", **{NODE.replace("-", "_"): field})).status
            return found

        assert await statuses() == {"lost": 200, "anew": 200}
        await shield.ended("filled")
        publisher.put([f"node:{names['lost'].name}", "token:aa"])
        assert await statuses() == {"lost": 403, "anew": 200}
        publisher.put([])
        assert await statuses() == {"lost": 200, "anew": 200}
    publisher.close()
