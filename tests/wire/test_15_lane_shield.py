"""The fast lane of a shield: a signature is checked every time, and both lanes say the same (issue 4, part 1)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from control.contract.credential import WINDOW_S, Credential, issue
from kit.clock import ManualClock
from proxy.http import dates
from shield.guard.tier import ShieldTier
from tests.support.nodes import node
from tests.support.upstream import Call, upstream
from tests.support.wire import viewer
from tests.wire.test_15_lane_differential import NAMES, TITLE, Pair, Speaker, Spoken, bare, same, same_counts, serve

FLEET = b"f" * 32
EDGE, STRANGER = issue(FLEET, "edge-1", "edge"), issue(b"o" * 32, "edge-1", "edge")
ODD = issue(FLEET, 'a"b\\c', "edge")
"""Its id is one that a log must escape."""


@asynccontextmanager
async def _shields(tmp_path: Path) -> AsyncIterator[Pair]:
    clock = ManualClock()

    async def origin(call: Call) -> None:
        call.date = dates.render(clock.wall())  # type: ignore[attr-defined]
        await serve(call)

    logs = tmp_path / "lane.log", tmp_path / "aiohttp.log"

    def settings(lane: bool, log: Path) -> dict[str, object]:
        return {
            "tier": ShieldTier(issue(FLEET, "shield-1", "shield")),
            "clock": clock,
            "name": "shield",
            "fast_lane": lane,
            "access_log": str(log),
            "store": {"memory_object": 10_000},
        }

    async with (
        upstream(origin) as source,
        node(tmp_path / "a", source.url, **settings(True, logs[0])) as one,  # type: ignore[arg-type]
        node(tmp_path / "b", source.url, **settings(False, logs[1])) as two,  # type: ignore[arg-type]
    ):
        yield Pair(clock, [], (one, two), logs)


class Edge(Speaker):
    """Makes up what edges, and strangers, ask of a shield."""

    def __init__(self, seed: int, clock: ManualClock) -> None:
        super().__init__(seed, ["x"])
        self._clock = clock

    def request(self, *, odd: bool) -> tuple[bytes, str]:
        """A signed request and its method."""
        del odd
        method = "GET" if self.random.random() < 0.95 else self.random.choice(("HEAD", "OPTIONS"))
        target = f"{TITLE}v1/{self.random.choice([*NAMES])}{self.random.choice(('', '', '', '?a=1', '?', '?CMCD=x'))}"
        lines = [f"{method} {target} HTTP/1.1", "Host: shield.test", "Via: 1.1 edge", *self._signatures(method, target)]
        lines.append(self.line("CDN-Loop", self.random.choice(("edge", "edge", "edge;x=y", "edge, shield"))))
        lines += self.random.sample(self.fields(), self.random.choice((0, 0, 1, 1, 2)))
        return ("\r\n".join(lines) + "\r\n\r\n").encode(), method

    def _signatures(self, method: str, target: str) -> list[str]:
        """Mostly one good one."""
        now, chance = self._clock.wall(), self.random.random()
        if chance > 0.2:
            return [self.signed(EDGE, method, target, now - self.random.choice((0, 1, WINDOW_S - 2)))]
        good, later = self.signed(EDGE, method, target, now), self.signed(EDGE, method, target, now - 1)
        return self.random.choice(
            (
                [],
                [good, good],
                [good, later],
                [good[:-1]],
                [good.replace("edge-1", "edge-2")],
                ["Headrace-Node: edge edge-1 1 AAAA"],
                [self.signed(ODD, method, target, now)],
                [self.signed(STRANGER, method, target, now)],
                [self.signed(EDGE, "POST", target, now)],
                [self.signed(EDGE, method, target + "x", now)],
                [self.signed(EDGE, method, target, now - WINDOW_S - 2)],
                [self.signed(EDGE, method, target, now + WINDOW_S + 2)],
            )
        )

    def signed(self, who: Credential, method: str, target: str, now: float) -> str:
        """The field line of a signature of that time."""
        return self.line("Headrace-Node", who.sign("shield", method=method, target=target, now=now))


async def _stock(pair: Pair, speaker: Edge) -> None:
    for name in [f"{name}{query}" for name in NAMES for query in ("", "?a=1")]:
        signed = speaker.signed(EDGE, "GET", f"{TITLE}v1/{name}", pair.clock.wall())
        data = f"GET {TITLE}v1/{name} HTTP/1.1\r\nHost: x\r\n{signed}\r\n\r\n".encode()
        await same(pair, Spoken(data, ["GET"]), [data])


async def _compare(tmp_path: Path, seed: int, connections: int) -> None:
    async with _shields(tmp_path) as pair:
        speaker = Edge(seed, pair.clock)
        for number in range(connections):
            if number % 50 == 0:
                pair.clock.advance(speaker.random.choice((0.3, 1, 5, 30, 400)))
                await _stock(pair, speaker)
            spoken = speaker.connection()
            await same(pair, spoken, [spoken.data] if spoken.whole else speaker.split(spoken.data))
        same_counts(*pair.edges)
    lines = [[bare(line) for line in log.read_bytes().splitlines()] for log in pair.logs]
    assert lines[0] == lines[1]


async def test_generated_requests_of_edges_get_the_same_answers_from_both_lanes(tmp_path: Path) -> None:
    await _compare(tmp_path, seed=4, connections=500)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_five_thousand_generated_requests_of_edges(tmp_path: Path, seed: int) -> None:
    await _compare(tmp_path, seed=1000 + seed, connections=1000)


async def test_a_signature_is_good_for_its_window_and_no_longer(tmp_path: Path) -> None:
    """D-19. What was admitted before is no proof: the same bytes are refused when their time is over."""
    async with _shields(tmp_path) as pair:
        lane, target = pair.edges[0], f"{TITLE}v1/small.m3u8"
        signed = EDGE.sign("shield", method="GET", target=target, now=pair.clock.wall())
        await lane.get(target, Headrace_Node=signed)
        await lane.settled()
        async with viewer(lane.port) as each:
            for passed, status in ((WINDOW_S - 1, 200), (0.5, 200), (2, 403), (100, 403)):
                pair.clock.advance(passed)
                await each.ask(target, Headrace_Node=signed)
                assert (await each.answer()).status == status
        assert lane.count("lane_total", "fast") == 2
        assert lane.count("refusals_total", "node_credential") == 2
