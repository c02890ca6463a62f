"""An SVG as PNG, by Debian's Chromium: our browser tests have it already, and nothing needs a picture to run."""

import re
import subprocess
import tempfile
from pathlib import Path

from bench.peers.processes import which
from kit.errors import SettingsError

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_S = 60
_SHARP = 2
"""Pixels of the picture a unit of the drawing: for screens that have so many."""


def browser() -> str:
    """What draws. SettingsError where there is none."""
    found = next((path for name in _BROWSERS if (path := which(name))), None)
    if found is None:
        raise SettingsError("`--png` needs a browser to draw with: apt-get install chromium; `--svg` needs none")
    return found


def png(svg: str, file: Path) -> None:
    """Write the drawing, at twice its size. SettingsError where it cannot be."""
    command = browser()
    size = re.search(r'width="(\d+)" height="(\d+)"', svg)
    assert size is not None
    file.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="headrace-picture-") as folder:
        drawing = Path(folder) / "chart.svg"
        drawing.write_text(svg, encoding="utf-8")
        done = subprocess.run(
            [
                command,
                "--headless",
                "--no-sandbox",  # it shows a file of ours; root has no sandbox
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                f"--force-device-scale-factor={_SHARP}",
                f"--window-size={size[1]},{size[2]}",
                f"--screenshot={file.absolute()}",
                drawing.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    if done.returncode or not file.exists():
        raise SettingsError(f"{command} drew no {file}: {done.stderr[-300:]}")
