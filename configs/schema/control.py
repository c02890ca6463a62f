"""Settings of the control process."""

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from configs.schema.base import Address, BaseUrl, Name, Seconds, Settings, host_port


class Region(Settings):
    """One region of the installation."""

    networks: tuple[str, ...] = ()
    """Client networks (CIDR) that belong here; geo data refines this later."""
    next: tuple[Name, ...] = ()
    """Where to go when no edge here is eligible, nearest first (C-64)."""

    @field_validator("networks")
    @classmethod
    def _cidr(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ipaddress.ip_network(each)
        return value


class ControlSettings(Settings):
    """One control process; several may share a Redis."""

    listen: Address = "127.0.0.1:8100"
    """Public: steering and node API."""
    admin: Address = "127.0.0.1:8101"
    """Operators: admin API and console."""
    admin_token_file: Path | None = None
    """File with the operators' bearer token (mode 600, at least 16 characters); None only where `admin` is loopback."""
    fleet_key_file: Path
    """Fleet key (mode 600): node credentials derive from it."""
    redis_url: str | None = Field(default=None, pattern=r"^(rediss?|unix)://")
    """Redis. Without one the map lives in this process only, and /health says so."""
    regions: dict[Name, Region] = Field(default={"default": Region()}, min_length=1, max_length=200)
    """Regions by name."""
    default_region: Name = "default"
    """Region of a client that no network names."""
    expiry_s: Seconds = 2.5
    """A node that was silent this long is dead (contracts.md)."""
    interval_s: Seconds = 1.0
    """How often nodes are told to report."""
    eligible_load: float = Field(default=80.0, gt=0, le=100)
    """Load below which an edge is eligible, exclusive (CTL-02, T-019)."""
    bands: tuple[float, ...] = (90.0, 95.0)
    """Loads below which an edge is still taken when none is eligible, in order (D-14)."""
    candidates: int = Field(default=5, ge=1, le=50)
    """How many edges are considered for one session (CDN-07)."""
    public_url: BaseUrl | None = None
    """How players reach `listen`, for content steering. Default: http://<listen>; with port 0, or an
    address that stands for all, nobody is steered, and /health says so."""
    pathways: int = Field(default=3, ge=1, le=8)
    """Edges that a session's master playlist names; with 1 running sessions are not steered."""
    session_mbps: float = Field(default=4.0, gt=0, le=1000)
    """Egress that a session is expected to add, until the edge's heartbeats show it."""
    leave_load: float = Field(default=90.0, gt=0, le=100)
    """Load from which running sessions leave an edge, a share of them, until it is back at `eligible_load`."""
    steer_wrong_ttl_s: int = Field(default=5, ge=1, le=3600)
    """Players ask for steering again after this when something is wrong for their session."""
    steer_calm_ttl_s: int = Field(default=300, ge=1, le=3600)
    """They ask again after at most this when their edges have long been steady."""
    max_nodes: int = Field(default=10_000, ge=1, le=100_000)
    """Nodes in the map at most; further ones are refused."""
    drain_s: Seconds = 5.0
    """After SIGTERM, answers under way get this long."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        named = {self.default_region, *(name for region in self.regions.values() for name in region.next)}
        if unknown := sorted(named - set(self.regions)):
            raise ValueError(f"no such region: {', '.join(unknown)}; known: {', '.join(self.regions)}")
        if list(self.bands) != sorted(self.bands) or not all(self.eligible_load < b <= 100 for b in self.bands):
            raise ValueError("`bands` must rise from above `eligible_load` to 100 at most")
        if self.leave_load < self.eligible_load:
            raise ValueError("`leave_load` must not be below `eligible_load`")
        if self.steer_calm_ttl_s < self.steer_wrong_ttl_s:
            raise ValueError("`steer_calm_ttl_s` must not be below `steer_wrong_ttl_s`")
        if self.admin_token_file is None and not _is_loopback(host_port(self.admin)[0]):
            raise ValueError("`admin_token_file` is needed when `admin` is not a loopback address")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
