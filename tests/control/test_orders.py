"""Orders to nodes, over real HTTP with real credentials: CDN-15, CDN-16, CDN-22, T-090, T-100.

Both forms of the log."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from configs.schema.base import NodeIdentity
from control.api.app import public_app
from control.contract.credential import Credential
from control.contract.orders import (
    BATCH,
    MAX_PATHS,
    Ack,
    Acked,
    Drain,
    Order,
    Prefetch,
    Purge,
    Revoke,
    Targets,
    Undrain,
)
from control.main import building
from control.node.follower import Follower
from control.node.reporter import Reporter
from control.orders.model import NoSuchOrder, OtherOrder, TooManyOrders
from kit.errors import BadRequest, Overloaded, Unprocessable
from kit.service import listening
from origin.contract.headers import NODE
from tests.control.ordering import CLOCK, Fleet, Noted, fleet, settings
from tests.control.support import report, until
from tests.support.redis import RedisServer

TAG = Purge(by="tag", what="title:film")


@pytest.fixture(params=["memory", "redis"])
def form(request: pytest.FixtureRequest, redis_server: RedisServer) -> dict[str, Any]:
    """The setting that chooses the form of the log."""
    return {"redis_url": redis_server.url} if request.param == "redis" else {}


@pytest.fixture
async def control(form: dict[str, Any], tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet(tmp_path, **form) as running:
        yield running


async def test_a_purge_reaches_every_node_and_its_status_says_so(control: Fleet) -> None:
    """CDN-15, CDN-16: done on all, who was slowest."""
    await control.beat("edge-1", "edge-2")
    async with control.node("edge-1") as (_, one), control.node("edge-2") as (_, two):
        await until(lambda: one.did == two.did == ["purge all"])
        order = await control.service.orders.issue(TAG, by="ops")
        await until(lambda: one.did == two.did == ["purge all", "purge tag title:film"])
        await settled(control, order.number)
    status = await control.service.orders.status(order.number)
    assert (status.done, status.failed, status.waiting, status.by, status.stage) == (2, 0, 0, "ops", "edges")
    assert status.slowest is not None
    assert status.slowest.node in ("edge-1", "edge-2")
    assert (await control.service.orders.list())[0] == status
    with pytest.raises(NoSuchOrder):
        await control.service.orders.status(999)


async def settled(control: Fleet, number: int, *, waiting: int = 0) -> None:
    """Until only so many have not acknowledged."""
    end = time.monotonic() + 10
    while (await control.service.orders.status(number)).waiting > waiting:
        assert time.monotonic() < end, await control.service.orders.status(number)
        await asyncio.sleep(0.005)


async def test_edges_hear_of_a_purge_after_the_shields(control: Fleet) -> None:
    """contracts.md, Purge across tiers: an edge that fills from a shield must not get what the shield had before."""
    await control.beat("edge-1", "shield-1", "shield-2")
    async with control.node("edge-1") as (_, edge), control.node("shield-1") as (_, one):
        await until(lambda: edge.did and one.did)
        order = await control.service.orders.issue(TAG)
        await until(lambda: len(one.did) == 2)
        await settled(control, order.number, waiting=2)
        status = await control.service.orders.status(order.number)
        assert (status.stage, status.missing, edge.did) == ("shields", ("edge-1", "shield-2"), ["purge all"])
        async with control.node("shield-2"):
            await settled(control, order.number)
        assert len(edge.did) == 2


@pytest.mark.parametrize("how", ["leaves", "never answers"])
async def test_a_shield_that_is_down_or_too_slow_does_not_hold_edges_up(
    tmp_path: Path, form: dict[str, Any], how: str
) -> None:
    """contracts.md: acknowledge, or are marked down; and no wait without a bound."""
    async with fleet(tmp_path, shield_wait_s=60.0 if how == "leaves" else 0.3, **form) as control:
        await control.beat("edge-1", "shield-1")
        async with control.node("edge-1") as (_, edge):
            order = await control.service.orders.issue(TAG)
            if how == "leaves":
                assert (await control.service.orders.status(order.number)).stage == "shields"
                await control.service.registry.leave("shield-1")
            await until(lambda: "purge tag title:film" in edge.did)
            await settled(control, order.number, waiting=1)
            assert (await control.service.orders.status(order.number)).missing == ("shield-1",)


async def test_a_node_that_was_away_is_told_when_it_returns(control: Fleet) -> None:
    """T-090: replay by cursor; what it did before it does not do again, and it is waited for meanwhile."""
    async with control.node("edge-1") as (follower, edge):
        await until(lambda: follower.state().cursor)
    first = await control.service.orders.issue(TAG)
    second = await control.service.orders.issue(Purge(by="prefix", what="/content/film/", soft=True))
    assert (await control.service.orders.status(first.number)).missing == ("edge-1",)
    async with control.node("edge-1", edge):
        await settled(control, second.number)
    assert edge.did == ["purge all", "purge tag title:film", "soft purge prefix /content/film/"]


async def test_a_cursor_older_than_the_tail_begins_anew(tmp_path: Path, form: dict[str, Any]) -> None:
    """contracts.md: everything is stale, and the oldest orders that are kept are done; what stands is still known."""
    async with fleet(tmp_path, orders_kept=10, **form) as control:
        orders = control.service.orders
        async with control.node("edge-1") as (follower, edge):
            await until(lambda: follower.state().cursor)
        await orders.issue(Drain(), targets=Targets(nodes=("edge-1",)))
        await orders.issue(Revoke(by="token", what="aa", until=CLOCK.wall() + 60))
        for number in range(12):
            last = await orders.issue(Purge(by="url", what=f"/{number}"))
        async with control.node("edge-1", edge) as (follower, _):
            await settled(control, last.number)
            assert follower.state().resets == 1
        assert edge.did == ["purge all", "purge all", *(f"purge url /{number}" for number in range(2, 12))]
        assert (edge.draining, edge.refused) == (True, {"token": ["aa"]})


async def test_a_log_of_another_epoch_begins_anew_and_keeps_what_the_node_knows(tmp_path: Path) -> None:
    """Control lost all it knew: a drained node goes on draining, a revoked token stays refused."""
    edge = Noted()
    for life in range(2):
        async with fleet(tmp_path) as control, control.node("edge-1", edge) as (follower, _):
            await until(lambda: follower.state().resets)
            if life == 0:
                await control.service.orders.issue(Drain(), targets=Targets(nodes=("edge-1",)))
                await control.service.orders.issue(Revoke(by="key", what="k1", until=CLOCK.wall() + 60))
                await until(lambda: edge.draining and edge.refused and not follower.state().untold)
    assert edge.did == ["purge all", "purge all"]
    assert (edge.draining, edge.refused) == (True, {"key": ["k1"]})


async def test_drain_is_for_those_named_and_outlives_a_restart(control: Fleet) -> None:
    orders = control.service.orders
    async with control.node("edge-1") as (_, one), control.node("edge-2") as (_, two):
        order = await orders.issue(Drain(), targets=Targets(nodes=("edge-1",)))
        await settled(control, order.number)
        assert (one.draining, two.draining) == (True, False)
    async with control.node("edge-1") as (_, again):
        assert again.draining
        order = await orders.issue(Undrain(), targets=Targets(nodes=("edge-1",)))
        await settled(control, order.number)
        assert not again.draining


async def test_revocations_add_up_and_end(control: Fleet) -> None:
    orders, end = control.service.orders, CLOCK.wall() + 60
    async with control.node("edge-1") as (_, edge):
        for by, what in (("token", "aa"), ("subject", "s1"), ("key", "k1"), ("token", "bb"), ("token", "aa")):
            last = await orders.issue(Revoke(by=by, what=what, until=end))
        await orders.issue(Revoke(by="token", what="over", until=1.0))
        await until(lambda: len(edge.refused.get("token", ())) == 2)
        await settled(control, last.number)
    assert {by: set(names) for by, names in edge.refused.items()} == {
        "token": {"aa", "bb"},
        "subject": {"s1"},
        "key": {"k1"},
    }


async def test_a_prefetch_is_for_a_region_and_begun_again_by_the_next_life(control: Fleet) -> None:
    """CDN-22. A node that dies in the middle of one has it still to do."""
    await control.beat("edge-1")
    await control.beat("edge-2", region="west")
    async with control.node("edge-2") as (_, west):
        async with control.node("edge-1") as (follower, _):
            await until(lambda: follower.state().cursor)
            order = await control.service.orders.issue(Prefetch(paths=("/a", "/b")), targets=Targets(region="east"))
            purge = await control.service.orders.issue(TAG)
            await settled(control, purge.number)  # it does not wait for the prefetch
        assert (await control.service.orders.status(order.number)).missing == ("edge-1",)
        async with control.node("edge-1") as (_, edge):
            edge.warming.set()
            await settled(control, order.number)
        assert edge.did == ["prefetch /a /b"]
        assert west.did == ["purge all", "purge tag title:film"]


async def test_an_order_that_fails_is_told_and_does_not_keep_the_next_from_being_done(control: Fleet) -> None:
    """Tried again where that may help; then the reason is in the status."""
    edge = Noted()
    async with control.node("edge-1", edge) as (follower, _):
        await until(lambda: edge.did)
        edge.failing += [Overloaded("busy"), Overloaded("busy"), BadRequest("no such thing")]
        failed = await control.service.orders.issue(TAG)
        fine = await control.service.orders.issue(Purge(by="url", what="/b"))
        await settled(control, fine.number)
        assert follower.state().failed == 1
    status = await control.service.orders.status(failed.number)
    assert (status.failed, status.failures[0].detail) == (1, "no such thing")
    assert edge.did == ["purge all", "purge url /b"]


async def test_acknowledged_twice_counts_once_and_the_first_word_stands(control: Fleet) -> None:
    await control.beat("edge-1")
    order = await control.service.orders.issue(TAG)
    link = control.link("edge-1")
    path = f"/api/v1/nodes/edge-1/orders/{order.number}/ack"
    for outcome in ("done", "failed", "done"):
        await link.post(path, Ack(outcome=outcome, seconds=0.1), Acked, timeout_s=5)
    status = await control.service.orders.status(order.number)
    assert (status.done, status.failed, status.waiting) == (1, 0, 0)
    await link.post(path.replace(f"/{order.number}/", "/77/"), Ack(outcome="done", seconds=0), Acked, timeout_s=5)


async def test_the_same_key_is_the_same_order(control: Fleet) -> None:
    orders = control.service.orders
    first = await orders.issue(TAG, key="k")
    assert await orders.issue(TAG, key="k") == first
    assert (await orders.issue(TAG, key="other")).number == first.number + 1
    with pytest.raises(OtherOrder):
        await orders.issue(Purge(by="tag", what="else"), key="k")


@pytest.mark.parametrize(
    ("command", "targets"),
    [
        (TAG, Targets(nodes=("edge-1",))),
        (Revoke(by="key", what="k", until=2.0), Targets(region="east")),
        (Drain(), Targets()),
        (Undrain(), Targets(region="east")),
        (Prefetch(paths=("/a",)), Targets(region="east", nodes=("edge-1",))),
    ],
)
async def test_targets_that_make_no_sense_are_refused(control: Fleet, command, targets: Targets) -> None:
    with pytest.raises(Unprocessable, match="targets"):
        await control.service.orders.issue(command, targets=targets)


@pytest.mark.parametrize(
    "command",
    [
        {"kind": "purge", "by": "url", "what": "no-path"},
        {"kind": "purge", "by": "prefix", "what": ""},
        {"kind": "purge", "by": "tag", "what": "two words"},
        {"kind": "purge", "by": "url", "what": "/a\r\nb"},
        {"kind": "purge", "by": "everything", "what": "/"},
        {"kind": "prefetch", "paths": []},
        {"kind": "prefetch", "paths": ["/a"] * 65},
        {"kind": "prefetch", "paths": ["http://elsewhere/a"]},
        {"kind": "revoke", "by": "key", "what": "k"},
        {"kind": "revoke", "by": "key", "what": "a\nb", "until": 9.0},
        {"kind": "drain", "hard": True},
        {"kind": "reboot"},
    ],
)
def test_commands_are_strict(command: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Order.model_validate({"number": 1, "issued": 1.0, "command": command})


async def test_orders_in_flight_are_bounded(tmp_path: Path, form: dict[str, Any]) -> None:
    """A node that is away counts for nothing: it may be away for days."""
    async with fleet(tmp_path, orders_in_flight=3, **form) as control:
        async with control.node("edge-away") as (follower, _):
            await until(lambda: follower.state().cursor)
        for number in range(9):
            await control.service.orders.issue(Purge(by="url", what=f"/{number}"))
        await control.beat("edge-1")
        for number in range(3):
            await control.service.orders.issue(Purge(by="url", what=f"/{number}"))
        with pytest.raises(TooManyOrders):
            await control.service.orders.issue(TAG)
        async with control.node("edge-1"):
            for number in range(10, 13):
                await settled(control, number, waiting=1)
        await control.service.orders.issue(TAG)


@pytest.mark.parametrize(
    ("who", "role", "path", "status"),
    [
        ("edge-2", "edge", "/api/v1/nodes/edge-1/orders", 403),
        ("edge-1", "edge", "/api/v1/nodes/edge-1/orders?after=junk", 400),
        ("edge-1", "edge", "/api/v1/nodes/edge-1/orders?after=" + "a" * 16 + ".1", 400),
        (None, "edge", "/api/v1/nodes/edge-1/orders", 403),
    ],
)
async def test_whoever_may_not_hears_no_orders(control: Fleet, who: str | None, role: str, path: str, status) -> None:
    """SEC-07."""
    headers = {}
    if who:
        control.link(who, role)
        credential = Credential.load(control.directory / f"{who}.json")
        headers[NODE] = credential.sign("control", method="GET", target=path, now=CLOCK.wall())
    async with control.session.get(control.url + path, headers=headers) as response:
        assert response.status == status


async def test_a_role_without_orders_gets_none(control: Fleet) -> None:
    with pytest.raises(Unprocessable, match="control takes no orders"):
        await control.service.orders.wait("control-1", "control", None)


async def test_what_stands_is_bounded(control: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revocations that ended make room."""
    for form in ("memory.MAX_REVOKED", "redis_rows.MAX_REVOKED", "memory.MAX_DRAINING", "redis_rows.MAX_DRAINING"):
        monkeypatch.setattr(f"control.orders.{form}", 2)
    orders, end = control.service.orders, CLOCK.wall() + 60
    for what, until_ in (("over", 1.0), ("a", end), ("b", end)):
        await orders.issue(Revoke(by="token", what=what, until=until_))
    with pytest.raises(TooManyOrders):
        await orders.issue(Revoke(by="token", what="c", until=end))
    await orders.issue(Drain(), targets=Targets(nodes=("edge-1", "edge-2")))
    with pytest.raises(TooManyOrders):
        await orders.issue(Drain(), targets=Targets(nodes=("edge-3",)))
    await orders.issue(Undrain(), targets=Targets(nodes=("edge-1",)))
    await orders.issue(Drain(), targets=Targets(nodes=("edge-3",)))


