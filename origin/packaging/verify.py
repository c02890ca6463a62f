"""What a version must fulfil before anything of it is stored (T-006, ING-20)."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import m3u8
from lxml import etree

from kit.errors import HeadraceError
from origin.contract.urls import MASTER_DASH, MASTER_HLS
from origin.packaging.dash import NAMESPACE
from origin.packaging.hls import Title
from origin.packaging.media import Media


class NotVerified(HeadraceError):
    """A packaged version is not what it should be; the message says which check failed and where."""

    kind = "not_verified"


def verify(root: Path, title: Title, duration_s: float, *, exact: bool) -> None:
    """Raise NotVerified unless `root` holds a whole, consistent version of a source of `duration_s`.

    With `exact` every rung lasts as long as the source within a frame (and half of one for rounding to its rate);
    without, the source's length is its container's guess and a second is allowed.
    """
    allowed = Fraction(3, 2) / title.fps if exact else Fraction(1)
    for rung in title.video:
        _expect(abs(rung.duration - Fraction(duration_s)) <= allowed, f"{rung.name} lasts {float(rung.duration):.3f} s")
    for media in (*title.video, *title.audio, *title.wvtt):
        _continuous(media)
    _aligned(title.video)
    _references(root)


def _continuous(media: Media) -> None:
    first = media.segments[0]
    _expect(media.kind == "text" or first.start <= media.timescale, f"{media.name} begins at tick {first.start}")
    for each in media.segments:
        _expect(each.sync, f"{each.path} does not begin with a sync sample")
        _expect(each.duration > 0, f"{each.path} is empty")
    for before, after in pairwise(media.segments):
        _expect(before.start + before.duration == after.start, f"{after.path} does not follow {before.path}")


def _aligned(video: tuple[Media, ...]) -> None:
    """Same count and boundaries on every rung, so that a player may switch at any of them (T-004)."""
    cuts = {tuple(Fraction(each.start, rung.timescale) for each in rung.segments) for rung in video}
    _expect(len(cuts) == 1, "the rungs do not cut at the same times")


def _references(root: Path) -> None:
    """Playlists parse; what they name exists; nothing else does."""
    named = {MASTER_HLS, MASTER_DASH} | _named_by_hls(root) | _named_by_dash(root)
    there = {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}
    _expect(named <= there, f"named but missing: {', '.join(sorted(named - there)[:3])}")
    _expect(there <= named, f"there but named nowhere: {', '.join(sorted(there - named)[:3])}")


def _named_by_hls(root: Path) -> set[str]:
    master = m3u8.loads((root / MASTER_HLS).read_text())
    _expect(master.is_variant, "the master playlist has no variant")
    playlists = {each.uri for each in (*master.playlists, *master.media)}
    named = set(playlists)
    for name in playlists:
        _expect((root / name).is_file(), f"named but missing: {name}")
        found = m3u8.loads((root / name).read_text())
        _expect(found.is_endlist and bool(found.segments), f"{name} is no whole VOD playlist")
        named |= {each.uri for each in (*found.segments, *found.segment_map)}
    return named


def _named_by_dash(root: Path) -> set[str]:
    named: set[str] = set()
    tree = etree.parse(root / MASTER_DASH)
    spaces = {"d": NAMESPACE}
    for found in tree.findall(".//d:Representation", spaces):
        template = found.find("d:SegmentTemplate", spaces)
        assert template is not None
        count = sum(int(each.get("r", "0")) + 1 for each in template.iterfind(".//d:S", spaces))
        named |= {f"{found.get('id')}/init.mp4"} | {f"{found.get('id')}/{n:05d}.m4s" for n in range(1, count + 1)}
    return named


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotVerified(otherwise)
