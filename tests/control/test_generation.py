"""What a node says of how far it is with purges, as it follows its orders (contracts.md, Purge across tiers)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from configs.schema.base import NodeIdentity
from control.contract.generation import behind
from control.contract.orders import Drain, Purge, Targets
from control.node.follower import Follower
from control.node.link import ControlLink
from control.node.purged import Purged
from kit.errors import BadRequest, Overloaded
from tests.control.ordering import CLOCK, Fleet, Noted, fleet
from tests.control.support import until
from tests.support.redis import RedisServer

TAG = Purge(by="tag", what="title:film")
EPOCH = "0123456789abcdef"


@pytest.fixture(params=["memory", "redis"])
def form(request: pytest.FixtureRequest, redis_server: RedisServer) -> dict[str, Any]:
    """The setting that chooses the form of the log."""
    return {"redis_url": redis_server.url} if request.param == "redis" else {}


@pytest.fixture
async def control(form: dict[str, Any], tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet(tmp_path, **form) as running:
        yield running


async def test_an_edge_speaks_of_a_purge_before_it_is_done_and_a_shield_after(control: Fleet) -> None:
    """In between, whoever asks for more than was done is told to ask on."""
    async with control.node("shield-1") as (follower, shield):
        await until(lambda: follower.state().cursor)
        begun = follower.state().cursor or ""
        order = await control.service.orders.issue(TAG)
        await until(lambda: follower.state().cursor != begun)  # done, and on the disk
        epoch = begun.partition(".")[0]
        before, after = f"{epoch}.{order.number - 1}", f"{epoch}.{order.number}"
        assert shield.generations[-2:] == [(after, before), (after, after)]
        assert follower.state().purged == after
    async with control.node("shield-1") as (_, again):
        await until(lambda: again.generations)
        assert again.generations[0] == (after, after), "kept across a restart"


async def test_a_shield_that_comes_later_is_not_behind(tmp_path: Path, form: dict[str, Any]) -> None:
    """All that it has is stale when it begins, so it is as far as the log: also when no purge is kept any more."""
    async with fleet(tmp_path, orders_kept=10, **form) as control, control.node("edge-1") as (edge, _):
        await until(lambda: edge.state().cursor)
        await control.service.orders.issue(TAG)
        await until(lambda: edge.state().done == 1)
        for number in range(12):
            if number == 6:
                await _is_not_behind(control, "shield-1", edge.state().purged)
            await control.service.orders.issue(Drain(), targets=Targets(nodes=("edge-9",)))
        await _is_not_behind(control, "shield-2", edge.state().purged)


async def _is_not_behind(control: Fleet, name: str, heard: str) -> None:
    async with control.node(name) as (follower, _):
        await until(lambda: follower.state().resets and follower.state().cursor)
        assert not behind(follower.state().purged, heard)


async def test_a_purge_that_failed_counts_as_done_once_everything_is_stale(control: Fleet) -> None:
    """Until then the node says that it has done none: neither a later purge nor a restart makes that good."""
    failing = Noted()
    async with control.node("shield-1", failing) as (follower, shield):
        await until(lambda: follower.state().cursor)
        failing.failing = [Overloaded("the disk is full")] * 10
        await control.service.orders.issue(TAG)
        await until(lambda: follower.state().failed, deadline_s=20)
        assert shield.generations[-1][1] == ""
        await control.service.orders.issue(TAG)
        await until(lambda: follower.state().failed == 2, deadline_s=20)
        assert (shield.generations[-1][1], shield.did) == ("", ["purge all"])
        last = await control.service.orders.issue(TAG)
        await until(lambda: follower.state().purged.endswith(f".{last.number}"))
        assert shield.did == ["purge all", "purge tag title:film", "purge all"]


async def test_a_purge_of_what_cannot_be_stored_fails_and_leaves_no_doubt(control: Fleet) -> None:
    """One wrong order must not make shields ask their origin for everything."""
    async with control.node("shield-1", Noted()) as (follower, shield):
        await until(lambda: follower.state().cursor)
        shield.failing = [BadRequest("no path")]
        order = await control.service.orders.issue(TAG)
        await until(lambda: follower.state().failed)
        assert follower.state().purged.endswith(f".{order.number}")


def test_orders_may_come_out_of_the_order_of_their_numbers() -> None:
    """Edges are told of a purge when its shields are done, so perhaps of a later one first."""
    state = Purged(epoch=EPOCH, heard=4, done=4)
    for number in (6, 5):
        state = state.hearing(number).ending(number, well=True)
    assert (state.heard_text, state.done_text) == (f"{EPOCH}.6", f"{EPOCH}.6")


async def test_a_log_that_cannot_be_written_does_not_end_the_following(control: Fleet, tmp_path: Path) -> None:
    """A full disk must not keep revocations and purges from a node."""
    asked = []

    async def broken(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=500)

    app = web.Application()
    app.router.add_get("/{path:.*}", broken)
    control.link("edge-1")
    async with TestServer(app) as server:
        identity = NodeIdentity(
            id="edge-1", credential=tmp_path / "edge-1.json", control=f"http://127.0.0.1:{server.port}"
        )
        follower = Follower(ControlLink(identity, "edge", CLOCK, control.session), Noted(), tmp_path, CLOCK)
        with open("/dev/full", "wb", buffering=0) as full:
            structlog.configure(processors=[lambda *_: b"line"], logger_factory=structlog.BytesLoggerFactory(full))
            try:
                await follower.start()
                await until(lambda: len(asked) > 1)
            finally:
                structlog.reset_defaults()
        await follower.close()
