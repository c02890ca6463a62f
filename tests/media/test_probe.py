"""Probing and refusing a master (ING-02): what is seen, and one clear line for what cannot be used."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from configs import profiles
from configs.schema.origin import Profile, Rung
from kit.errors import Unprocessable
from origin.transcode.describe import Probe, describe
from origin.transcode.probe import probe, refuse, subtitle
from tests.support.clips import SRT, VTT, clip, cut

DEMO = profiles.get("demo")
VIDEO: dict[str, Any] = {
    "index": 0, "codec_type": "video", "codec_name": "h264", "width": 1280, "height": 720, "avg_frame_rate": "24/1",
    "r_frame_rate": "24/1", "duration": "10.0", "pix_fmt": "yuv420p", "sample_aspect_ratio": "1:1",
}  # fmt: skip
AUDIO: dict[str, Any] = {"index": 1, "codec_type": "audio", "codec_name": "aac", "channels": 2}


def _seen(*more: dict[str, Any], **video: Any) -> Probe:
    return describe({"streams": [VIDEO | video, *more], "format": {"duration": "12.0"}})


@pytest.mark.parametrize(
    ("video", "size"),
    [
        ({}, (1280, 720)),
        ({"width": 1440, "height": 1080, "sample_aspect_ratio": "4:3"}, (1920, 1080)),
        ({"width": 720, "height": 576, "sample_aspect_ratio": "8:9"}, (720, 648)),
        ({"side_data_list": [{"rotation": -90}]}, (720, 1280)),
        ({"side_data_list": [{"rotation": 180}]}, (1280, 720)),
        ({"width": 1440, "sample_aspect_ratio": "4:3", "side_data_list": [{"rotation": 90}]}, (720, 1920)),
        ({"sample_aspect_ratio": "0:1"}, (1280, 720)),
    ],
)  # fmt: skip
def test_size_is_after_rotation_with_square_pixels(video: dict[str, Any], size: tuple[int, int]) -> None:
    found = _seen(**video)
    assert (found.width, found.height) == size


@pytest.mark.parametrize(
    ("average", "nominal", "fps"),
    [
        ("24/1", "24/1", "24"),
        ("2997/100", "30000/1001", "30000/1001"),
        ("24000/1001", "24000/1001", "24000/1001"),
        ("72000/3001", "24/1", "24"),  # a few frames are missing
        ("17/1", "90000/1", "17"),  # variable
        ("120/1", "120/1", "60"),
        ("1/5", "1/5", "1"),
        ("0/0", "25/1", "25"),
    ],
)
def test_frame_rate_is_constant_and_usual(average: str, nominal: str, fps: str) -> None:
    assert _seen(avg_frame_rate=average, r_frame_rate=nominal).fps == Fraction(fps)


def test_duration_is_the_pictures_end() -> None:
    assert (_seen().duration_s, _seen().exact) == (10.0, True)
    late = describe({"streams": [VIDEO | {"start_time": "0.5"}], "format": {"start_time": "0.0"}})
    assert late.duration_s == 10.5
    matroska = _seen(duration="N/A", tags={"DURATION": "00:01:10.500000000"})
    assert (matroska.duration_s, matroska.exact) == (70.5, False)


def test_sound_and_subtitles_with_their_languages() -> None:
    found = _seen(
        AUDIO | {"tags": {"language": "ger"}},
        AUDIO | {"index": 2, "channels": 6},
        AUDIO | {"index": 3, "channels": 0},
        {"index": 4, "codec_type": "subtitle", "codec_name": "subrip", "tags": {"language": "pt-BR"}},
        {"index": 5, "codec_type": "subtitle", "codec_name": "dvd_subtitle"},
    )
    assert [(each.index, each.language, each.channels) for each in found.audio] == [(1, "de", 2), (2, "und", 6)]
    assert [(each.index, each.language) for each in found.subtitles] == [(4, "pt-BR")]


def test_bit_depth_and_hdr() -> None:
    found = _seen(pix_fmt="yuv420p10le", color_transfer="smpte2084")
    assert (found.bit_depth, found.hdr) == (10, "smpte2084")


@pytest.mark.parametrize(
    ("video", "profile", "says"),
    [
        ({"width": 8}, {}, "picture is 8x720"),
        ({"width": 20000}, {}, "picture is 20000x720"),
        ({"width": 0}, {}, "picture is 0x720"),
        ({"sample_aspect_ratio": "1000:1"}, {}, "aspect ratio 1000 makes no sense"),
        ({"duration": "0.1"}, {}, "lasts 0.10 s"),
        ({"duration": "1e9"}, {}, "lasts 1000000000.00 s"),
        ({"color_transfer": "arib-std-b67"}, {}, "HDR"),
        ({}, {"min_width": 3840}, "profile x wants 3840"),
        ({}, {}, "no audio stream"),
        ({"codec_type": "data"}, {}, "no video stream"),
        ({"disposition": {"attached_pic": 1}}, {}, "no video stream"),
    ],
)
def test_refused_by_what_was_seen(video: dict[str, Any], profile: dict[str, Any], says: str) -> None:
    with pytest.raises(Unprocessable, match=says):
        refuse(_seen(**video), Profile(name="x", ladder=(Rung(height=720, kbps=1000),), **profile))


def test_no_sound_is_accepted_where_the_profile_says_so() -> None:
    refuse(_seen(), DEMO.model_copy(update={"require_audio": False}))


def bad_files(folder: Path) -> dict[str, Path]:
    good = clip(folder / "good.mp4", seconds=6, more=("-movflags", "+faststart"))
    tail = clip(folder / "tail.mp4", seconds=2)
    text = folder / "text.mp4"
    text.write_text("This is no film.\n" * 100)
    playlist = folder / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nfile://{good}\n#EXT-X-ENDLIST\n")
    empty = folder / "empty.mp4"
    empty.touch()
    os.mkfifo(folder / "pipe.mp4")
    return {
        "a pipe": folder / "pipe.mp4",
        "zero bytes": empty,
        "not a video": text,
        "a playlist that names other files": playlist,
        "truncated, index first": cut(good, folder / "cut.mp4", 0.6),
        "truncated, index last": cut(tail, folder / "cut2.mp4", 0.6),
        "truncated matroska": cut(clip(folder / "good.mkv", seconds=6), folder / "cut.mkv", 0.5),
        "no audio": clip(folder / "silent.mp4", audio=False),
        "no video": clip(folder / "sound.m4a", video=("-vn",)),
        "a still": clip(folder / "still.mkv", video=("-frames:v", "1", "-c:v", "mjpeg")),
        "not there": folder / "nothing.mp4",
        "a folder": folder,
    }


SAYS = {
    "zero bytes": "the file is empty",
    "not a video": "not of a format that can be read",
    "a playlist that names other files": "not of a format that can be read",
    "truncated, index first": "the file is truncated: it ends at 3.* s of 6.0 s",
    "truncated, index last": "the file is truncated: its index",
    "truncated matroska": "truncated|still being written",
    "no audio": "no audio stream",
    "no video": "no video stream",
    "a still": "no video stream",
    "not there": "cannot be opened: No such file",
    "a folder": "cannot be opened: it is no regular file",
    "a pipe": "cannot be opened: it is no regular file",
}


async def test_bad_files_are_refused_with_one_line_that_names_no_path(tmp_path: Path) -> None:
    for name, file in bad_files(tmp_path).items():
        with pytest.raises(Unprocessable, match=SAYS[name]) as refused:
            await probe(file, DEMO)
        assert "\n" not in str(refused.value)
        assert str(tmp_path) not in str(refused.value)


async def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite may run as root, whom no mode stops: the system's refusal is played."""
    file = clip(tmp_path / "good.mp4")
    if os.geteuid() == 0:
        monkeypatch.setattr(Path, "open", _refuse_to_open)
    file.chmod(0)
    with pytest.raises(Unprocessable, match="cannot be opened: Permission denied"):
        await probe(file, DEMO)


