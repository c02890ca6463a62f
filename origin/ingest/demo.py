"""The demo's film: 30 s of Big Buck Bunny in the package (licence beside it), looped to two minutes, and subtitles."""

import asyncio
from pathlib import Path

from origin.ingest.places import made
from origin.transcode import tools
from origin.transcode.child import Bounds, check

TITLE = "Big Buck Bunny"
CONTENT_ID = "big-buck-bunny"
_CLIPS = Path(__file__).with_name("demo")
CLIP = _CLIPS / "big_buck_bunny_720p_30s.mp4"
CLIP_S, LOOPS = 30, 4


async def demo_master(directory: Path) -> Path:
    """The two-minute master in `directory`, made by copying the stream unless it is there already."""
    target = directory / f"{CLIP.stem}_x{LOOPS}.mp4"

    async def make(part: Path) -> None:
        # Not -stream_loop: it puts the sound's priming between two rounds, so that pictures no longer follow at equal
        # times. For the same reason the sound is moved by its priming, a frame of 1024 samples.
        rounds = part.with_suffix(".txt")
        quoted = str(CLIP).replace("'", "'\\''")
        await asyncio.to_thread(rounds.write_text, f"file '{quoted}'\nduration {CLIP_S}\n" * LOOPS)
        command = [tools.FFMPEG, "-nostdin", "-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", f"file:{rounds}"]
        command += ["-map", "0", "-c", "copy", "-bsf:a", "setts=ts=TS+1024", "-fflags", "+bitexact"]
        try:
            await check([*command, "-f", "mp4", f"file:{part}"], Bounds(wall_s=60))
        finally:
            await asyncio.to_thread(rounds.unlink)

    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    await made(target, make)
    return target


def demo_subtitles() -> list[tuple[str, Path]]:
    """(language, file) of the demo's subtitles, as `Ingest.submit` takes them; submit them with `keep`."""
    return [(file.stem, file) for file in sorted(_CLIPS.glob("*.vtt"))]
