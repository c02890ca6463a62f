"""`max_isolation_s`: a node that hears nothing serves so long and no longer (contracts.md, Between processes)."""

from pathlib import Path

import pytest

from edge.admit.open import OpenTier
from kit.clock import ManualClock
from proxy.http import dates
from proxy.serve.contact import Contact, ContactTier
from tests.support.nodes import node
from tests.support.upstream import Call, upstream


@pytest.mark.parametrize("fast_lane", [True, False])
async def test_a_node_serves_until_it_was_too_long_without_word_and_again_after_the_next(
    tmp_path: Path, fast_lane: bool, clock: ManualClock
) -> None:
    async def serve(call: Call) -> None:
        await call.answer(b"x", Cache_Control="max-age=6000", Date=dates.render(clock.wall()))

    contact = Contact(clock)
    tier = ContactTier(OpenTier(), contact.fd, 30.0, clock)
    async with (
        upstream(serve) as origin,
        node(tmp_path, origin.url, tier=tier, fast_lane=fast_lane, clock=clock) as edge,
    ):
        assert (await edge.get("/a")).status == 200
        await edge.ended("filled")
        clock.advance(30)
        assert ((await edge.get("/a")).status, contact.age_s()) == (200, 30)
        clock.advance(1)
        for target in ("/a", "/another"):
            late = await edge.get(target)
            assert (late.status, late.field("Retry-After"), late.body) == (503, "1", b'{"error":"isolated"}\n')
        assert len(origin.calls) == 1
        contact.heard()
        assert (await edge.get("/a")).status == 200
    contact.close()
