"""Ladder and timing: ING-12, C-81, T-004, D-04."""

from fractions import Fraction

import pytest

from configs import profiles
from configs.schema.origin import Profile, Rung
from origin.transcode.ladder import choose
from origin.transcode.timing import timing


@pytest.mark.parametrize(
    ("picture", "profile", "sizes"),
    [
        ((1920, 1080), "ott", ["1920x1080", "1280x720", "854x480", "640x360", "256x144"]),
        ((1280, 720), "ott", ["1280x720", "854x480", "640x360", "256x144"]),
        ((800, 332), "ott", ["640x266", "256x106"]),  # C-81's own example
        ((1279, 719), "demo", ["854x480", "640x360"]),  # one line short of a box is an upscale
        ((720, 1280), "demo", ["406x720", "270x480", "202x360"]),  # portrait
        ((640, 480), "ott", ["640x480", "480x360", "192x144"]),  # 4:3
        ((3840, 1600), "ott", ["1920x800", "1280x534", "854x356", "640x266", "256x106"]),
        ((2560, 1440), "demo", ["1280x720", "854x480", "640x360"]),
        ((320, 180), "demo", ["320x180"]),  # nothing fits: the master's own size (ING-12)
        ((121, 97), "demo", ["120x96"]),
    ],
)
def test_rungs_are_boxes_and_never_upscaled(picture: tuple[int, int], profile: str, sizes: list[str]) -> None:
    found = choose(*picture, profiles.get(profile))
    assert [f"{rung.width}x{rung.height}" for rung in found] == sizes
    assert all(rung.width % 2 == 0 and rung.height % 2 == 0 for rung in found)
    assert len({rung.name for rung in found}) == len(found)


def test_bitrate_and_name_come_from_the_box() -> None:
    rung = choose(800, 332, profiles.get("ott"))[0]
    assert (rung.name, rung.kbps, rung.codec) == ("v360", 560, "h264")


def test_rungs_of_one_height_have_their_own_names() -> None:
    ladder = (Rung(height=720, kbps=3000), Rung(height=720, kbps=1500), Rung(height=720, kbps=1000, codec="hevc"))
    names = [rung.name for rung in choose(1280, 720, Profile(name="x", ladder=ladder))]
    assert names == ["v720-h264-3000", "v720-h264-1500", "v720-hevc-1000"]


@pytest.mark.parametrize(
    ("fps", "segment_s", "gop", "gops", "exact"),
    [
        (Fraction(24), 4.0, 48, 2, Fraction(4)),
        (Fraction(25), 6.0, 50, 3, Fraction(6)),
        (Fraction(30000, 1001), 4.0, 60, 2, Fraction(120 * 1001, 30000)),
        (Fraction(24), 1.0, 24, 1, Fraction(1)),
        (Fraction(25), 5.0, 62, 2, Fraction(124, 25)),
        (Fraction(1), 1.0, 1, 1, Fraction(1)),
    ],
)
def test_a_segment_is_whole_gops(fps: Fraction, segment_s: float, gop: int, gops: int, exact: Fraction) -> None:
    found = timing(fps, segment_s)
    assert (found.gop, found.gops, found.segment_s) == (gop, gops, exact)
