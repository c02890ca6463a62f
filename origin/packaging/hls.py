"""HLS playlists (RFC 8216, MAN-02 to MAN-10). Pure: measured media in, text out."""

from dataclasses import dataclass
from fractions import Fraction

from origin.packaging.media import Media, average, longest, peak, target_duration
from origin.transcode import languages

AUDIO, SUBTITLES = "audio", "subs"


@dataclass(frozen=True, slots=True)
class Title:
    """Everything that the manifests of one version are written from. Text: `text` for HLS, `wvtt` for DASH."""

    video: tuple[Media, ...]
    audio: tuple[Media, ...]
    text: tuple[Media, ...]
    wvtt: tuple[Media, ...]
    fps: Fraction
    segment_s: Fraction
    start_kbps: int


def playlist(media: Media) -> str:
    """One track's playlist: every segment with its real duration (MAN-09)."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{target_duration(media)}"]
    lines += ["#EXT-X-MEDIA-SEQUENCE:1", "#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines += [f'#EXT-X-MAP:URI="{media.init}"'] if media.init else []
    for each in media.segments:
        lines += [f"#EXTINF:{float(media.seconds(each)):.6f},", each.path]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def master(title: Title) -> str:
    """The master playlist: start rung first, then highest first (MAN-08, T-012)."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines += [_rendition("AUDIO", AUDIO, each, default=each is title.audio[0]) for each in title.audio]
    lines += [_rendition("SUBTITLES", SUBTITLES, each, default=False) for each in title.text]
    for rung in start_first(title.video, title.start_kbps):
        lines += [_variant(title, rung), f"{rung.name}.m3u8"]
    return "\n".join([*lines, ""])


def start_first(video: tuple[Media, ...], start_kbps: int) -> list[Media]:
    """The highest rung of at most `start_kbps` (else the lowest), then the others, highest first."""
    ordered = sorted(video, key=lambda rung: (rung.height, rung.kbps), reverse=True)
    start = next((rung for rung in sorted(ordered, key=lambda r: -r.kbps) if rung.kbps <= start_kbps), ordered[-1])
    return [start, *(rung for rung in ordered if rung is not start)]


def bandwidth(title: Title, rung: Media) -> tuple[int, int]:
    """Measured peak and average of a rung with the heaviest sound, bit/s (T-009)."""
    sound = longest(title.audio)
    tracks = [rung, sound] if sound else [rung]
    return sum(peak(each, title.segment_s) for each in tracks), sum(average(each) for each in tracks)


def quoted(text: str) -> str:
    """A quoted-string; what one cannot hold (RFC 8216 4.2: quotes, line ends) is left out or replaced."""
    return '"' + text.replace('"', "'").replace("\r", " ").replace("\n", " ") + '"'


def _rendition(kind: str, group: str, media: Media, *, default: bool) -> str:
    language = [] if media.language == languages.UNKNOWN else [f"LANGUAGE={quoted(media.language)}"]
    name = languages.name(media.language) + (f" ({media.language})" if "-" in media.language else "")
    channels = [f'CHANNELS="{media.channels}"'] if media.channels else ["FORCED=NO"]
    parts = [f"TYPE={kind}", f'GROUP-ID="{group}"', *language, f"NAME={quoted(name)}"]
    parts += [f"DEFAULT={'YES' if default else 'NO'}", "AUTOSELECT=YES", *channels, f'URI="{media.name}.m3u8"']
    return "#EXT-X-MEDIA:" + ",".join(parts)


def _variant(title: Title, rung: Media) -> str:
    """Groups are named only where they exist (T-011)."""
    high, mean = bandwidth(title, rung)
    codecs = ",".join(dict.fromkeys([rung.codec, *(each.codec for each in title.audio)]))
    parts = [f"BANDWIDTH={high}", f"AVERAGE-BANDWIDTH={mean}", f'CODECS="{codecs}"']
    parts += [f"RESOLUTION={rung.width}x{rung.height}", f"FRAME-RATE={float(title.fps):.3f}"]
    parts += [f'AUDIO="{AUDIO}"'] if title.audio else []
    parts += [f'SUBTITLES="{SUBTITLES}"'] if title.text else []
    return "#EXT-X-STREAM-INF:" + ",".join([*parts, "CLOSED-CAPTIONS=NONE"])