async def test_revoked_nodes_take_no_room_from_play_tokens(control: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node's revocation has no end: in the long run there would be no token that could be revoked."""
    for form in ("memory.MAX_REVOKED", "redis_rows.MAX_REVOKED"):
        monkeypatch.setattr(f"control.orders.{form}", 2)
    orders, end = control.service.orders, CLOCK.wall() + 60
    for what in ("edge-1", "edge-2"):
        await orders.issue(Revoke(by="node", what=what, until=end))
    for by, what in (("token", "aa"), ("subject", "bb")):
        await orders.issue(Revoke(by=by, what=what, until=end))  # type: ignore[arg-type]
    for by in ("node", "key"):
        with pytest.raises(TooManyOrders):
            await orders.issue(Revoke(by=by, what="more", until=end))  # type: ignore[arg-type]


async def test_orders_too_large_for_one_answer_come_in_several(control: Fleet) -> None:
    """Prefetches as long as they may be, issued while a node was away: it must not wait before them for ever."""
    paths = tuple(f"/{number:03}{'x' * 1000}" for number in range(MAX_PATHS))
    async with control.node("edge-1") as (follower, noted):
        await until(lambda: follower.state().cursor)
    for _ in range(BATCH):
        await control.service.orders.issue(Prefetch(paths=paths))
    await control.service.orders.issue(TAG)
    noted.warming.set()
    async with control.node("edge-1", noted):
        await until(lambda: "purge tag title:film" in noted.did)


async def test_one_question_a_node(control: Fleet) -> None:
    """A second one ends the first, with nothing: those that broken connections leave must not add up."""
    async with control.node("edge-1") as (follower, _):
        await until(lambda: follower.state().cursor)
        cursor = follower.state().cursor
    orders = control.service.orders
    first = asyncio.create_task(orders.wait("edge-1", "edge", cursor))
    await asyncio.sleep(0)
    second = asyncio.create_task(orders.wait("edge-1", "edge", cursor))
    assert (await first).orders == ()
    order = await orders.issue(TAG)
    assert [each.number for each in (await second).orders] == [order.number]


async def test_a_stop_does_not_wait_for_nodes_that_wait(tmp_path: Path) -> None:
    began = time.monotonic()
    async with fleet(tmp_path) as control, control.node("edge-1") as (follower, _):
        await until(lambda: follower.state().cursor)
    assert time.monotonic() - began < 5  # the long poll is 25 s and the drain is 5 s


async def test_control_away_is_survived_and_said(tmp_path: Path) -> None:
    """The same port again, another epoch: it goes on."""
    edge = Noted()
    async with aiohttp.ClientSession() as session, building(settings(tmp_path), CLOCK) as service:
        async with listening(public_app(service), "127.0.0.1", 0, drain_s=5) as url:
            control = Fleet(service, url, session, tmp_path)
            follower = Follower(control.link("edge-1"), edge, tmp_path, CLOCK)
            await follower.start()
            await until(lambda: follower.state().cursor)
        await until(lambda: follower.state().error)
        async with building(settings(tmp_path), CLOCK) as anew:
            port = int(url.rpartition(":")[2])
            async with listening(public_app(anew), "127.0.0.1", port, drain_s=5):
                await until(lambda: follower.state().error is None)
                assert edge.did == ["purge all", "purge all"]
                await follower.close()


async def test_a_drain_is_in_the_next_heartbeat_which_comes_at_once(tmp_path: Path) -> None:
    """The pause between heartbeats is the longest, 2 s: players are steered away before it is over."""
    async with fleet(tmp_path, interval_s=60) as control:
        link, edge = control.link("edge-1"), Noted()
        identity = NodeIdentity(id="edge-1", credential=tmp_path / "edge-1.json", control=control.url)
        told = lambda: report(draining=edge.draining)  # noqa: E731
        reporter = Reporter(identity, "edge", told, CLOCK, control.session)
        follower = Follower(link, edge, tmp_path, CLOCK, drained=reporter.hurry)
        await follower.start()
        reporter.start()
        nodes = control.service.registry.map
        await until(lambda: follower.state().cursor and "edge-1" in nodes().nodes)
        await control.service.orders.issue(Drain(), targets=Targets(nodes=("edge-1",)))
        await until(lambda: nodes().nodes["edge-1"].draining, deadline_s=1.5)
        await reporter.close()
        await follower.close()


async def test_a_control_that_falls_silent_is_asked_anew(tmp_path: Path) -> None:
    """Its connections stay open and nothing answers: the node does not wait for the end of the long poll, 30 s, but
    until a heartbeat fails; whoever answers then is heard."""
    async with fleet(tmp_path) as control:
        silent = asyncio.Event()

        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            silent.set()
            with contextlib.suppress(OSError):
                await reader.read()
            writer.close()

        server = await asyncio.start_server(swallow, "127.0.0.1", 0)
        link = control.link("edge-1")
        there, link.url = link.url, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        edge = Noted()
        follower = Follower(link, edge, tmp_path, CLOCK)
        await follower.start()
        await silent.wait()
        identity = NodeIdentity(id="edge-1", credential=tmp_path / "edge-1.json", control=link.url)
        reporter = Reporter(identity, "edge", report, CLOCK, control.session, lost=follower.again)
        link.url = there
        reporter.start()
        await until(lambda: edge.did, deadline_s=20)
        await reporter.close()
        await follower.close()
        server.close()
        await server.wait_closed()


async def test_a_revocation_asked_again_under_its_key_is_the_same_order(control: Fleet) -> None:
    """Its answer may have been lost. Asked a moment later for as long, it ends a moment later: no other order."""
    orders, now = control.service.orders, CLOCK.wall()
    first = await orders.issue(Revoke(by="token", what="aa", until=now + 60), key="k")
    assert await orders.issue(Revoke(by="token", what="aa", until=now + 63), key="k") == first
    with pytest.raises(OtherOrder):
        await orders.issue(Revoke(by="token", what="bb", until=now + 60), key="k")


async def test_a_purge_that_shields_hold_up_is_told_before_it_is_forgotten(
    tmp_path: Path, form: dict[str, Any]
) -> None:
    async with fleet(tmp_path, orders_kept=10, shield_wait_s=600, **form) as control:
        await control.beat("shield-1")
        async with control.node("edge-1") as (_, edge):
            await until(lambda: edge.did)
            await control.service.orders.issue(TAG)
            for number in range(10):
                await control.service.orders.issue(Revoke(by="node", what=f"edge-{number}", until=CLOCK.wall() + 60))
            await until(lambda: edge.did == ["purge all", "purge tag title:film"])
