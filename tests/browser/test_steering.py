"""Real players move to another edge in the middle of play: issue 5, Must show. hls.js, Shaka (HLS, DASH), dash.js.

All at once through one edge of a whole installation, which is killed, or stopped in good order.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Request

from tests.support.browser import chromium
from tests.support.clips import clip
from tests.support.installation import Installation, installation

pytestmark = pytest.mark.browser

KINDS = ("hls.js", "shaka-hls", "shaka-dash", "dash.js")
TTL_S = 5
GRACE_S = 5
"""Four browsers' players and an installation share the machine's cores."""
CLIP_S = 75.0
STALL_MS = 500.0
SHORT_BUFFER = """
Object.defineProperty(window, "Hls", {
  get() { return this.theirs; },
  set(found) {
    Object.assign(found.DefaultConfig, { maxBufferLength: 8, maxMaxBufferLength: 8 });
    this.theirs = found;
  },
});
"""
"""hls.js would have the whole clip before anything can happen to it."""
WATCH = """() => {
  const video = document.querySelector("video");
  const seen = (window.seen = { worst: 0, at: 0 });
  let [last, time, still] = [performance.now(), video.currentTime, 0];
  setInterval(() => {
    const now = performance.now();
    if (video.currentTime !== time || video.ended) still = 0;
    else if (now - last < 100) still += now - last; // a page that gets no CPU does not see what play does
    if (still > seen.worst) Object.assign(seen, { worst: still, at: time });
    [last, time] = [now, video.currentTime];
  }, 20);
}"""
STATE = """() => {
  const video = document.querySelector("video");
  const ends = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0;
  return { ...window.headrace, time: video.currentTime, ended: video.ended, ends, ...window.seen };
}"""


class Watching:
    """A page that plays, and what it asks for."""

    def __init__(self, kind: str, page: Page) -> None:
        self.kind, self.page = kind, page
        self.masters = self.polls = 0
        page.on("request", self._asked)

    async def state(self) -> dict[str, Any]:
        return dict(await self.page.evaluate(STATE))

    def _asked(self, request: Request) -> None:
        path = urlsplit(request.url).path
        self.masters += path.endswith(("/master.m3u8", "/manifest.mpd"))
        self.polls += path.startswith("/steer/")


@pytest.fixture(scope="module")
def steered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose players ask for steering every five seconds, with a clip long enough."""
    folder = tmp_path_factory.mktemp("steered")
    film = clip(folder / "film.mp4", seconds=CLIP_S)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_CONTROL_STEER_CALM_TTL_S", str(TTL_S))
        with installation(folder / "state", media=film) as up:
            yield up


@asynccontextmanager
async def playing(running: Installation) -> AsyncIterator[list[Watching]]:
    """Every player, playing the same title through the same edge at twice the pace, four seconds in."""
    async with chromium() as browser:
        pages = [await _open(browser, running, kind) for kind in KINDS]
        for each in pages:
            await _until(each, lambda state: state["time"] > 4, 40)
            await each.page.evaluate(WATCH)
        for each in pages:  # only now: the first one shall not be at the end of the clip when the last one begins
            await each.page.evaluate("document.querySelector('video').playbackRate = 2")
        yield pages


async def _open(browser: Browser, running: Installation, kind: str) -> Watching:
    watching = Watching(kind, await browser.new_page(viewport={"width": 320, "height": 600}))
    await watching.page.add_init_script(SHORT_BUFFER)
    await watching.page.goto(f"{running.line['player']}?player={kind}")
    await _until(watching, lambda state: state["time"] > 0.1, 40)
    return watching


async def _until(watching: Watching, condition: Any, within_s: float) -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition(state := await watching.state()):
        assert state["error"] is None, (watching.kind, state)
        assert asyncio.get_running_loop().time() < deadline, (watching.kind, state)
        await asyncio.sleep(0.1)
    return state


def _edge(running: Installation, host: str) -> dict[str, Any]:
    return next(dict(edge) for edge in running.line["edges"] if urlsplit(edge["url"]).netloc == host)


async def _drains(running: Installation, edge: str) -> None:
    """The edge acknowledged; control steers by what its next heartbeat says."""
    path = ("nodes", "show", edge, "--at", str(running.run_file), "--json")
    deadline = asyncio.get_running_loop().time() + 20
    while (told := json.loads((await asyncio.to_thread(running.headrace, *path)).stdout))["state"] != "draining":
        assert asyncio.get_running_loop().time() < deadline, told


async def _go_on_elsewhere(pages: list[Watching], left: str, within_s: float) -> None:
    """Every player plays beyond what it had, from another edge, without a stall, an error or a reload."""
    before = {each.kind: (await each.state(), each.masters) for each in pages}
    for each in pages:
        had, masters = before[each.kind]
        beyond = min(had["ends"] + 1, CLIP_S - 1)
        state = await _until(each, lambda now, beyond=beyond: now["time"] > beyond, within_s)
        assert state["edge"] != left, (each.kind, state)
        assert state["worst"] < STALL_MS, (each.kind, state)
        assert each.masters == masters == 1, (each.kind, "asked for its master again")


async def test_a_drained_edge_loses_its_sessions_to_others_and_none_to_nobody(steered: Installation) -> None:
    """Within one TTL every player is told, and asks another edge for its next segment; the drained one serves on."""
    async with playing(steered) as pages:
        (host,) = {(await each.state())["edge"] for each in pages}
        edge = _edge(steered, host)
        done = await asyncio.to_thread(steered.headrace, "drain", edge["id"], "--at", str(steered.run_file))
        assert done.returncode == 0, done.stderr
        try:
            await _drains(steered, edge["id"])
            polls = [each.polls for each in pages]
            for each, before in zip(pages, polls, strict=True):
                await _until(each, lambda _, each=each, before=before: each.polls > before, TTL_S + GRACE_S)
            for each in pages:
                await _until(each, lambda now: now["edge"] != host, TTL_S + GRACE_S)
            await _go_on_elsewhere(pages, host, 60)
        finally:
            await asyncio.to_thread(steered.headrace, "drain", edge["id"], "--undo", "--at", str(steered.run_file))


async def test_an_edge_is_killed_and_play_goes_on_from_another(steered: Installation) -> None:
    async with playing(steered) as pages:
        (host,) = {(await each.state())["edge"] for each in pages}
        os.kill(_edge(steered, host)["pid"], signal.SIGKILL)
        await _go_on_elsewhere(pages, host, 60)


async def test_an_edge_that_is_stopped_loses_no_session(steered: Installation) -> None:
    """Its farewell takes it out of the map: within one TTL every player knows, whatever its requests met."""
    async with playing(steered) as pages:
        (host,) = {(await each.state())["edge"] for each in pages}
        os.kill(_edge(steered, host)["pid"], signal.SIGTERM)
        polls = [each.polls for each in pages]
        for each, before in zip(pages, polls, strict=True):
            await _until(each, lambda _, each=each, before=before: each.polls > before, 3 * TTL_S)
        await _go_on_elsewhere(pages, host, 60)
