"""What an edge sees of viewers that leave: a round trip for each, however the connection ended (CTL-03)."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from edge.admit.open import OpenTier
from edge.beacon.watch import EdgeWatch
from kit.post import Post, Sender
from proxy.host.worker import Role
from tests.support.certificates import Authority, Files
from tests.support.nodes import Node, node
from tests.support.secure import speaks
from tests.support.upstream import Call, upstream
from tests.support.watch import edge_watch
from tests.support.wire import until, viewer


async def _script(call: Call) -> None:
    await call.answer(b"small", Cache_Control="public, max-age=60")


@contextlib.asynccontextmanager
async def watched(tmp_path: Path, **changes: object) -> AsyncIterator[tuple[Node, EdgeWatch, list[bytes]]]:
    """An edge, its watch, and what a supervisor was told when it ended."""
    watch, told = edge_watch(), list[bytes]()
    async with upstream(_script) as origin:
        with contextlib.closing(Post()) as post, contextlib.closing(Sender(post.fd)) as sender:
            post.listen(told.append)
            role = Role(OpenTier(), (origin.url,), watch=lambda _: watch)
            async with node(tmp_path / "cache", origin.url, role=role, post=sender, **changes) as edge:  # type: ignore[arg-type]
                yield edge, watch, told
            await until(lambda: told, "a last note")


def _count(watch: EdgeWatch, told: list[bytes]) -> int:
    """Connections seen, told of or not."""
    if (note := watch.note()) is not None:
        told.append(note)
    return sum(count for note in told for _, _, count in orjson.loads(note)["trips"])


@pytest.mark.parametrize("fast_lane", [True, False])
async def test_every_ending_tells_a_round_trip(tmp_path: Path, fast_lane: bool) -> None:
    async with watched(tmp_path, fast_lane=fast_lane) as (edge, watch, told):
        await edge.get("/a", Connection="close")
        async with viewer(edge.port) as each:
            await each.ask("/a")
            await each.answer()
            each.leave()
        async with viewer(edge.port) as each:
            await each.ask("/a")
            await each.answer()
            each.writer.write_eof()
            await each.rest()
        await until(lambda: _count(watch, told) == 3, "three connections")
        trips = [trip for note in told for trip in orjson.loads(note)["trips"]]
        assert {network for network, _, _ in trips} == {"127.0.0.0/24"}
        assert all(0 < ms < 5000 for _, ms, _ in trips)
        async with viewer(edge.port) as each:
            await each.ask("/a")
            await each.answer()


async def test_under_tls_too(tmp_path: Path, authority: Authority, pair: Files) -> None:
    async with watched(tmp_path, tls=[pair.setting]) as (edge, watch, told):
        async with speaks(edge, authority) as each:
            await each.ask("/a")
            await each.answer()
        await until(lambda: _count(watch, told) >= 1, "a connection")
        async with speaks(edge, authority) as each:
            await each.ask("/a")
            await each.answer()
