"""The demo: an installation in two regions on one machine (topology.toml)."""

from pathlib import Path

from configs.load import load
from configs.schema.topology import Topology

FILE = Path(__file__).with_name("topology.toml")


def topology(file: Path | None = None) -> Topology:
    """The topology of `file`, or the demo's. SettingsError when it is wrong."""
    return load(Topology, file=file or FILE, process="topology")
