"""What a master is, and whether it can be used at all (ING-02).

`probe` runs ffprobe twice: once for what the container says, once for its last packets, because a cut file still has
a whole header. `describe` and `refuse` are pure.
"""

import asyncio
import contextlib
import errno
import stat
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson

from configs.schema.origin import Profile
from kit.errors import Unprocessable
from origin.transcode import languages, tools
from origin.transcode.child import Bounds, ToolFailed, run

_BOUNDS = Bounds(wall_s=60, memory=2 * 2**30, cpu_s=60, file_size=1)
# A playlist is no master: it could name any file of this machine. So the containers are listed, too.
CONTAINERS = "mov,matroska,mpegts,mpeg,avi,flv,ogg,mxf,asf,wav,flac,mp3,aac"
TEXTS = "webvtt,srt,ass"
_INPUT = ["-protocol_whitelist", "file", "-max_streams", "64"]
TEXT_SUBTITLES = {"subrip", "webvtt", "ass", "ssa", "mov_text", "text"}
MAX_SIDE = 8192
MAX_DURATION_S = 12 * 3600
_STILLS = {"png", "mjpeg", "gif", "webp", "bmp", "tiff", "apng", "jpegxl"}
_RATES = tuple(Fraction(each, 1001) for each in (24000, 30000, 60000)) + tuple(map(Fraction, (24, 25, 30, 48, 50, 60)))


@dataclass(frozen=True, slots=True)
class Track:
    """An audio or subtitle stream: its index in the file, RFC 5646 tag, codec, channels (0 for subtitles)."""

    index: int
    language: str
    codec: str
    channels: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """A master as it is seen: sizes after rotation and with square pixels; explicit width and height (T-001)."""

    width: int
    height: int
    fps: Fraction
    duration_s: float
    exact: bool
    """Whether `duration_s` is the picture's own; Matroska says only how long its longest stream is."""
    codec: str
    bit_depth: int
    hdr: str | None
    """The transfer function of an HDR picture (`smpte2084`, `arib-std-b67`), else None."""
    interlaced: bool
    video_index: int
    audio: tuple[Track, ...]
    subtitles: tuple[Track, ...]
    """Text subtitles only; pictures cannot become WebVTT."""

    @property
    def has_audio(self) -> bool:
        """Whether any audio stream was found."""
        return bool(self.audio)


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


def describe(found: dict[str, Any]) -> Probe:
    """A Probe from ffprobe's JSON. Unprocessable where it holds no moving picture or no length."""
    streams = found.get("streams", [])
    video = next((each for each in streams if _is_video(each)), None)
    if video is None:
        raise Unprocessable("the file has no video stream")
    width, height = _display_size(video)
    return Probe(
        width=width,
        height=height,
        fps=_fps(video),
        duration_s=_duration(video, found.get("format", {})),
        exact=bool(_number(video.get("duration"))),
        codec=str(video.get("codec_name", "")),
        bit_depth=_bit_depth(video),
        hdr=video.get("color_transfer") if video.get("color_transfer") in ("smpte2084", "arib-std-b67") else None,
        interlaced=video.get("field_order", "progressive") in ("tt", "bb", "tb", "bt"),
        video_index=int(video["index"]),
        audio=_tracks(streams, "audio"),
        subtitles=tuple(each for each in _tracks(streams, "subtitle") if each.codec in TEXT_SUBTITLES),
    )


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
    ends = [_number(each.get("pts_time") or each.get("dts_time")) or 0.0 for each in found.get("packets", [])]
    end = max(ends, default=0.0)
    if end < seen.duration_s - max(1.0, 2 / float(seen.fps)):
        raise Unprocessable(f"the file is truncated: it ends at {end:.1f} s of {seen.duration_s:.1f} s")


def _is_video(stream: dict[str, Any]) -> bool:
    if stream.get("codec_type") != "video" or stream.get("disposition", {}).get("attached_pic"):
        return False
    return stream.get("codec_name") not in _STILLS or int(stream.get("nb_frames", 0) or 0) > 1


def _display_size(video: dict[str, Any]) -> tuple[int, int]:
    """Width and height with square pixels, turned as a player turns it."""
    width, height = int(video.get("width", 0)), int(video.get("height", 0))
    aspect = _fraction(video.get("sample_aspect_ratio", "1:1").replace(":", "/")) or Fraction(1)
    if not Fraction(1, 16) <= aspect <= 16:
        raise Unprocessable(f"the pixel aspect ratio {aspect} makes no sense")
    # Widen rather than lower: no line of the picture is lost before a rung is chosen.
    size = (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
    turns = (each.get("rotation", 0) for each in video.get("side_data_list", []))
    return size[::-1] if any(int(float(each)) % 180 for each in turns) else size


def _fps(video: dict[str, Any]) -> Fraction:
    """The constant frame rate to encode with: the stream's nominal one where that is usual and near the average, else
    the usual one within 0.1 % of the average, else the average in whole frames; 1 to 60."""
    average = _fraction(video.get("avg_frame_rate", "")) or _fraction(video.get("r_frame_rate", "")) or Fraction(25)
    nominal = _fraction(video.get("r_frame_rate", ""))
    if nominal in _RATES and abs(nominal - average) <= average / 100:
        return nominal
    near = min(_RATES, key=lambda usual: abs(usual - average))
    if abs(near - average) <= near / 1000:
        return near
    return Fraction(min(60, max(1, round(average))))


def _duration(video: dict[str, Any], container: dict[str, Any]) -> float:
    """When the last picture ends, counted from the first sound or picture of the file."""
    own = _number(video.get("duration"))
    if own:
        return own + max(0.0, (_number(video.get("start_time")) or 0.0) - (_number(container.get("start_time")) or 0.0))
    found = _clock(video.get("tags", {}).get("DURATION")) or _number(container.get("duration"))
    if not found:
        raise Unprocessable("the file does not say how long it is: truncated, or still being written")
    return found


def _bit_depth(video: dict[str, Any]) -> int:
    said = _number(video.get("bits_per_raw_sample"))
    layout = str(video.get("pix_fmt", ""))
    guess = next((depth for depth in (16, 14, 12, 10, 9) if f"p{depth}" in layout), 8)
    return int(said) if said else guess


def _tracks(streams: list[dict[str, Any]], kind: str) -> tuple[Track, ...]:
    return tuple(
        Track(
            index=int(each["index"]),
            language=languages.tag(each.get("tags", {}).get("language")),
            codec=str(each.get("codec_name", "")),
            channels=int(each.get("channels", 0)),
        )
        for each in streams
        if each.get("codec_type") == kind and (kind != "audio" or int(each.get("channels", 0)) > 0)
    )


def _fraction(text: str) -> Fraction | None:
    with contextlib.suppress(ValueError, ZeroDivisionError):
        return Fraction(text) or None
    return None


def _number(text: Any) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        return float(text)
    return None


def _clock(text: str | None) -> float | None:
    """Matroska's `00:01:10.500000000`."""
    with contextlib.suppress(ValueError, AttributeError):
        hours, minutes, seconds = str(text).split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return None
