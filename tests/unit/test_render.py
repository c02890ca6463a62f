"""Masters as a session gets them: pathways (rfc8216bis, ETSI TS 103 998; contracts.md), cap (CDN-06, MAN-17)."""

import m3u8
import pytest
from lxml import etree

from edge.render.masters import Masters, Session, is_master
from origin.contract import pathways
from origin.contract.pathways import Pathways
from origin.packaging import dash, hls
from tests.media.test_manifests import subtitles, title

STEER = "http://c.test:8100/steer/abc"
WAYS = Pathways(("http://a.test:8301", "http://b.test:8302", "https://c.test"), STEER)
HLS, DASH = "/content/bbb/v1/master.m3u8", "/content/bbb/v1/manifest.mpd"
MASTER = hls.master(title(**subtitles())).encode()
MPD = dash.manifest(title(**subtitles()))
NS = {"d": dash.NAMESPACE}


def render(stored: bytes, path: str, ways: Pathways | None = WAYS, cap: int | None = None, token: str = "tok") -> str:
    return Masters().render(stored, Session(token, path, cap, ways)).decode()


def base(edge: str, token: str = "tok") -> str:
    return f"{edge}/~{token}/content/bbb/v1/"


def test_hls_has_every_variant_once_a_pathway() -> None:
    text = render(MASTER, HLS)
    stored, parsed = m3u8.loads(MASTER.decode()), m3u8.loads(text)
    count = len(stored.playlists)
    assert len(parsed.playlists) == 3 * count
    for at, edge in enumerate(("", base(WAYS.bases[1]), base(WAYS.bases[2]))):
        for ours, theirs in zip(parsed.playlists[at * count : (at + 1) * count], stored.playlists, strict=True):
            assert ours.uri == edge + theirs.uri
            assert ours.stream_info.pathway_id == "ABC"[at]
            assert ours.stream_info.bandwidth == theirs.stream_info.bandwidth
            assert ours.stream_info.audio == theirs.stream_info.audio + ("" if not at else "-" + "ABC"[at])
    assert text.startswith("#EXTM3U\n#EXT-X-VERSION:7\n")
    assert f'#EXT-X-CONTENT-STEERING:SERVER-URI="{STEER}",PATHWAY-ID="A"\n' in text
    assert text.count("#EXT-X-INDEPENDENT-SEGMENTS") == 1


def test_hls_renditions_are_of_their_pathways_own_groups() -> None:
    parsed = m3u8.loads(render(MASTER, HLS))
    groups: dict[str, list[str]] = {}
    for each in parsed.media:
        groups.setdefault(f"{each.type} {each.group_id}", []).append(each.uri)
    assert groups["AUDIO audio"] == ["a_en.m3u8"]
    assert groups["AUDIO audio-B"] == [base(WAYS.bases[1]) + "a_en.m3u8"]
    assert groups["SUBTITLES subs-C"] == [base(WAYS.bases[2]) + f"t_{tag}.m3u8" for tag in ("en", "pt-BR")]
    named = {f"AUDIO {p.stream_info.audio}" for p in parsed.playlists}
    named |= {f"SUBTITLES {p.stream_info.subtitles}" for p in parsed.playlists}
    assert named == set(groups)


def test_dash_has_a_base_a_pathway_and_the_server() -> None:
    root = etree.fromstring(render(MPD, DASH).encode())
    assert [etree.QName(each).localname for each in root][:5] == [*["BaseURL"] * 3, "ContentSteering", "Period"]
    bases = root.findall("d:BaseURL", NS)
    assert [each.get("serviceLocation") for each in bases] == ["A", "B", "C"]
    assert [each.text for each in bases] == [base(edge) for edge in WAYS.bases]
    server = root.find("d:ContentSteering", NS)
    assert server is not None
    assert (server.get("defaultServiceLocation"), server.get("queryBeforeStart"), server.text) == ("A", "false", STEER)
    stored = etree.fromstring(MPD)
    assert etree.tostring(root.find("d:Period", NS)) == etree.tostring(stored.find("d:Period", NS))


@pytest.mark.parametrize(("stored", "path"), [(MASTER, HLS), (MPD, DASH)], ids=["hls", "dash"])
def test_without_pathways_or_cap_the_stored_bytes_are_the_answer(stored: bytes, path: str) -> None:
    for ways in (None, Pathways(("http://a.test",), STEER)):
        for cap in (None, 6000):
            assert render(stored, path, ways, cap) == stored.decode()


@pytest.mark.parametrize(
    ("cap", "heights"), [(6000, {720, 480, 360}), (2500, {480, 360}), (1300, {480, 360}), (900, {360}), (10, {360})]
)
def test_cdn_06_rungs_above_the_cap_are_left_out_and_one_always_stays(cap: int, heights: set[int]) -> None:
    """MAN-17, T-021: the same rungs in HLS and in DASH."""
    for ways in (None, WAYS):
        parsed = m3u8.loads(render(MASTER, HLS, ways, cap))
        assert {each.stream_info.resolution[1] for each in parsed.playlists} == heights
        root = etree.fromstring(render(MPD, DASH, ways, cap).encode())
        assert {int(each.get("height")) for each in root.iterfind(".//d:Representation[@height]", NS)} == heights
        assert root.findall(".//d:Representation[@audioSamplingRate]", NS), "sound has no rung"


