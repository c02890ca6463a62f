"""Settings of the control process."""

from pathlib import Path

from pydantic import Field

from configs.schema.base import Address, Name, Seconds, Settings


class Region(Settings):
    """One region of the installation."""

    networks: tuple[str, ...] = ()
    """Client networks (CIDR) that belong here; geo data refines this later."""
    next: tuple[Name, ...] = ()
    """Where to go when no edge here is eligible, nearest first (C-64)."""


class ControlSettings(Settings):
    """One control process; several may share a Redis."""

    listen: Address = "127.0.0.1:8100"
    """Public: steering and node API."""
    admin: Address = "127.0.0.1:8101"
    """Operators: admin API and console."""
    fleet_key_file: Path
    """Fleet key (mode 600): node credentials derive from it."""
    redis_url: str | None = Field(default=None, pattern=r"^(rediss?|unix)://")
    """Redis. Without one the map lives in this process only, and /health says so."""
    regions: dict[Name, Region] = {"default": Region()}
    """Regions by name."""
    default_region: Name = "default"
    """Region of a client that no network names."""
    expiry_s: Seconds = 2.5
    """A node that was silent this long is dead (contracts.md)."""
    eligible_load: float = Field(default=80.0, gt=0, le=100)
    """Load below which an edge is eligible, exclusive (CTL-02, T-019)."""
    candidates: int = Field(default=5, ge=1, le=50)
    """How many edges are considered for one session (CDN-07)."""
