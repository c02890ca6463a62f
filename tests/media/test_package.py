"""Packaging real tracks, and what verification finds (T-006, ING-17, ING-20, MAN-01)."""

import asyncio
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import m3u8
import pytest

from origin.packaging import hls
from origin.packaging.boxes import find
from origin.packaging.media import Media
from origin.packaging.package import Plan, content_type, measured, package
from origin.packaging.packager import Track
from origin.packaging.verify import NotVerified, verify
from origin.transcode.child import ToolFailed
from tests.support.clips import VTT, clip

GOP = "keyint=48:min-keyint=48:scenecut=0:open-gop=0"
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x264-params", GOP, "-f", "mp4")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", f"{GOP}:log-level=error")


async def _packaged(folder: Path) -> tuple[Path, hls.Title, Plan]:
    """Five seconds: two rungs (one HEVC), sound, subtitles; segments of 2 s, in a folder with an awkward name."""
    work = folder / "a, b=c"
    work.mkdir()
    big = clip(work / "v180.mp4", seconds=5, video=H264, audio=False)
    small = clip(work / "v90.mp4", size="160x90", seconds=5, video=HEVC, audio=False)
    sound = clip(work / "a.mp4", seconds=5, video=("-vn",))
    (work / "t.vtt").write_text(VTT)
    tracks = [
        Track(big, "v180", "video", kbps=300), Track(small, "v90", "video", kbps=100),
        Track(sound, "a_en", "audio", "en", channels=1), Track(work / "t.vtt", "t_en", "text", "en"),
        Track(work / "t.vtt", "td_en", "text", "en", wvtt=True),
    ]  # fmt: skip
    plan = Plan(tracks, Fraction(24), Fraction(2), 200)
    out = work / "out"
    out.mkdir()
    return out, await package(plan, out), plan


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, hls.Title, Plan]:
    return asyncio.run(_packaged(tmp_path_factory.mktemp("package")))


@pytest.fixture
def copy(made: tuple[Path, hls.Title, Plan], tmp_path: Path) -> Path:
    """The packaged folder, to be spoiled."""
    return shutil.copytree(made[0], tmp_path / "copy")


def test_segments_are_measured_from_the_bytes(made: tuple[Path, hls.Title, Plan]) -> None:
    out, title, plan = made
    assert [float(each.duration) for each in title.video] == [5.0, 5.0]
    assert [[float(each.seconds(s)) for s in each.segments] for each in title.video] == [[2.0, 2.0, 1.0]] * 2
    assert title.video[0].segments[0].size == (out / "v180/00001.m4s").stat().st_size
    assert [(each.width, each.height) for each in title.video] == [(320, 180), (160, 90)]
    assert title.audio[0].duration == pytest.approx(Fraction(5), abs=0.05)
    assert measured(plan, out) == title
    verify(out, title, 5.0, exact=True)


def test_codecs_are_read_from_the_bytes(made: tuple[Path, hls.Title, Plan]) -> None:
    """MAN-07, T-010, T-003."""
    _, title, _ = made
    assert re.fullmatch(r"avc1\.42c0[0-9a-f]{2}", title.video[0].codec)
    assert re.fullmatch(r"hvc1\.1\.6\.L\d+\.90", title.video[1].codec)
    assert title.audio[0].codec == "mp4a.40.2"
    assert title.wvtt[0].codec == "wvtt"


def test_files_are_cmaf_and_named_relatively(made: tuple[Path, hls.Title, Plan]) -> None:
    """MAN-01: the same segments for both; no name leaves the version."""
    out, _, _ = made
    names = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert {"master.m3u8", "manifest.mpd", "v180.m3u8", "v180/init.mp4", "v180/00003.m4s", "t_en/00001.vtt"} <= names
    assert next(find((out / "v180/00001.m4s").read_bytes(), "styp"))
    assert "First words" in (out / "t_en/00001.vtt").read_text()
    assert all(not uri.startswith("/") for uri in (s.uri for s in m3u8.load(str(out / "v180.m3u8")).segments))


def _drop(root: Path) -> None:
    (root / "v180/00002.m4s").unlink()


def _drop_init(root: Path) -> None:
    (root / "a_en/init.mp4").rename(root / "a_en/other.mp4")


def _add(root: Path) -> None:
    (root / "v180/extra.bin").write_bytes(b"x")


def _no_end(root: Path) -> None:
    file = root / "v180.m3u8"
    file.write_text(file.read_text().replace("#EXT-X-ENDLIST\n", ""))


def _no_playlist(root: Path) -> None:
    (root / "a_en.m3u8").unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_drop, "missing: v180/00002.m4s"),
        (_drop_init, "missing: a_en/init.mp4"),
        (_add, "named nowhere: v180/extra.bin"),
        (_no_end, "v180.m3u8 is no whole VOD playlist"),
        (_no_playlist, "missing: a_en.m3u8"),
    ],
)
def test_files_and_names_must_agree(
    made: tuple[Path, hls.Title, Plan], copy: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(copy)
    with pytest.raises(NotVerified, match=says):
        verify(copy, made[1], 5.0, exact=True)


def test_a_rung_of_another_length_or_cut_is_found(made: tuple[Path, hls.Title, Plan]) -> None:
    out, title, _ = made
    with pytest.raises(NotVerified, match=r"v180 lasts 5.000 s"):
        verify(out, title, 5.2, exact=True)
    verify(out, title, 5.2, exact=False)
    first, second = title.video
    one, two, three = second.segments
    for segments, says in (
        ((one, replace(two, start=two.start + 1), three), "does not follow"),
        ((one, replace(two, sync=False), three), "sync sample"),
        ((replace(one, duration=one.duration + two.duration), three), "do not cut at the same times"),
    ):
        with pytest.raises(NotVerified, match=says):
            verify(out, _with(title, first, replace(second, segments=segments)), 5.0, exact=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("master.m3u8", "application/vnd.apple.mpegurl"),
        ("a_en.m3u8", "application/vnd.apple.mpegurl"),
        ("manifest.mpd", "application/dash+xml"),
        ("t_en/00001.vtt", "text/vtt"),
        ("v180/init.mp4", "video/mp4"),
        ("v180/00001.m4s", "video/mp4"),
        ("a_en/00001.m4s", "audio/mp4"),
        ("td_en/init.mp4", "application/mp4"),
    ],
)
def test_content_types(name: str, expected: str) -> None:
    assert content_type(name) == expected


def _with(title: hls.Title, *video: Media) -> hls.Title:
    return replace(title, video=video)


async def test_nonsense_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    (tmp_path / "out").mkdir()
    plan = Plan([Track(tmp_path / "bad.mp4", "v1", "video")], Fraction(24), Fraction(2), 100)
    with pytest.raises(ToolFailed):
        await package(plan, tmp_path / "out")
