"""Manifests from measured media: MAN-02 to MAN-12, T-009 to T-013. Pure."""

from fractions import Fraction

import m3u8
import pytest
from lxml import etree

from origin.packaging import dash, hls
from origin.packaging.boxes import find, walk
from origin.packaging.codecs import codec
from origin.packaging.hls import Title
from origin.packaging.media import Kind, Media, Segment, average, peak, target_duration

DASH = {"d": dash.NAMESPACE}


def media(name: str, kind: Kind, sizes: list[int], *, scale: int = 1000, ticks: int = 4000, **more: object) -> Media:
    suffix = "m4s" if more.get("init", "x") else "vtt"
    segments = tuple(
        Segment(f"{name}/{at + 1:05d}.{suffix}", at * ticks, ticks, size, sync=True) for at, size in enumerate(sizes)
    )
    values: dict[str, object] = {"language": "und", "codec": "avc1.64001f", "init": f"{name}/init.mp4"} | more
    return Media(name=name, kind=kind, timescale=scale, segments=segments, **values)  # type: ignore[arg-type]


def rung(height: int, kbps: int, sizes: list[int] | None = None, **more: object) -> Media:
    width = height * 16 // 9
    return media(f"v{height}", "video", sizes or [kbps * 500] * 3, height=height, width=width, kbps=kbps, **more)


def title(**more: object) -> Title:
    sound = media(
        "a_en", "audio", [64_000] * 3, scale=48000, ticks=192512, codec="mp4a.40.2", channels=2, language="en"
    )
    values: dict[str, object] = {
        "video": (rung(720, 2400), rung(480, 1100), rung(360, 600)), "audio": (sound,), "text": (), "wvtt": (),
        "fps": Fraction(30000, 1001), "segment_s": Fraction(4), "start_kbps": 1500,
    }  # fmt: skip
    return Title(**(values | more))  # type: ignore[arg-type]


def subtitles() -> dict[str, object]:
    text = [media(f"t_{tag}", "text", [40] * 2, codec="wvtt", language=tag, init=None) for tag in ("en", "pt-BR")]
    wvtt = [media(f"td_{tag}", "text", [90] * 2, codec="wvtt", language=tag) for tag in ("en", "pt-BR")]
    return {"text": tuple(text), "wvtt": tuple(wvtt)}


def test_master_head_and_groups() -> None:
    """MAN-02, MAN-03, MAN-04, T-011."""
    text = hls.master(title(**subtitles()))
    assert text.startswith("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n")
    parsed = m3u8.loads(text)
    found = {(each.type, each.language, each.name, each.default, each.autoselect, each.uri) for each in parsed.media}
    assert found == {
        ("AUDIO", "en", "English", "YES", "YES", "a_en.m3u8"),
        ("SUBTITLES", "en", "English", "NO", "YES", "t_en.m3u8"),
        ("SUBTITLES", "pt-BR", "Português (pt-BR)", "NO", "YES", "t_pt-BR.m3u8"),
    }
    assert next(each for each in parsed.media if each.type == "AUDIO").channels == "2"
    assert {each.stream_info.subtitles for each in parsed.playlists} == {"subs"}


def test_groups_that_do_not_exist_are_not_named() -> None:
    """T-011: an empty group is invalid."""
    text = hls.master(title(audio=()))
    assert "AUDIO=" not in text and "SUBTITLES=" not in text and "EXT-X-MEDIA" not in text
    assert 'CODECS="avc1.64001f"' in text


def test_variants_say_what_was_measured() -> None:
    """MAN-05, MAN-06, T-009: peak of video and heaviest sound; codecs of both; frame rate."""
    heavy = rung(720, 2400, [1_000_000, 2_000_000, 1_500_000])
    first = m3u8.loads(hls.master(title(video=(heavy,)))).playlists[0]
    assert first.stream_info.bandwidth == 2_000_000 * 8 // 4 + round(Fraction(64_000 * 8 * 48000, 192512))
    assert first.stream_info.average_bandwidth == 3_000_000 + round(Fraction(64_000 * 8 * 48000, 192512))
    assert first.stream_info.resolution == (1280, 720)
    assert first.stream_info.frame_rate == 29.97
    assert first.stream_info.codecs == "avc1.64001f,mp4a.40.2"
    assert first.stream_info.audio == "audio"


@pytest.mark.parametrize(
    ("start_kbps", "order"),
    [(1500, ["v480", "v720", "v360"]), (9000, ["v720", "v480", "v360"]), (100, ["v360", "v720", "v480"])],
)
def test_start_rung_first_then_highest_first(start_kbps: int, order: list[str]) -> None:
    """MAN-08, T-012."""
    parsed = m3u8.loads(hls.master(title(start_kbps=start_kbps)))
    assert [each.uri for each in parsed.playlists] == [f"{name}.m3u8" for name in order]


def test_names_are_quoted() -> None:
    assert hls.quoted('a "b"\nc') == "\"a 'b' c\""


