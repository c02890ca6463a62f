"""Bring an installation up, keep it, take it down."""

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from configs.schema.topology import Topology
from headrace.client import Master, Origin, Rejected
from headrace.ingest import follow
from headrace.up import layout as layouts
from headrace.up.children import Child, ChildFailed, Children, last_words, until_ready
from headrace.up.claim import claimed
from headrace.up.layout import Layout, url
from headrace.up.redis import OwnRedis
from headrace.up.show import Show
from kit.errors import HeadraceError, UpstreamFailed
from kit.service import stop_signal
from origin.ingest.demo import CONTENT_ID, TITLE, demo_master, demo_subtitles

_START_S = 60.0
_PLAYABLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    state: Path
    topology: Topology
    profile: str = "demo"
    media: Path | None = None
    redis_url: str | None = None
    players: Path | None = None
    as_json: bool = False


async def up(options: Options) -> None:
    """Everything up, one title ready, the ready line out; then until SIGTERM or Ctrl-C; then drained, at a second
    one killed.

    ChildFailed when a process does not serve; Rejected when the media is refused; SettingsError when the state
    directory is no use or another's.
    """
    stop = stop_signal()
    layout = Layout(options.state.resolve())
    with claimed(layout.root):
        layout.run_file.unlink(missing_ok=True)  # of a run that was killed: nothing runs there
        await _up(options, layout, stop)


