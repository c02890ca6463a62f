"""The DASH manifest (ISO/IEC 23009-1, MAN-11, T-013): static, one Period, SegmentTimeline over the CMAF names. Pure."""

from fractions import Fraction
from itertools import groupby

from lxml import etree

from origin.contract.urls import AVERAGE_BANDWIDTH
from origin.packaging.hls import Title, bandwidth
from origin.packaging.media import Media, peak
from origin.transcode import languages

NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
_PROFILE = "urn:mpeg:dash:profile:isoff-live:2011"
_ROLE = "urn:mpeg:dash:role:2011"
_CHANNELS = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"


def manifest(title: Title) -> bytes:
    """The whole MPD as UTF-8."""
    root = etree.Element(f"{{{NAMESPACE}}}MPD", nsmap={None: NAMESPACE})  # type: ignore[dict-item]  # lxml-stubs: keys may be None
    seconds = max(each.duration for each in title.video)
    _set(root, profiles=_PROFILE, type="static", mediaPresentationDuration=_duration(seconds))
    _set(root, minBufferTime=_duration(title.segment_s), maxSegmentDuration=_duration(_longest(title)))
    period = _add(root, "Period", id="0", start="PT0S")
    for number, tracks in enumerate(_sets(title)):
        _adaptation(period, number, tracks, title)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _sets(title: Title) -> list[list[Media]]:
    """Players switch within a set only: one a video codec, one a language."""
    by_codec = sorted(title.video, key=lambda each: each.codec.partition(".")[0])
    video = [list(rungs) for _, rungs in groupby(by_codec, key=lambda each: each.codec.partition(".")[0])]
    return [*video, *([each] for each in title.audio), *([each] for each in title.wvtt)]


def _adaptation(period: etree._Element, number: int, tracks: list[Media], title: Title) -> None:
    first = tracks[0]
    group = _add(period, "AdaptationSet", id=str(number), contentType=first.kind, segmentAlignment="true")
    _set(
        group,
        startWithSAP="1",
        mimeType={"video": "video/mp4", "audio": "audio/mp4"}.get(first.kind, "application/mp4"),
    )
    if first.language != languages.UNKNOWN:
        _set(group, lang=first.language)
    if first.kind == "video":
        _set(group, maxWidth=str(max(t.width for t in tracks)), maxHeight=str(max(t.height for t in tracks)))
        _set(group, maxFrameRate=str(title.fps))
    else:
        role = "subtitle" if first.kind == "text" else "main" if first is title.audio[0] else "dub"
        _add(group, "Role", schemeIdUri=_ROLE, value=role)
    for media in sorted(tracks, key=lambda each: (each.height, each.kbps), reverse=True):
        _representation(group, media, title)


def _representation(group: etree._Element, media: Media, title: Title) -> None:
    found = _add(
        group, "Representation", id=media.name, bandwidth=str(peak(media, title.segment_s)), codecs=media.codec
    )
    if media.kind == "video":
        _set(found, width=str(media.width), height=str(media.height), frameRate=str(title.fps), sar="1:1")
    if media.kind == "audio":
        _set(found, audioSamplingRate=str(media.timescale))
        _add(found, "AudioChannelConfiguration", schemeIdUri=_CHANNELS, value=str(media.channels))
    if media.kind == "video":
        _add(found, "SupplementalProperty", schemeIdUri=AVERAGE_BANDWIDTH, value=str(bandwidth(title, media)[1]))
    template = _add(found, "SegmentTemplate", timescale=str(media.timescale), startNumber="1")
    _set(template, initialization="$RepresentationID$/init.mp4", media="$RepresentationID$/$Number%05d$.m4s")
    timeline = _add(template, "SegmentTimeline")
    for duration, run in groupby(media.segments, key=lambda each: each.duration):
        alike = list(run)
        entry = _add(timeline, "S", t=str(alike[0].start), d=str(duration))
        if len(alike) > 1:
            _set(entry, r=str(len(alike) - 1))


def _longest(title: Title) -> Fraction:
    tracks = (*title.video, *title.audio)
    return max(each.seconds(segment) for each in tracks for segment in each.segments)


def _duration(seconds: Fraction) -> str:
    return f"PT{float(seconds):.6f}".rstrip("0").rstrip(".") + "S"


def _add(parent: etree._Element, name: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{name}", attributes)


def _set(element: etree._Element, **attributes: str) -> None:
    for name, value in attributes.items():
        element.set(name, value)
