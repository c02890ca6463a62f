"""Encoding: the commands' rules, and real key frames on segment boundaries (T-004, ING-14, ING-16)."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from configs import profiles
from configs.schema.origin import Profile, Rung
from origin.transcode import encode
from origin.transcode.child import ToolFailed
from origin.transcode.describe import describe
from origin.transcode.ladder import Encode, choose
from origin.transcode.probe import probe
from origin.transcode.timing import timing
from tests.media.test_probe import VIDEO
from tests.support.clips import SRT, clip, cut, keyframes, streams

SILENT = Profile(name="silent", ladder=(Rung(height=96, kbps=200),), require_audio=False)


async def _encode(source: Path, rung: Encode, segment_s: float, out: Path) -> list[float]:
    seen = await probe(source, SILENT)
    fractions: list[float] = []
    command = encode.video_command(source, seen, rung, timing(seen.fps, segment_s), "ultrafast", out)
    await encode.encode(command, seen.duration_s, rung.kbps, lambda fraction, fps, speed: fractions.append(fraction))
    return fractions


@pytest.mark.parametrize(
    ("fps", "segment_s", "every"), [("24", 2.0, 48), ("30000/1001", 2.0, 60), ("25", 5.0, 62), ("24", 1.0, 24)]
)
async def test_key_frames_are_exactly_on_gops(fps: str, segment_s: float, every: int, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", size="192x108", fps=fps, seconds=7, audio=False)
    rung = Encode("v96", 170, 96, 200, "h264")
    fractions = await _encode(source, rung, segment_s, tmp_path / "out.mp4")
    assert keyframes(tmp_path / "out.mp4") == list(range(0, round(float(Fraction(fps)) * 7), every))
    assert fractions[-1] == 1.0 and fractions == sorted(fractions)
    made = await probe(tmp_path / "out.mp4", SILENT)
    assert (made.width, made.height, made.fps, made.audio) == (170, 96, Fraction(fps), ())
    assert abs(made.duration_s - 7) <= 1.5 / made.fps


async def test_hevc_has_its_own_tag_and_the_same_gops(tmp_path: Path) -> None:
    """T-007."""
    source = clip(tmp_path / "in.mp4", size="192x108", seconds=5, audio=False)
    await _encode(source, Encode("v96", 170, 96, 200, "hevc"), 2.0, tmp_path / "out.mp4")
    assert keyframes(tmp_path / "out.mp4") == [0, 48, 96]
    assert b"hvc1" in (tmp_path / "out.mp4").read_bytes()


@pytest.mark.parametrize("codec", ["h264", "hevc"])
async def test_the_same_master_gives_the_same_bytes(codec: str, tmp_path: Path) -> None:
    """ING-21: a version's name promises its bytes."""
    source = clip(tmp_path / "in.mp4", size="640x360", seconds=4, audio=False)
    for name in ("one", "two"):
        await _encode(source, Encode("v360", 640, 360, 300, codec), 2.0, tmp_path / f"{name}.mp4")
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


async def test_variable_frames_become_constant_ones_of_the_same_length(tmp_path: Path) -> None:
    gaps = ("-vf", "select='not(between(n,30,59))'", "-fps_mode", "vfr")
    source = clip(tmp_path / "gaps.mkv", size="192x108", seconds=6, audio=False, more=gaps)
    await _encode(source, Encode("v96", 170, 96, 200, "h264"), 2.0, tmp_path / "out.mp4")
    made = await probe(tmp_path / "out.mp4", SILENT)
    assert abs(made.duration_s - 6) <= 0.1
    assert keyframes(tmp_path / "out.mp4")[:2] == [0, 2 * round(made.fps)]


def test_rates_are_the_rungs_and_arguments_are_a_list() -> None:
    rung = choose(1280, 720, profiles.get("demo"))[0]
    seen = describe({"streams": [VIDEO], "format": {}})
    command = encode.video_command(Path("/m/a b;c.mp4"), seen, rung, timing(seen.fps, 4), "veryfast", Path("/w/o.mp4"))
    values = dict(pairwise(command))
    assert (values["-b:v"], values["-maxrate"], values["-bufsize"]) == ("2400k", "3600k", "4800k")
    assert (values["-i"], values["-protocol_whitelist"]) == ("file:/m/a b;c.mp4", "file")
    assert "-an" in command and "keyint=48:min-keyint=48:scenecut=0:open-gop=0:threads=4:sliced-threads=1" in command


def test_progress_reads_blocks_and_ignores_nonsense() -> None:
    reports: list[tuple[float, float, float]] = []
    line = encode.progress(10.0, lambda *report: reports.append(report))
    for text in ("fps=50.0", "out_time_us=2500000", "speed=2.5x", "progress=continue"):
        line(text)
    for text in ("rubbish", "out_time_us=N/A", "speed=N/A", "progress=continue", "progress=end"):
        line(text)
    assert reports == [(0.25, 50.0, 2.5), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)]


async def test_sound_is_mixed_down(tmp_path: Path) -> None:
    six = ("-ac", "6", "-metadata:s:a:0", "language=eng")
    source = clip(tmp_path / "six.mp4", seconds=3, more=six)
    seen = await probe(source, profiles.get("demo"))
    command = encode.audio_command(source, seen.audio[0], profiles.get("demo").audio, tmp_path / "a.mp4")
    await encode.encode(command, seen.duration_s, 128)
    assert (seen.audio[0].channels, seen.audio[0].language) == (6, "en")
    assert streams(tmp_path / "a.mp4") == ["aac,48000,2"]


async def test_subtitles_become_webvtt_no_longer_than_the_film(tmp_path: Path) -> None:
    late = SRT + "\n2\n00:01:00,000 --> 00:01:05,000\nAfter the end\n"
    (tmp_path / "a.srt").write_text(late)
    await encode.encode(encode.subtitle_command(tmp_path / "a.srt", 0, 10.0, tmp_path / "a.vtt"), 10.0, 100)
    text = (tmp_path / "a.vtt").read_text()
    assert text.startswith("WEBVTT") and "First words" in text and "After the end" not in text


async def test_a_source_that_fails_half_way_is_an_error(tmp_path: Path) -> None:
    good = clip(tmp_path / "good.mp4", seconds=2)
    seen = await probe(good, SILENT)
    bad = cut(good, tmp_path / "bad.mp4", 0.5)
    rung = Encode("v96", 170, 96, 200, "h264")
    command = encode.video_command(bad, seen, rung, timing(seen.fps, 2), "ultrafast", tmp_path / "o.mp4")
    with pytest.raises(ToolFailed, match="ffmpeg"):
        await encode.encode(command, seen.duration_s, 200)