async def _up(options: Options, layout: Layout, stop: asyncio.Event) -> None:
    children = Children()
    redis = OwnRedis(layout.root) if options.redis_url is None else None
    try:
        bringing = asyncio.ensure_future(_bring_up(options, layout, children, redis))
        waiting = asyncio.ensure_future(stop.wait())
        await asyncio.wait({bringing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not bringing.done():
            bringing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await bringing
            await _keep(children, waiting)
    finally:
        layout.run_file.unlink(missing_ok=True)
        for number in (signal.SIGTERM, signal.SIGINT):  # told twice: whoever asked waits no longer
            asyncio.get_running_loop().add_signal_handler(number, children.kill)
        await children.stop()
        if redis:
            redis.close()


async def _bring_up(options: Options, layout: Layout, children: Children, redis: OwnRedis | None) -> None:
    with Show(quiet=options.as_json and not sys.stderr.isatty()) as show:
        redis_url = redis.url if redis else options.redis_url
        step = show.step("keys and settings")
        layouts.prepare(layout, options.topology, redis_url=redis_url, players=options.players, profile=options.profile)
        show.update(step, 1.0)
        step = show.step("processes")
        if redis:
            await redis.start(children, layout.log("redis"))
        nodes = await _start_all(options.topology, layout, children, lambda part: show.update(step, part))
        token = layout.operator_token.read_text().strip()
        async with Origin(url(options.topology.api), token) as origin:
            content_id = await _title(options, layout, origin, show, children)
            step = show.step("edges known to control")
            session = await _playable(origin, content_id)
            show.update(step, 1.0)
    line = _ready_line(options.topology, nodes, content_id, session)
    _write_run_file(layout, line)
    if options.as_json:
        print(json.dumps(line), flush=True)
    else:
        notes = [] if redis_url else ["no redis-server here: control keeps the map in its own process"]
        show.summary(line, state=layout.root, notes=notes)


async def _start_all(topology: Topology, layout: Layout, children: Children, progress: Any) -> dict[str, Child]:
    """Every process at once; the worker last, since the API brings the catalog up to date."""
    api = await _start(layout, children, "origin", "origin", "serve", flag="--port-file")
    started = {"origin": api, "control": await _start(layout, children, "control", "control")}
    for shield in topology.shields:
        started[shield.id] = await _start(layout, children, shield.id, "shield")
    for edge in topology.edges:
        started[edge.id] = await _start(layout, children, edge.id, "edge")
    for done, (name, child) in enumerate(started.items(), start=1):
        await until_ready(child, layout.ready(name), _START_S)
        progress(done / len(started))
    await children.ours(
        "origin-worker", "origin", "worker", "--config", str(layout.settings("origin")), log=layout.log("origin-worker")
    )
    return started


async def _start(layout: Layout, children: Children, name: str, *command: str, flag: str = "--ready-file") -> Child:
    arguments = (*command, "--config", str(layout.settings(name)), flag, str(layout.ready(name)))
    return await children.ours(name, *arguments, log=layout.log(name))


async def _title(options: Options, layout: Layout, origin: Origin, show: Show, children: Children) -> str:
    """The id of a title that is ready: one from an earlier run, or the demo's, brought in now."""
    if options.media is None and await _ready(origin, CONTENT_ID):
        return CONTENT_ID
    step = show.step("the film")
    if options.media is None:
        show.update(step, 0.0, "preparing the demo clip")
        master = Master(await demo_master(layout.origin / "demo"), TITLE, CONTENT_ID, tuple(demo_subtitles()))
    else:
        master = Master(options.media, options.media.stem)
    submitted = await origin.ingest(master, options.profile)

    def progress(state: dict[str, Any]) -> None:
        children.check("origin-worker")  # nobody else brings the film in: without it this would wait for ever
        show.update(step, *_how_far(state))

    await follow(origin, submitted["contentId"], progress)
    show.update(step, 1.0)
    return str(submitted["contentId"])


def _how_far(state: dict[str, Any]) -> tuple[float, str]:
    return float(state.get("progress") or 0.0), f"{state['state']} {state.get('detail') or ''}".strip()


async def _ready(origin: Origin, content_id: str) -> bool:
    with contextlib.suppress(Rejected):
        return bool((await origin.get(f"/api/v1/titles/{content_id}"))["version"])
    return False


async def _playable(origin: Origin, content_id: str) -> dict[str, Any]:
    """A session for the title, once control knows an edge and the edge serves the master playlist."""
    deadline = asyncio.get_running_loop().time() + _PLAYABLE_S
    while True:
        try:
            session: dict[str, Any] = await origin.post("/api/v1/operator/playlist", {"contentId": content_id})
            await _fetch(session["manifestUrl"])
        except HeadraceError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise ChildFailed(f"no playable URL within {_PLAYABLE_S:.0f} s: {error}") from None
            await asyncio.sleep(0.1)
        else:
            return session


async def _fetch(address: str) -> None:
    timeout = aiohttp.ClientTimeout(total=10)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(address) as response:
            await response.read()
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamFailed(f"{address}: {error}") from None
    if response.status != 200:
        raise UpstreamFailed(f"the edge answered {response.status}")


def _ready_line(
    topology: Topology, nodes: dict[str, Child], content_id: str, session: dict[str, Any]
) -> dict[str, Any]:
    """What scripts read (contracts.md)."""
    return {
        "origin": url(topology.api),
        "control": url(topology.control),
        "player": f"{url(topology.api)}/watch/{content_id}",
        "console": url(topology.admin),
        "contentId": content_id,
        "playlist": session["manifestUrl"],
        "edges": [
            {"id": e.id, "region": e.region, "url": url(e.listen), "pid": nodes[e.id].pid} for e in topology.edges
        ],
        "shields": [
            {"id": s.id, "region": s.region, "url": url(s.listen), "pid": nodes[s.id].pid} for s in topology.shields
        ],
    }


def _write_run_file(layout: Layout, line: dict[str, Any]) -> None:
    part = layout.run_file.with_suffix(".part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(json.dumps(line) + "\n")
    part.replace(layout.run_file)


async def _keep(children: Children, stopped: "asyncio.Future[Any]") -> None:
    """Until told to stop. A process that ends is told, and the rest goes on: that is what it is built for."""
    watching: dict[asyncio.Future[Any], Child] = {
        asyncio.ensure_future(child.process.wait()): child for child in children.all
    }
    pending: set[asyncio.Future[Any]] = {stopped, *watching}
    while not stopped.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for ended in done - {stopped}:
            child = watching[ended]
            print(f"headrace: {child.name} ended with {ended.result()}: {last_words(child)}", file=sys.stderr)
    for each in pending:
        each.cancel()
