"""What a job encodes: names, languages and order of its tracks. Pure."""

from dataclasses import dataclass
from pathlib import Path

from origin.ingest.job import Job
from origin.packaging.package import Plan
from origin.packaging.packager import Track as Packed
from origin.transcode import ladder
from origin.transcode.describe import Probe, Track
from origin.transcode.ladder import Encode
from origin.transcode.timing import Timing, timing


@dataclass(frozen=True, slots=True)
class Text:
    """One subtitle track: from the side file of its language (index None), or from a stream of the master."""

    name: str
    language: str
    index: int | None


@dataclass(frozen=True, slots=True)
class Tracks:
    """Everything that one version consists of."""

    rungs: tuple[Encode, ...]
    audio: tuple[tuple[str, Track], ...]
    text: tuple[Text, ...]
    timing: Timing

    @property
    def weights(self) -> dict[str, float]:
        """How much of the encoding each track is: about its pixels; sound is little."""
        pixels = {each.name: float(each.width * each.height) for each in self.rungs}
        return pixels | {name: 20_000.0 for name, _ in self.audio}


def tracks(job: Job, seen: Probe) -> Tracks:
    """One rung a fitting box, one sound and one text a language; a side file goes before the master's own stream."""
    sides = [Text(f"t_{each.language}", each.language, None) for each in job.subtitles]
    given = {each.language for each in job.subtitles}
    own = {each.language: each for each in reversed(seen.subtitles) if each.language not in given}
    embedded = [Text(f"t_{language}", language, own[language].index) for language in sorted(own)]
    audio = {f"a_{each.language}": each for each in reversed(seen.audio)}
    return Tracks(
        rungs=tuple(ladder.choose(seen.width, seen.height, job.profile)),
        audio=tuple(sorted(audio.items(), key=lambda item: item[1].index)),
        text=tuple(sides + embedded),
        timing=timing(seen.fps, job.profile.segment_s),
    )


def packing(job: Job, found: Tracks, work: Path) -> Plan:
    """How the encoded files in `work` are packaged. Plain WebVTT for HLS, the same as fMP4 for DASH."""
    channels = job.profile.audio.channels
    video = [Packed(encoded(work, each.name), each.name, "video", kbps=each.kbps) for each in found.rungs]
    audio = [
        Packed(encoded(work, name), name, "audio", each.language, min(channels, each.channels))
        for name, each in found.audio
    ]
    text = [Packed(encoded(work, each.name, ".vtt"), each.name, "text", each.language) for each in found.text]
    wvtt = [Packed(each.file, f"td_{each.language}", "text", each.language, wvtt=True) for each in text]
    return Plan([*video, *audio, *text, *wvtt], found.timing.fps, found.timing.segment_s, job.profile.start_kbps)


def encoded(work: Path, name: str, suffix: str = ".mp4") -> Path:
    """The file of one encoded track."""
    return work / f"{name}{suffix}"
