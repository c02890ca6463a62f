"""Shaka Packager's arguments: every track once, as CMAF segments; manifests are written by us."""

from dataclasses import dataclass
from fractions import Fraction
from os.path import relpath
from pathlib import Path

from origin.packaging.media import Kind
from origin.transcode import tools


@dataclass(frozen=True, slots=True)
class Track:
    """One encoded file and the folder that its segments go to. `wvtt`: text as fMP4 for DASH, else plain for HLS."""

    file: Path
    name: str
    kind: Kind
    language: str = "und"
    channels: int = 0
    kbps: int = 0
    wvtt: bool = False


def command(tracks: list[Track], out: Path, segment_s: Fraction) -> list[str]:
    """The packager's argument list, to be run in `out`: every path is relative, because its grammar of commas and
    equals signs could not hold any path."""
    seconds = f"{float(segment_s):.9f}"
    return [
        tools.PACKAGER, "--quiet", *(_stream(each, out) for each in tracks),
        # No time of day in the bytes: a version made again is the same version.
        "--use_fake_clock_for_muxer",
        "--segment_duration", seconds, "--fragment_duration", seconds, "--segment_sap_aligned",
    ]  # fmt: skip


def _stream(track: Track, out: Path) -> str:
    plain = track.kind == "text" and not track.wvtt
    parts = [f"in={relpath(track.file, out)}", f"stream={track.kind}"]
    parts += [] if plain else [f"init_segment={track.name}/init.mp4"]
    parts += [f"segment_template={track.name}/$Number%05d$.{'vtt' if plain else 'm4s'}"]
    parts += ["format=webvtt" if plain else "format=mp4"] if track.kind == "text" else []
    return ",".join(parts)
