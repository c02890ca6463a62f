"""`headrace ingest`: bring a master into a running installation, with progress."""

import asyncio
import json
import os
import re
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.client import Master, Origin, Rejected, Running
from headrace.up.show import Show
from kit.errors import HeadraceError, SettingsError

_POLL_S = 0.5
_UNATTENDED_S = 10.0
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class Unattended(HeadraceError):
    """Nobody works on the job that is waited for."""

    kind = "unattended"
    retry = True


class Attendance:
    """Whether somebody works on a job."""

    def __init__(self, content_id: str, patience_s: float) -> None:
        self._content_id, self._patience_s = content_id, patience_s
        self._since: float | None = None

    def seen(self, state: dict[str, Any], now: float) -> None:
        """What origin says of the job at `now` (monotonic seconds). Unattended when no worker has lived for
        `patience_s`."""
        if state.get("worker") is not False:
            self._since = None
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= self._patience_s:
            raise Unattended(
                f"no ingest worker has lived for {self._patience_s:.0f} s: `{self._content_id}` waits for one "
                "(is `headrace up` running?)"
            )


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("ingest")(ingest)


def ingest(
    file: Annotated[Path, typer.Argument(help="The master: a film file.")],
    title: Annotated[str | None, typer.Option(help="Title shown to viewers; default: the file's name.")] = None,
    profile: Annotated[str | None, typer.Option(help="Service profile: ladder and packaging.")] = None,
    content_id: Annotated[str | None, typer.Option("--id", help="Content id; default: from the title.")] = None,
    subtitles: Annotated[
        list[str] | None, typer.Option("--subtitles", help="LANGUAGE=FILE.vtt, as often as there are.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Stay until it is ready.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line on standard output.")] = False,
    at: Annotated[Path | None, typer.Option(help="The installation's run.json.")] = None,
) -> None:
    """Bring a film in: probe, encode every rung, package for HLS and DASH, verify, publish.

    Without a worker it gives up after 10 s; the job stays queued, and the same command goes on with it later.

    Example: headrace ingest film.mp4 --title "The Film" --profile ott --subtitles en=film.en.vtt
    """
    files = [_subtitle(each) for each in subtitles or []]
    running = Running.read(at)
    check_readable(file)
    master = Master(file, title or file.stem, content_id, tuple(files))
    result = asyncio.run(_ingest(running, master, profile, wait=wait, quiet=as_json and not sys.stderr.isatty()))
    if as_json:
        print(json.dumps(result))


async def _ingest(running: Running, master: Master, profile: str | None, *, wait: bool, quiet: bool) -> dict[str, Any]:
    with Show(quiet=quiet) as show:
        async with Origin(running.line["origin"], running.token) as origin:
            step = show.step(master.title)
            show.update(step, 0.0, "sending")
            submitted = await origin.ingest(master, profile)
            if not wait:
                return {"contentId": submitted["contentId"], "version": submitted["version"], "state": "queued"}
            name = submitted["contentId"]
            attendance = Attendance(name, _UNATTENDED_S)

            def progress(state: dict[str, Any]) -> None:
                show.update(step, float(state.get("progress") or 0), _note(state))
                attendance.seen(state, time.monotonic())

            await follow(origin, name, progress)
            show.update(step, 1.0, "ready")
            found = await origin.get(f"/api/v1/titles/{name}")
    return {
        "contentId": name,
        "version": found["version"],
        "state": found["ingest"]["state"],
        "hls": found["hls"],
        "dash": found["dash"],
        "rungs": [{key: rung[key] for key in ("height", "width", "codec", "kbps")} for rung in found["rungs"]],
    }


async def follow(origin: Origin, content_id: str, progress: Callable[[dict[str, Any]], None]) -> None:
    """Poll until the newest version is ready; Rejected with the reason when it failed."""
    while True:
        state = await origin.get(f"/api/v1/ingest/{content_id}")
        if state["state"] == "failed":
            raise Rejected(f"ingest failed: {state['detail']}")
        progress(state)
        if state["state"] == "ready":
            return
        await asyncio.sleep(_POLL_S)


def check_readable(file: Path) -> None:
    """SettingsError unless `file` is a plain file that can be read: a pipe or a device may never end."""
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise SettingsError(f"{file}: not a plain file")
    finally:
        os.close(opened)


def _note(state: dict[str, Any]) -> str:
    if state.get("worker") is False:
        return f"{state['state']}, no ingest worker lives"
    return f"{state['state']} {state.get('detail') or ''}".strip()


def _subtitle(text: str) -> tuple[str, Path]:
    language, _, name = text.partition("=")
    if not _LANGUAGE.fullmatch(language) or not Path(name).is_file():
        raise SettingsError(f"--subtitles {text}: give LANGUAGE=FILE, as en=film.en.vtt")
    return language, Path(name)
