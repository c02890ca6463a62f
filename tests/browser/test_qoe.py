"""What real players tell of their play arrives at control while the film runs: issue 5, part 6."""

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Request

from tests.support.browser import chromium
from tests.support.installation import Installation

pytestmark = pytest.mark.browser

KINDS = ("hls.js", "shaka-hls", "shaka-dash", "dash.js")
WITHIN_S = 40.0


class Telling:
    """A page that plays, and how many of its requests to edges told something."""

    def __init__(self, page: Page, edges: list[str]) -> None:
        self.page, self.reports, self._edges = page, 0, tuple(edges)
        page.on("request", self._asked)

    def _asked(self, request: Request) -> None:
        self.reports += request.url.startswith(self._edges) and "CMCD=" in request.url


async def test_every_player_tells_and_control_hears(running: Installation) -> None:
    """CMCD in the query of each player's requests; votes with a bitrate by edge, by region and by network."""
    before = await _votes(running, "edge")
    async with chromium() as browser:
        pages = {kind: await _open(browser, running, kind) for kind in KINDS}
        deadline = asyncio.get_running_loop().time() + WITHIN_S
        while not (
            all(each.reports > 2 for each in pages.values()) and await _votes(running, "edge") >= before + len(KINDS)
        ):
            told = {kind: each.reports for kind, each in pages.items()}
            assert asyncio.get_running_loop().time() < deadline, (told, await _rows(running, "edge"))
            await asyncio.sleep(0.5)
    edges = {edge["id"] for edge in running.line["edges"]}
    rows = await _rows(running, "edge")
    assert {row["name"] for row in rows} <= edges
    assert all(row["kbps"] > 0 and row["throughputKbps"] > 0 for row in rows if row["votes"] > 1), rows
    assert [row["name"] for row in await _rows(running, "network")] == ["127.0.0.0/24"]
    assert {row["name"] for row in await _rows(running, "region")} <= {"west", "east"}


async def _open(browser: Browser, running: Installation, kind: str) -> Telling:
    page = await browser.new_page(viewport={"width": 320, "height": 600})
    telling = Telling(page, [edge["url"] for edge in running.line["edges"]])
    await page.goto(f"{running.line['player']}?player={kind}")
    return telling


async def _votes(running: Installation, by: str) -> float:
    return float(sum(row["votes"] for row in await _rows(running, by)))


async def _rows(running: Installation, by: str) -> list[dict[str, Any]]:
    arguments = ("qoe", "--by", by, "--at", str(running.run_file), "--json")
    done = await asyncio.to_thread(running.headrace, *arguments)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["rows"])
