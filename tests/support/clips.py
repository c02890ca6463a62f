"""Small real clips, made by ffmpeg's own sources: no file from outside is needed."""

import subprocess
from pathlib import Path

from origin.transcode import tools


def clip(
    file: Path,
    *,
    size: str = "320x180",
    fps: str = "24",
    seconds: float = 2.0,
    audio: bool = True,
    video: tuple[str, ...] = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    more: tuple[str, ...] = (),
    inputs: tuple[str, ...] = (),
) -> Path:
    """A moving test picture with a tone. `inputs` go before, `more` behind the encoder's arguments."""
    sources = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={fps}:duration={seconds}"]
    if audio:
        sources += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}"]
    sound = ["-c:a", "aac", "-b:a", "64k"] if audio else []
    ffmpeg(*sources, *inputs, *video, *sound, *more, str(file))
    return file


def ffmpeg(*arguments: str) -> None:
    """Run the pinned ffmpeg; raises with its words when it fails."""
    done = subprocess.run(
        [tools.FFMPEG, "-nostdin", "-v", "error", "-y", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def cut(source: Path, target: Path, part: float) -> Path:
    """The first `part` (0 to 1) of a file's bytes."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * part)])
    return target


def keyframes(file: Path) -> list[int]:
    """Numbers of the frames that are key frames."""
    command = [tools.FFPROBE, "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts,flags"]
    done = subprocess.run([*command, "-of", "csv=p=0", str(file)], capture_output=True, text=True, check=True)
    rows = sorted((int(pts), "K" in flags) for pts, flags, *_ in (line.split(",") for line in done.stdout.split()))
    return [number for number, (_, key) in enumerate(rows) if key]


def streams(file: Path) -> list[str]:
    """`codec,sample rate,channels` of each sound in a file."""
    command = [tools.FFPROBE, "-v", "error", "-select_streams", "a", "-of", "csv=p=0"]
    command += ["-show_entries", "stream=codec_name,sample_rate,channels", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


VTT = "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nFirst words\n\n00:00:03.000 --> 00:00:05.500\nSecond words\n"
SRT = "1\n00:00:00,500 --> 00:00:01,500\nFirst words\n"
