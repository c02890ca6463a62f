"""What a master is, and whether it can be used at all (ING-02).

`probe` runs ffprobe twice: once for what the container says, once for its last packets, because a cut file still has
a whole header. `refuse` is pure.
"""

import asyncio
import contextlib
import errno
import stat
from pathlib import Path
from typing import Any

import orjson

from configs.schema.origin import Profile
from kit.errors import Unprocessable
from origin.transcode import tools
from origin.transcode.child import Bounds, ToolFailed, run
from origin.transcode.describe import TEXT_SUBTITLES, Probe, describe, number

_BOUNDS = Bounds(wall_s=60, memory=2 * 2**30, cpu_s=60, file_size=1)
# A playlist is no master: it could name any file of this machine. So the containers are listed, too.
CONTAINERS = "mov,matroska,mpegts,mpeg,avi,flv,ogg,mxf,asf,wav,flac,mp3,aac"
TEXTS = "webvtt,srt,ass"
_INPUT = ["-protocol_whitelist", "file", "-max_streams", "64"]
MAX_SIDE = 8192
MAX_DURATION_S = 12 * 3600


async def probe(file: Path, profile: Profile) -> Probe:
    """Look at `file` and check it against `profile`. Unprocessable with one line, which names no path."""
    if await _size(file) == 0:
        raise Unprocessable("the file is empty (0 bytes)")
    seen = describe(await _ask(file, "-show_streams", "-show_format"))
    refuse(seen, profile)
    await _reaches_its_end(file, seen)
    return seen


async def subtitle(file: Path) -> None:
    """Unprocessable unless `file` is text subtitles that can become WebVTT."""
    size = await _size(file)
    if not 0 < size <= 4 * 2**20:
        raise Unprocessable(f"a subtitle file has 1 byte to 4 MiB, this one {size}")
    try:
        # One packet is one cue: a file that is only named like subtitles has none.
        found = await _ask(file, "-show_streams", "-show_packets", "-read_intervals", "%+#1", containers=TEXTS)
    except Unprocessable:
        found = {}
    if not found.get("packets") or found["streams"][0].get("codec_name") not in TEXT_SUBTITLES:
        raise Unprocessable("the subtitle file is neither WebVTT nor SRT, or has no cue")


def refuse(seen: Probe, profile: Profile) -> None:
    """Unprocessable unless a title of `profile` can be made of it."""
    if not (16 <= seen.width <= MAX_SIDE and 16 <= seen.height <= MAX_SIDE):
        raise Unprocessable(f"the picture is {seen.width}x{seen.height}; 16 to {MAX_SIDE} on each side can be used")
    if seen.width < profile.min_width:
        raise Unprocessable(f"the picture is {seen.width} wide; profile {profile.name} wants {profile.min_width}")
    if not 0.5 <= seen.duration_s <= MAX_DURATION_S:
        raise Unprocessable(f"the video lasts {seen.duration_s:.2f} s; 0.5 s to {MAX_DURATION_S} s can be used")
    if seen.hdr:
        # Colour tags alone look washed out (T-005), and this build of ffmpeg cannot tone-map.
        raise Unprocessable(f"the master is HDR ({seen.hdr}); it has to be graded to SDR first")
    if profile.require_audio and not seen.has_audio:
        raise Unprocessable("the file has no audio stream")


async def _size(file: Path) -> int:
    try:
        return await asyncio.to_thread(_readable, file)
    except OSError as error:
        raise Unprocessable(f"the file cannot be opened: {error.strerror}") from None


async def _ask(file: Path, *what: str, containers: str = CONTAINERS) -> dict[str, Any]:
    command = [tools.FFPROBE, "-v", "error", *_INPUT, "-format_whitelist", containers, "-of", "json", *what]
    try:
        finished = await run([*command, f"file:{file}"], _BOUNDS)
    except ToolFailed as error:
        raise Unprocessable(f"the file cannot be read as a video: {error}") from None
    if finished.code == 0:
        with contextlib.suppress(orjson.JSONDecodeError):
            found = orjson.loads(finished.output)
            assert isinstance(found, dict)
            return found
    # A tool's own lines hold our paths and addresses.
    if "moov atom not found" in finished.errors and await asyncio.to_thread(_begins_as_mp4, file):
        raise Unprocessable("the file is truncated: its index (moov) is missing")
    raise Unprocessable("the file is not of a format that can be read")


def _readable(file: Path) -> int:
    """The size of a regular file that may be read. A pipe is not opened: that would wait for its writer."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    file.open("rb").close()
    return found.st_size


def _begins_as_mp4(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(8)[4:] in (b"ftyp", b"mdat", b"free", b"skip", b"wide")


async def _reaches_its_end(file: Path, seen: Probe) -> None:
    """Unprocessable if the last second that the header promises is not in the file."""
    start = max(0.0, seen.duration_s - 10)
    found = await _ask(
        file, "-select_streams", str(seen.video_index), "-read_intervals", f"{start:.3f}%", "-show_packets",
        "-show_entries", "packet=pts_time,dts_time,duration_time",
    )  # fmt: skip
    ends = [number(each.get("pts_time") or each.get("dts_time")) or 0.0 for each in found.get("packets", [])]
    end = max(ends, default=0.0)
    if end < seen.duration_s - max(1.0, 2 / float(seen.fps)):
        raise Unprocessable(f"the file is truncated: it ends at {end:.1f} s of {seen.duration_s:.1f} s")
