"""What an edge says of the connection with each answer: CMSD-Dynamic, in both lanes, over TCP and TLS (CTA-5006)."""

from pathlib import Path
from typing import Any

import http_sf
import pytest

from edge.admit.open import OpenTier
from edge.beacon.cmsd import member
from kit.tcpinfo import TcpInfo
from proxy.host.worker import Role
from tests.support.certificates import Authority, Files
from tests.support.nodes import node
from tests.support.secure import speaks
from tests.support.upstream import Call, upstream
from tests.support.watch import edge_watch
from tests.support.wire import Answer, viewer

INFO = TcpInfo(rtt_ms=7.6, least_rtt_ms=5.0, delivery_kbps=25_400)


@pytest.mark.parametrize(
    ("info", "busy", "said"),
    [
        (INFO, 0.1, '"edge-1";etp=25400;rtt=8'),
        (TcpInfo(0.04, 0.01, 0), 0.89, '"edge-1";rtt=1'),
        (None, 0.0, '"edge-1"'),
        (INFO, 0.9, '"edge-1";etp=25400;rtt=8;mb=1200;du'),
    ],
)
def test_a_member_of_the_list(info: TcpInfo | None, busy: float, said: str) -> None:
    assert member("edge-1", info, busy, 1200) == said


def _said(answer: Answer) -> dict[str, Any]:
    """The parameters of our member, the last of the list."""
    text = ", ".join(answer.all("CMSD-Dynamic"))
    (value, parameters) = http_sf.parse(text.encode(), tltype="list")[-1]
    assert value == "edge-1"
    return dict(parameters)


async def _script(call: Call) -> None:
    more = {"CMSD_Dynamic": '"origin";rd=3'} if call.target == "/far" else {}
    kept = "no-store" if call.target == "/passed" else "public, max-age=60"
    await call.answer(b"x" * 5000, Cache_Control=kept, ETag='"1"', **more)


@pytest.mark.parametrize("fast_lane", [True, False])
async def test_every_answer_says_how_its_connection_is(tmp_path: Path, fast_lane: bool) -> None:
    watch = edge_watch(speaks=True, connections=95, most=100, mbps=950)
    async with upstream(_script) as origin:
        role = Role(OpenTier(), (origin.url,), watch=lambda _: watch)
        async with node(tmp_path / "cache", origin.url, role=role, fast_lane=fast_lane) as edge:
            await edge.get("/a")
            await edge.ended("filled")
            async with viewer(edge.port) as each:
                for target, more, status in (
                    ("/a", {}, 200),
                    ("/a", {"Range": "bytes=10-19"}, 206),
                    ("/a", {"If_None_Match": '"1"'}, 304),
                    ("/passed", {}, 200),
                    ("/far", {}, 200),
                    ("/a", {}, 200),
                ):
                    await each.ask(target, **more)
                    answer = await each.answer()
                    assert answer.status == status
                    said = _said(answer)
                    assert said["rtt"] >= 1
                    assert (said["mb"], said["du"]) == (10_000, True)
                    assert len(answer.all("CMSD-Dynamic")) == (2 if target == "/far" else 1)
            assert (edge.count("lane_total", "fast") > 0) is fast_lane


async def test_under_tls_too(tmp_path: Path, authority: Authority, pair: Files) -> None:
    watch = edge_watch(speaks=True)
    async with upstream(_script) as origin:
        role = Role(OpenTier(), (origin.url,), watch=lambda _: watch)
        async with (
            node(tmp_path / "cache", origin.url, role=role, tls=[pair.setting]) as edge,
            speaks(edge, authority) as each,
        ):
            for _ in range(3):
                await each.ask("/a")
                assert _said(await each.answer())["rtt"] >= 1


async def test_it_is_said_only_when_wanted(tmp_path: Path) -> None:
    async with upstream(_script) as origin:
        role = Role(OpenTier(), (origin.url,), watch=lambda _: edge_watch())
        async with node(tmp_path / "cache", origin.url, role=role) as edge:
            for _ in range(2):
                assert (await edge.get("/a")).all("CMSD-Dynamic") == []
                await edge.ended("filled")