def test_media_playlist() -> None:
    """MAN-09: target is the longest segment rounded up, real durations, an end."""
    sound = title().audio[0]
    parsed = m3u8.loads(hls.playlist(sound))
    assert (parsed.target_duration, parsed.version, parsed.is_endlist) == (5, 7, True)
    assert parsed.playlist_type == "vod"
    assert [each.uri for each in parsed.segments] == ["a_en/00001.m4s", "a_en/00002.m4s", "a_en/00003.m4s"]
    assert parsed.segment_map[0].uri == "a_en/init.mp4"
    assert sum(each.duration for each in parsed.segments) == pytest.approx(float(sound.duration), abs=1e-5)


def test_a_webvtt_playlist_has_no_map() -> None:
    """MAN-10."""
    text = hls.playlist(media("t_en", "text", [40], init=None))
    assert "EXT-X-MAP" not in text and "t_en/00001.vtt" in text


@pytest.mark.parametrize(
    ("sizes", "ticks", "expected"),
    [
        ([500_000, 1_000_000], 4000, 2_000_000),
        ([1_000_000, 1_000_000, 500_000], 2000, 4_000_000),  # each is half the target: one alone counts
        ([900_000, 100_000, 900_000], 1000, 1_900_000 * 8 / 3),  # too short alone: runs of 2 to 6 s
        ([100_000], 1000, 800_000),  # nothing is long enough: the average
    ],
)
def test_peak_is_over_half_to_one_and_a_half_targets(sizes: list[int], ticks: int, expected: float) -> None:
    """RFC 8216 4.3.4.2."""
    assert peak(media("v", "video", sizes, ticks=ticks), Fraction(4)) == round(expected)


def test_averages_and_targets() -> None:
    assert average(media("v", "video", [1000, 3000])) == 4000
    assert [target_duration(media("v", "video", [1], ticks=ticks)) for ticks in (4000, 4001, 999)] == [4, 5, 1]


def test_mpd_is_a_whole_static_manifest() -> None:
    """T-013, MAN-11, MAN-12."""
    root = etree.fromstring(dash.manifest(title(**subtitles())))
    assert root.tag == f"{{{dash.NAMESPACE}}}MPD"
    assert dict(root.attrib) == {
        "profiles": "urn:mpeg:dash:profile:isoff-live:2011", "type": "static", "mediaPresentationDuration": "PT12S",
        "minBufferTime": "PT4S", "maxSegmentDuration": "PT4.010667S",
    }  # fmt: skip
    groups = root.findall("d:Period/d:AdaptationSet", DASH)
    assert [(each.get("contentType"), each.get("mimeType"), each.get("lang")) for each in groups] == [
        ("video", "video/mp4", None),
        ("audio", "audio/mp4", "en"),
        ("text", "application/mp4", "en"),
        ("text", "application/mp4", "pt-BR"),
    ]
    assert [each.find("d:Role", DASH).get("value") for each in groups[1:]] == ["main", "subtitle", "subtitle"]
    video = groups[0].findall("d:Representation", DASH)
    assert [each.get("id") for each in video] == ["v720", "v480", "v360"]
    for each in root.iterfind(".//d:Representation", DASH):
        assert int(each.get("bandwidth", "0")) > 0 and each.get("codecs")
        template = each.find("d:SegmentTemplate", DASH)
        assert template is not None
        assert template.get("initialization") == "$RepresentationID$/init.mp4"
        assert template.get("media") == "$RepresentationID$/$Number%05d$.m4s"
        assert (template.get("startNumber"), template.get("duration")) == ("1", None)
    assert (video[0].get("width"), video[0].get("height"), video[0].get("frameRate")) == ("1280", "720", "30000/1001")
    timeline = video[0].findall(".//d:S", DASH)
    assert [dict(each.attrib) for each in timeline] == [{"t": "0", "d": "4000", "r": "2"}]


def test_mpd_keeps_codec_families_apart() -> None:
    """A player switches within a set only, and not between codecs."""
    hevc = rung(1080, 3000, codec="hvc1.1.6.L120.90")
    root = etree.fromstring(dash.manifest(title(video=(hevc, *title().video))))
    sets = root.findall("d:Period/d:AdaptationSet[@contentType='video']", DASH)
    names = [[each.get("id") for each in one.findall("d:Representation", DASH)] for one in sets]
    assert names == [["v720", "v480", "v360"], ["v1080"]]


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0",
        b"\0\0\0\x07free",
        b"\0\0\0\x20free",
        b"\0\0\0\x01free\0\0",
        b"\0\0\0\x08moov\0\0\0\x09",
        b"\0\0\0\x10moov\0\0\0\x10trak",
    ],
)
def test_boxes_that_do_not_fit_are_errors(data: bytes) -> None:
    with pytest.raises(ValueError, match="box"):
        [list(find(data, "moov/trak/mdia")), list(walk(data)), codec(data)]