def test_an_mpd_that_says_no_average_is_capped_by_its_peaks() -> None:
    root = etree.fromstring(MPD)
    for each in root.findall(".//d:SupplementalProperty", NS):
        each.getparent().remove(each)
    left = etree.fromstring(render(etree.tostring(root), DASH, None, 1200).encode())
    assert [each.get("height") for each in left.iterfind(".//d:Representation[@height]", NS)] == ["480", "360"]


def test_with_control_away_pathways_stand_without_a_server() -> None:
    ways = Pathways(WAYS.bases, None)
    assert "CONTENT-STEERING" not in render(MASTER, HLS, ways)
    assert 'PATHWAY-ID="B"' in render(MASTER, HLS, ways)
    assert "ContentSteering" not in render(MPD, DASH, ways)


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_a_name_stays_in_its_line_whatever_signs_it_has(sign: str) -> None:
    """RFC 8216 4.1: lines end with LF or CRLF and nothing else; what a title says must not become a tag."""
    evil = f'a{sign}#EXT-X-SESSION-KEY:METHOD=AES-128,URI="https://elsewhere.test/key"'
    named = MASTER.decode().replace("\n", f'\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="{evil[:8]}"\n', 1)
    named += f"#{evil}\n"
    text = render(named.encode(), HLS)
    assert not any(line.startswith("#EXT-X-SESSION-KEY") for line in text.split("\n"))
    assert f"#{evil}" in text.split("\n")


def test_lines_may_end_with_cr_lf() -> None:
    assert render(MASTER.replace(b"\n", b"\r\n"), HLS) == render(MASTER, HLS)


def test_what_is_alike_is_prepared_once_and_sessions_do_not_mix() -> None:
    masters = Masters()
    for stored, path in ((MASTER, HLS), (MPD, DASH)):
        for number in range(5):
            token = f"token{number}"
            text = masters.render(stored, Session(token, path, 6000, WAYS)).decode()
            assert text.count(base(WAYS.bases[1], token)) >= 1
            assert not any(f"token{other}" in text for other in range(5) if other != number)
    assert len(masters) == 2
    masters.render(MASTER, Session("t", HLS, 1300, WAYS))
    assert len(masters) == 3


def test_the_memory_of_templates_is_bounded() -> None:
    masters = Masters(memory=20_000)
    for cap in range(1, 200):
        masters.render(MASTER, Session("t", HLS, cap, WAYS))
    assert 0 < len(masters) < 20
    for number in range(200):
        untouched = MASTER + b"# %d\n" % number
        assert masters.render(untouched, Session("t", HLS, None, None)) == untouched
    assert len(masters) < 100, "what is answered as it is stored is remembered within bounds too"
    small = Masters(memory=10)
    assert small.render(MASTER, Session("tok", HLS, 6000, WAYS)).decode() == render(MASTER, HLS, WAYS, 6000)
    assert len(small) == 0


@pytest.mark.parametrize(
    ("stored", "path"),
    [
        (b"", HLS),
        (b"\xff\xfe", HLS),
        (b"#EXTM3U\n#EXTINF:4,\nseg.ts\n", HLS),
        (b'#EXTM3U\n#EXT-X-STREAM-INF:CODECS="a"\nv.m3u8\n', HLS),
        (MASTER.replace(b"v720", "\ue000".encode()), HLS),
        (b"<x/>", DASH),
        (b"<MPD", DASH),
        (b"", DASH),
    ],
)
def test_what_is_no_master_is_an_error(stored: bytes, path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        render(stored, path, WAYS, 6000)


def test_an_xml_entity_is_not_opened(tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    mpd = MPD.replace(b"<MPD", f'<!DOCTYPE MPD [<!ENTITY x SYSTEM "file://{secret}">]><MPD'.encode(), 1)
    mpd = mpd.replace(b"</Period>", b"&x;</Period>")
    assert "hidden" not in render(mpd, DASH)


def test_only_masters_are_rendered() -> None:
    assert is_master(HLS)
    assert is_master(DASH)
    assert not is_master("/content/bbb/v1/v720.m3u8")
    assert not is_master("/content/bbb/v1/xmaster.m3u8")


def test_the_query_carries_the_pathways() -> None:
    value = pathways.encode(WAYS)
    assert pathways.decode(value) == WAYS
    assert pathways.split(f"a=1&steer={value}&CMCD=x") == (value, "a=1&CMCD=x")
    assert pathways.split("a=1") == (None, "a=1")
    assert pathways.decode(pathways.encode(Pathways(("http://a",), None))) == Pathways(("http://a",), None)
    for wrong in ("", "x", "x" * 7000, pathways.encode(Pathways((), STEER)), pathways.encode(Pathways(('a"b',), None))):
        with pytest.raises(ValueError, match=r"."):
            pathways.decode(wrong)
