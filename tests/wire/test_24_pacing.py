"""Pacing by class of content (issue 4, part 2): what the kernel is told, how seldom, and that it holds."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from configs.schema.node import PacingSettings
from proxy.serve.classes import CLASSES
from proxy.serve.pacing import UNPACED
from tests.support.certificates import Authority, Files
from tests.support.nodes import Node, node
from tests.support.secure import speaks
from tests.support.upstream import Call, upstream
from tests.support.wire import Viewer, until, viewer

DAY = "public, max-age=86400"
HUGE = os.urandom(16 * 2**20)
TYPES = {"m3u8": "application/x-mpegurl", "mp4": "video/mp4", "jpg": "image/jpeg"}
RATES = {"video": "80Mbit/s", "playlist": 8_000_000}
LANES = pytest.mark.parametrize("fast_lane", [True, False], ids=["lane", "aiohttp"])


async def _bodies(call: Call) -> None:
    body = HUGE if call.target.startswith("/huge") else b"small"
    await call.answer(body, Cache_Control=DAY, ETag='"1"', Content_Type=TYPES[call.target.rpartition(".")[2]])


@contextlib.asynccontextmanager
async def paced(tmp_path: Path, rates: dict[str, object], **changes: object) -> AsyncIterator[Node]:
    """An edge with these rates."""
    async with (
        upstream(_bodies) as origin,
        node(tmp_path / "cache", origin.url, pacing=rates, **changes) as edge,  # type: ignore[arg-type]
    ):
        yield edge


def rates_of(edge: Node) -> list[int]:
    """What the kernel was told of each open connection, in bytes a second."""
    sockets = [each.transport.get_extra_info("socket") for each in edge.server.connections]  # type: ignore[attr-defined]
    return [struct.unpack("I", each.getsockopt(socket.SOL_SOCKET, 47, 4))[0] for each in sockets]


def changes(edge: Node) -> dict[str, int]:
    """How often a connection's pace was set, by class, where it was."""
    counted = {each: edge.count("pace_changes_total", each) for each in CLASSES}
    return {each: count for each, count in counted.items() if count}


async def _play(each: Viewer, edge: Node) -> list[int]:
    """The rate after each of a viewer's answers; a miss first, then hits."""
    seen = []
    for target in ("/a.mp4", "/a.mp4", "/b.mp4", "/b.mp4", "/a.m3u8", "/a.m3u8", "/a.jpg", "/a.jpg", "/a.mp4"):
        await each.ask(target)
        assert (await each.answer()).body == b"small"
        await edge.settled()
        seen += rates_of(edge)
    return seen


MB = 10_000_000
PLAYED = [MB, MB, MB, MB, MB // 10, MB // 10, UNPACED, UNPACED, MB]


@LANES
async def test_the_kernel_is_told_when_the_class_changes_and_only_then(tmp_path: Path, fast_lane: bool) -> None:
    async with paced(tmp_path, RATES, fast_lane=fast_lane) as edge, viewer(edge.port) as each:
        assert await _play(each, edge) == PLAYED
        assert changes(edge) == {"video": 2, "playlist": 1, "image": 1}
        assert (edge.count("lane_total", "fast") > 0) is fast_lane


async def test_under_tls_too(tmp_path: Path, authority: Authority, pair: Files) -> None:
    async with paced(tmp_path, RATES, tls=[pair.setting]) as edge, speaks(edge, authority) as each:
        assert await _play(each, edge) == PLAYED
        assert changes(edge) == {"video": 2, "playlist": 1, "image": 1}


async def test_by_default_nothing_is_paced(tmp_path: Path) -> None:
    async with paced(tmp_path, {}) as edge, viewer(edge.port) as each:
        assert set(await _play(each, edge)) == {UNPACED}
        assert changes(edge) == {}
        assert type(next(iter(edge.server.connections))).__name__ == "FastConnection"


@LANES
async def test_a_pace_holds_for_its_class_alone(tmp_path: Path, fast_lane: bool) -> None:
    """Told by bytes, not by a clock: at a megabyte a second half of sixteen is not there when an unpaced viewer that
    later has all of it three times over."""
    async with paced(tmp_path, {"video": "8Mbit/s"}, fast_lane=fast_lane) as edge:
        for target in ("/huge.jpg", "/small.mp4"):
            await edge.get(target)
        await edge.settled()
        async with viewer(edge.port) as slow:
            await slow.ask("/huge.mp4")
            await slow.head()
            got = 0

            async def read() -> None:
                nonlocal got
                while piece := await slow.reader.read(65_536):
                    got += len(piece)

            reading = asyncio.create_task(read())
            for _ in range(3):
                assert (await edge.get("/huge.jpg")).body == HUGE
            assert got < len(HUGE) // 2
            before = got
            await until(lambda: got > before, "the paced viewer goes on")
            reading.cancel()


def test_the_settings_name_the_classes() -> None:
    assert tuple(PacingSettings.model_fields) == CLASSES
    assert PacingSettings().rates == {}
    assert PacingSettings.model_validate({"video": "25 Mbit/s", "other": 10**6}).rates == {
        "video": 25_000_000,
        "other": 10**6,
    }


@pytest.mark.parametrize("value", ["25", "999kbit/s", "11Gbit/s", "1 MB/s", -1, 0])
def test_a_rate_has_bounds_and_units(value: object) -> None:
    with pytest.raises(ValidationError, match="video"):
        PacingSettings.model_validate({"video": value})
