"""What a master is (ING-02): the pure half, from what ffprobe says about it."""

import contextlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kit.errors import Unprocessable
from origin.transcode import languages

TEXT_SUBTITLES = {"subrip", "webvtt", "ass", "ssa", "mov_text", "text"}
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
        exact=bool(number(video.get("duration"))),
        codec=str(video.get("codec_name", "")),
        bit_depth=_bit_depth(video),
        hdr=video.get("color_transfer") if video.get("color_transfer") in ("smpte2084", "arib-std-b67") else None,
        interlaced=video.get("field_order", "progressive") in ("tt", "bb", "tb", "bt"),
        video_index=int(video["index"]),
        audio=_tracks(streams, "audio"),
        subtitles=tuple(each for each in _tracks(streams, "subtitle") if each.codec in TEXT_SUBTITLES),
    )


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
    own = number(video.get("duration"))
    if own:
        return own + max(0.0, (number(video.get("start_time")) or 0.0) - (number(container.get("start_time")) or 0.0))
    found = _clock(video.get("tags", {}).get("DURATION")) or number(container.get("duration"))
    if not found:
        raise Unprocessable("the file does not say how long it is: truncated, or still being written")
    return found


def _bit_depth(video: dict[str, Any]) -> int:
    said = number(video.get("bits_per_raw_sample"))
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


def number(text: Any) -> float | None:
    """A number of ffprobe's, which are text and may be `N/A`."""
    with contextlib.suppress(TypeError, ValueError):
        return float(text)
    return None


def _clock(text: str | None) -> float | None:
    """Matroska's `00:01:10.500000000`."""
    with contextlib.suppress(ValueError, AttributeError):
        hours, minutes, seconds = str(text).split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return None
