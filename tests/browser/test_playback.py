"""Real headless Chromium plays the demo's clip through an edge: issue 'Backbone', Must show; PLY-01."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.support.browser import chromium
from tests.support.installation import Installation

pytestmark = pytest.mark.browser

PLAY_S = 10.0
VIDEO = "document.querySelector('video')"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


async def _play(browser: Browser, running: Installation, kind: str) -> dict[str, Any]:
    """Open the watch page, choose how to play, play PLAY_S seconds; what the page says of itself at the end."""
    page = await browser.new_page(viewport={"width": 640, "height": 800})
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if not _ours(request.url) else None)
    await page.goto(running.line["player"])
    await page.check(f"input[value='{kind}']", force=True)
    await _until(page, f"window.headrace.player === '{kind}' && window.headrace.edge && {VIDEO}.currentTime > 0.1", 20)
    await page.evaluate(f"{VIDEO}.playbackRate = 2")
    begun = await page.evaluate(f"{VIDEO}.currentTime")
    await _until(page, f"{VIDEO}.currentTime > {begun + PLAY_S}", 30)
    state = await _state(page)
    await page.close()
    assert outside == []
    return state


async def _until(page: Page, condition: str, within_s: float) -> None:
    """Poll by evaluate: the page's own policy forbids what wait_for_function does."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not await page.evaluate(condition):
        assert asyncio.get_running_loop().time() < deadline, (
            f"not within {within_s} s: {condition}; {await _state(page)}"
        )
        await asyncio.sleep(0.1)


async def _state(page: Page) -> dict[str, Any]:
    return dict(
        await page.evaluate(
            f"""() => {{
                const video = {VIDEO};
                const shown = [...video.textTracks].filter((track) => track.mode === 'showing').length;
                const total = video.getVideoPlaybackQuality().totalVideoFrames;
                return {{...window.headrace, src: video.currentSrc, shown, total}};
            }}"""
        )
    )


def _ours(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "blob:", "data:"))


async def test_hls_and_dash_play_ten_seconds_through_an_edge(browser: Browser, running: Installation) -> None:
    """hls.js by HLS, Shaka by HLS and by DASH, dash.js by DASH, side by side; never the browser's own HLS."""
    kinds = {"hls.js": "hls", "shaka-hls": "hls", "shaka-dash": "dash", "dash.js": "dash"}
    states = await asyncio.gather(*(_play(browser, running, kind) for kind in kinds))
    edges = {edge["url"].removeprefix("http://") for edge in running.line["edges"]}
    for (kind, format_), state in zip(kinds.items(), states, strict=True):
        assert (state["player"], state["format"]) == (kind, format_)
        assert state["error"] is None, (kind, state)
        assert state["total"] > 60, (kind, state)
        assert state["frames"]["decoded"] > 60, (kind, state)
        assert state["edge"] in edges, (kind, state)
        assert state["cacheStatus"].rpartition(", ")[2].startswith("edge-"), (kind, state)
        assert state["rung"]["height"] in (240, 360), (kind, state)
        assert state["src"].startswith("blob:"), (kind, state)
        assert state["shown"] == 0, f"{kind}: subtitles are off, yet a track shows"


async def test_the_console_shows_every_node(browser: Browser, running: Installation) -> None:
    page = await browser.new_page(viewport={"width": 360, "height": 700})
    await page.goto(running.line["console"])
    for node in [*running.line["edges"], *running.line["shields"]]:
        await page.get_by_text(node["id"], exact=True).first.wait_for(timeout=5_000)  # among what players saw too
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wider)
    await page.close()
