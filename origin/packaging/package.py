"""Package encoded tracks into a folder and write its manifests. Start here."""

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from origin.contract.urls import MASTER_DASH, MASTER_HLS
from origin.packaging import dash, hls, packager
from origin.packaging.media import Media, measure, measure_text
from origin.transcode.child import Bounds, check

_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".vtt": "text/vtt",
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to package and how: `tracks` in the order of the manifests, the first sound is the default one."""

    tracks: list[packager.Track]
    fps: Fraction
    segment_s: Fraction
    start_kbps: int


async def package(plan: Plan, out: Path) -> hls.Title:
    """Segments and manifests of `plan` into the empty folder `out`. ToolFailed, or ValueError for senseless bytes."""
    await check(packager.command(plan.tracks, out, plan.segment_s), Bounds(wall_s=1800), cwd=out)
    return await asyncio.to_thread(_finish, plan, out)


def measured(plan: Plan, out: Path) -> hls.Title:
    """What lies packaged in `out`, from its bytes."""
    medias = {track.name: _measure(track, out, plan.segment_s) for track in plan.tracks}

    def all_of(kind: str, *, wvtt: bool = False) -> tuple[Media, ...]:
        return tuple(medias[each.name] for each in plan.tracks if each.kind == kind and each.wvtt == wvtt)

    return hls.Title(
        video=all_of("video"),
        audio=all_of("audio"),
        text=all_of("text"),
        wvtt=all_of("text", wvtt=True),
        fps=plan.fps,
        segment_s=plan.segment_s,
        start_kbps=plan.start_kbps,
    )


def content_type(name: str) -> str:
    """The media type of a published file by its name below the version."""
    if name.startswith("a_"):
        return _TYPES[Path(name).suffix].replace("video/mp4", "audio/mp4")
    return "application/mp4" if name.startswith("td_") else _TYPES[Path(name).suffix]


def _finish(plan: Plan, out: Path) -> hls.Title:
    title = measured(plan, out)
    for media in (*title.video, *title.audio, *title.text):
        (out / f"{media.name}.m3u8").write_text(hls.playlist(media))
    (out / MASTER_HLS).write_text(hls.master(title))
    (out / MASTER_DASH).write_bytes(dash.manifest(title))
    return title


def _measure(track: packager.Track, out: Path, segment_s: Fraction) -> Media:
    if track.kind == "text" and not track.wvtt:
        return measure_text(out, track.name, track.language, segment_s)
    return measure(out, track.name, track.kind, track.language, kbps=track.kbps, channels=track.channels)
