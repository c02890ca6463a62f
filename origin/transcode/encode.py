"""ffmpeg's argument lists (ING-14, ING-16, T-004) and running one with its progress."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from configs.schema.origin import AudioRung
from origin.transcode import tools
from origin.transcode.child import Bounds, check
from origin.transcode.describe import Probe, Track
from origin.transcode.ladder import Encode
from origin.transcode.probe import CONTAINERS, TEXTS
from origin.transcode.timing import Timing

PEAK, BUFFER = 1.5, 2.0
"""Highest rate and its window, in multiples of the target (ING-14)."""
Report = Callable[[float, float, float], None]
"""Called with the fraction done (0 to 1), frames per second, and speed in multiples of real time."""
_START = [tools.FFMPEG, "-nostdin", "-hide_banner", "-v", "error", "-y", "-protocol_whitelist", "file"]
_MASTER = [*_START, "-format_whitelist", CONTAINERS]
_TEXT = [*_START, "-format_whitelist", f"{CONTAINERS},{TEXTS}"]
# The same master gives the same bytes, on any machine: a version's name promises it (ING-21). With frame threads the
# rate control depends on how threads happen to run (tried: five runs, five files). Slices cost 0.1 dB of SSIM; x265 has
# no such way, so that it gets one thread: run more encoders at once (`encode_parallel`).
_SAME_264 = "threads=4:sliced-threads=1"
_SAME_265 = "frame-threads=1:wpp=0:pools=none"
_PROGRESS = ["-progress", "pipe:1", "-stats_period", "0.5"]
_END = ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]


def video_command(source: Path, seen: Probe, rung: Encode, timing: Timing, preset: str, out: Path) -> list[str]:
    """One rung: constant frame rate, closed GOPs of exactly `timing.gop` frames, no sound."""
    filters = ["bwdif=mode=send_frame"] if seen.interlaced else []
    # From 0 on, so that sound and picture that begin at different times stay together.
    filters += [f"fps=fps={timing.fps}:start_time=0", f"scale={rung.width}:{rung.height}:flags=bicubic", "setsar=1"]
    return [
        *_MASTER, "-i", f"file:{source}", "-map", f"0:{seen.video_index}", "-an", "-sn", "-dn",
        "-vf", ",".join([*filters, "format=yuv420p"]), *_codec(rung, timing), "-preset", preset,
        "-b:v", f"{rung.kbps}k", "-maxrate", f"{rung.kbps * PEAK:.0f}k", "-bufsize", f"{rung.kbps * BUFFER:.0f}k",
        "-video_track_timescale", str(_timescale(timing)), *_END, *_PROGRESS, "-f", "mp4", f"file:{out}",
    ]  # fmt: skip


def audio_command(source: Path, track: Track, audio: AudioRung, out: Path) -> list[str]:
    """AAC of one stream, beginning at 0, gaps filled, at most the profile's channels."""
    return [
        *_MASTER, "-i", f"file:{source}", "-map", f"0:{track.index}", "-vn", "-sn", "-dn",
        "-af", "aresample=async=1:first_pts=0", "-c:a", "aac", "-b:a", f"{audio.kbps}k",
        "-ac", str(min(audio.channels, track.channels)), "-ar", "48000",
        *_END, *_PROGRESS, "-f", "mp4", f"file:{out}",
    ]  # fmt: skip


def subtitle_command(source: Path, index: int, duration_s: float, out: Path) -> list[str]:
    """One text subtitle stream as WebVTT, no longer than the picture (ING-07)."""
    times = ["-t", f"{duration_s:.3f}"]
    return [*_TEXT, "-i", f"file:{source}", "-map", f"0:{index}", *times, "-f", "webvtt", f"file:{out}"]


async def encode(command: Sequence[str], duration_s: float, kbps: int, report: Report | None = None) -> None:
    """Run one command. ToolFailed with ffmpeg's last line; bounded in time, memory and bytes written."""
    most = int(duration_s * kbps * 1000 / 8 * PEAK * 2) + 16 * 2**20
    bounds = Bounds(wall_s=600 + duration_s * 200, file_size=most)
    await check(command, bounds, on_line=progress(duration_s, report) if report else _ignore)


def progress(duration_s: float, report: Report) -> Callable[[str], None]:
    """A reader of `-progress` lines: calls `report` at the end of each block of them."""
    block: dict[str, str] = {}

    def line(text: str) -> None:
        key, _, value = text.partition("=")
        block[key.strip()[:32]] = value.strip()[:64]
        if key == "progress":
            done = _float(block.get("out_time_us", "")) / 1e6 / duration_s
            fraction = 1.0 if value == "end" else min(1.0, max(0.0, done))
            report(fraction, _float(block.get("fps", "")), _float(block.get("speed", "").rstrip("x")))
            block.clear()

    return line


def _codec(rung: Encode, timing: Timing) -> list[str]:
    keys = f"keyint={timing.gop}:min-keyint={timing.gop}:scenecut=0:open-gop=0"
    if rung.codec == "hevc":
        # hvc1: parameter sets in the header only, as Apple players want (T-007).
        return ["-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", f"{keys}:{_SAME_265}:log-level=error:info=0"]
    return ["-c:v", "libx264", "-profile:v", "high", "-bf", "2", "-x264-params", f"{keys}:{_SAME_264}"]


def _timescale(timing: Timing) -> int:
    """Ticks a second in which a frame is a whole number, at least 1000."""
    return timing.fps.numerator * math.ceil(1000 / timing.fps.numerator)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _ignore(_: str) -> None:
    return None
