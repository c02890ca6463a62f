"""An edge that knows of a purge gets nothing of before it from a shield that does not (contracts.md, Purge across
tiers; issue 5)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from control.contract import generation
from control.contract.credential import issue
from control.contract.generation import FIELD, Generations, Told, behind
from edge.admit.open import OpenTier
from edge.admit.token import TokenTier
from edge.node.worker import signer
from kit.clock import ManualClock, SystemClock
from origin.contract.headers import NODE
from origin.contract.token import Keys, Verifier
from proxy.host.worker import Role
from proxy.http import dates
from shield.guard.tier import ShieldTier
from tests.support.nodes import Node, node
from tests.support.upstream import Call, Upstream, head, upstream
from tests.support.wire import Answer, until
from tests.wire.test_17_workers import workers

FLEET = b"f" * 32
CLOCK = SystemClock()
EDGE = issue(FLEET, "edge-1", "edge")
FIELDS = FIELD.replace("-", "_")
EPOCH = "0123456789abcdef"


def at(number: int, epoch: str = EPOCH) -> str:
    """A generation."""
    return generation.text(epoch, number)


@pytest.mark.parametrize(
    ("done", "heard", "expected"),
    [
        (at(7), at(7), False),
        (at(8), at(7), False),
        (at(6), at(7), True),
        (at(10), at(9), False),  # numbers, not texts
        ("", at(0), True),
        (at(7, "f" * 16), at(6), True),
        (at(7), "nonsense", True),
        (at(7), "0123456789abcdef.-1", True),
    ],
)
def test_who_is_behind(done: str, heard: str, expected: bool) -> None:
    """Two logs cannot be compared, and what is not understood is not taken for old."""
    assert behind(done, heard) is expected


@dataclass
class Pair:
    """A shield before an origin whose content changes, and what its supervisor publishes."""

    shield: Node
    origin: Upstream
    purges: Told
    content: list[bytes]

    def says(self, done: str) -> None:
        """How far the shield is."""
        self.purges.put(done, done)

    async def get(self, heard: str = "") -> Answer:
        """As an edge asks that has heard of `heard`."""
        signed = EDGE.sign("shield", method="GET", target="/a", now=CLOCK.wall())
        told = {FIELDS: heard} if heard else {}
        return await self.shield.get("/a", **{NODE.replace("-", "_"): signed}, **told)


@contextlib.asynccontextmanager
async def _pair(tmp_path: Path, *, fast_lane: bool = True, held: asyncio.Event | None = None) -> AsyncIterator[Pair]:
    content = [b"old"]

    async def serve(call: Call) -> None:
        body = content[0]
        if held is not None and body == b"old":
            await held.wait()
        etag = f'"{body.decode()}"'
        if call.field("If-None-Match") == etag:
            await call.send(head(304, ETag=etag, Cache_Control="max-age=60"))
        else:
            await call.answer(body, ETag=etag, Cache_Control="max-age=60, stale-if-error=600")

    told = Told()
    tier = ShieldTier(issue(FLEET, "shield-1", "shield"), purges=Generations(told.fd))
    async with (
        upstream(serve) as origin,
        node(tmp_path, origin.url, tier=tier, fast_lane=fast_lane, name="shield") as shield,
    ):
        yield Pair(shield, origin, told, content)
    told.close()


@pytest.mark.parametrize("fast_lane", [True, False])
async def test_what_is_stored_serves_no_edge_that_knows_of_a_later_purge(tmp_path: Path, fast_lane: bool) -> None:
    async with _pair(tmp_path, fast_lane=fast_lane) as pair:
        pair.says(at(6))
        assert (await pair.get(at(6))).body == b"old"
        await pair.shield.ended("filled")
        assert (await pair.get(at(6))).body == (await pair.get()).body == b"old"
        assert len(pair.origin.calls) == 1
        pair.content[0] = b"new"
        got = await pair.get(at(7))
        assert (got.body, got.field("Cache-Status")) == (b"new", "shield; fwd=request; fwd-status=200; stored")
        assert pair.origin.calls[1].field("If-None-Match") == '"old"'
        await pair.shield.ended("filled", 2)
        confirmed = await pair.get(at(7))
        assert (confirmed.body, confirmed.field("Cache-Status")) == (b"new", "shield; fwd=request; fwd-status=304")
        pair.says(at(7))
        assert (await pair.get(at(7))).body == b"new"
        assert len(pair.origin.calls) == 3
        assert {call.field(FIELD) for call in pair.origin.calls} == {None}, "origin is told nothing of it"


async def test_a_fill_that_began_before_is_not_joined_and_does_not_serve_later(tmp_path: Path) -> None:
    """The old answer is still on its way when the edge that knows better asks; it even comes in last."""
    held = asyncio.Event()
    async with _pair(tmp_path, held=held) as pair:
        pair.says(at(6))
        before = asyncio.ensure_future(pair.get(at(6)))
        await pair.origin.called(1)
        pair.content[0] = b"new"
        try:
            assert (await pair.get(at(7))).body == b"new"
            await pair.shield.ended("filled")
        finally:
            held.set()
        assert (await before).body == b"old"
        await pair.shield.ended("filled", 2)
        assert (await pair.get(at(7))).body == b"new"


async def test_those_who_know_the_same_wait_for_one_fill(tmp_path: Path) -> None:
    held = asyncio.Event()
    async with _pair(tmp_path, held=held) as pair:
        pair.says(at(6))
        both = [asyncio.ensure_future(pair.get(at(7))) for _ in range(2)]
        await pair.origin.called(1)
        await until(lambda: pair.shield.count("waiting") == 1)
        held.set()
        assert [(await each).body for each in both] == [b"old", b"old"]
        assert len(pair.origin.calls) == 1


async def test_what_another_worker_brought_in_before_is_no_answer_either(tmp_path: Path) -> None:
    """It is newer than what this worker knows, and older than the purge."""
    clock, told, content = ManualClock(), Told(), [b"first"]

    async def serve(call: Call) -> None:
        await call.answer(content[0], Cache_Control="max-age=60", Date=dates.render(clock.wall()))

    def asked(heard: int) -> dict[str, str]:
        return {"Headrace_Node": EDGE.sign("shield", method="GET", target="/a", now=clock.wall()), FIELDS: at(heard)}

    tier = ShieldTier(issue(FLEET, "shield-1", "shield"), purges=Generations(told.fd))
    told.put(at(6), at(6))
    async with upstream(serve) as origin, workers(tmp_path, origin.url, clock=clock, tier=tier) as (one, two, _):
        assert (await one.get("/a", **asked(6))).body == b"first"
        await one.ended("filled")
        assert (await two.get("/a", **asked(6))).body == b"first"
        clock.advance(61)
        content[0] = b"before"
        assert (await one.get("/a", **asked(6))).body == b"before"
        await one.ended("filled", 2)
        content[0] = b"after"
        assert (await two.get("/a", **asked(7))).body == b"after"
    told.close()


async def test_no_stale_answer_stands_in_for_one_that_was_purged(tmp_path: Path) -> None:
    """Its stale-if-error is no leave: who asks knows that it is gone."""
    async with _pair(tmp_path) as pair:
        pair.says(at(6))
        await pair.get(at(6))
        await pair.shield.ended("filled")

        async def dies(call: Call) -> None:
            call.die()

        pair.origin.script = dies
        assert (await pair.get(at(7))).status == 502
        assert (await pair.get(at(6))).body == b"old"


async def test_an_edge_says_with_its_fills_what_it_has_heard(tmp_path: Path) -> None:
    """The whole way: the viewer of an edge that has done the purge gets what origin has now."""
    told = Told()
    sign = signer(EDGE, CLOCK, Generations(told.fd))
    async with _pair(tmp_path / "shield") as pair:
        pair.says(at(6))
        url = f"http://127.0.0.1:{pair.shield.port}"
        async with node(tmp_path / "one", url, role=Role(OpenTier(), (url,), sign=sign)) as edge:
            assert (await edge.get("/a")).body == b"old"
        await pair.shield.ended("filled")
        pair.content[0] = b"new"
        told.put(at(7), at(7))
        async with node(tmp_path / "another", url, role=Role(OpenTier(), (url,), sign=sign)) as edge:
            assert (await edge.get("/a")).body == b"new"
    told.close()


def test_no_viewer_can_send_a_shield_to_its_origin() -> None:
    tier = TokenTier(Verifier(Keys({}, None)))
    assert tier.forwarded(((FIELD, at(9)), ("Accept", "*/*"))) == (("Accept", "*/*"),)