def _refuse_to_open(self: Path, *_: object) -> None:
    raise PermissionError(13, "Permission denied")


async def test_good_files_of_several_kinds(tmp_path: Path) -> None:
    wide = clip(tmp_path / "sar.mp4", size="360x270", more=("-vf", "setsar=4/3"))
    ntsc = clip(tmp_path / "ntsc.mkv", fps="30000/1001", more=("-metadata:s:a:0", "language=fre"))
    stream = clip(tmp_path / "stream.ts", fps="25")
    assert ((seen := await probe(wide, DEMO)).width, seen.height) == (480, 270)
    assert ((seen := await probe(ntsc, DEMO)).fps, seen.audio[0].language) == (Fraction(30000, 1001), "fr")
    assert (seen := await probe(stream, DEMO)).fps == 25 and abs(seen.duration_s - 2) < 0.1


async def test_subtitle_files(tmp_path: Path) -> None:
    for name, content in {"a.vtt": VTT, "b.srt": SRT}.items():
        (tmp_path / name).write_text(content)
        await subtitle(tmp_path / name)
    for content in (
        b"",
        b"words without times\n",
        b"WEBVTT\n\nno cue\n",
        b"\x00\xff" * 500,
        clip(tmp_path / "c.mp4").read_bytes(),
    ):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(Unprocessable, match="subtitle file"):
            await subtitle(tmp_path / "bad")
