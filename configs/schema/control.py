"""Settings of the control process."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from configs.schema.administration import AdministrationSettings
from configs.schema.base import (
    Address,
    BaseUrl,
    Country,
    Files,
    Name,
    Networks,
    Seconds,
    Settings,
    host_port,
    is_loopback,
)


class Region(Settings):
    """One region of the installation."""

    networks: Networks = ()
    """Client networks (CIDR) that belong here, whatever the geo database says."""
    countries: tuple[Country, ...] = ()
    """Countries (ISO 3166-1 alpha-2) whose clients belong here, however far they are."""
    latitude: float | None = Field(default=None, ge=-90, le=90)
    """Degrees north. With `longitude`: clients of no named network or country go to the nearest region (great circle).
    """
    longitude: float | None = Field(default=None, ge=-180, le=180)
    """Degrees east."""
    next: tuple[Name, ...] = ()
    """Where to go when no edge here is eligible, nearest first (C-64). Default: the other regions with coordinates, by
    distance, when this one has them."""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("`latitude` and `longitude` are given both or not at all")
        return self


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
    geo_database: Files = ()
    """MaxMind DBs of countries or cities (`headrace geo fetch`), the first that knows an address places it; taken anew
    when a file changes and on SIGHUP. Without one, clients are placed by `networks` alone, and /health says so."""
    networks_seen: int = Field(default=100_000, ge=100, le=2_000_000)
    """Client networks (/24, /48) whose round trips to edges are remembered; the longest silent go first (CTL-03)."""
    latency_half_life_s: Seconds = 3600.0
    """After this long without news, what is known of a round trip counts for half as many samples."""
    votes_half_life_s: Seconds = 300.0
    """After this long what players said of an edge counts half."""
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
    trusted_proxies: Networks = ()
    """Networks (CIDR) of the proxies before `listen`: the router takes a client's address from X-Forwarded-For of them
    alone, and of it the right-most address that is not theirs (T-022)."""
    pathways: int = Field(default=3, ge=1, le=8)
    """Edges that a session's master playlist names; with 1 running sessions are not steered."""
    session_mbps: float = Field(default=4.0, gt=0, le=1000)
    """Egress that a session is expected to add, until the edge's heartbeats show it."""
    leave_load: float = Field(default=90.0, gt=0, le=100)
    """Load from which running sessions leave an edge, a share of them, until it is back at `eligible_load`."""
    quality_loss: float = Field(default=0.9, ge=0, le=0.9)
    """Share of its sessions that an edge loses to others of its region at most, for players fare clearly worse there,
    or for it is degraded; 0: neither moves anybody."""
    steer_wrong_ttl_s: int = Field(default=5, ge=1, le=3600)
    """Players ask for steering again after this when something is wrong for their session."""
    steer_calm_ttl_s: int = Field(default=300, ge=1, le=3600)
    """They ask again after at most this when their edges have long been steady."""
    max_nodes: int = Field(default=10_000, ge=1, le=100_000)
    """Nodes in the map at most; further ones are refused."""
    administration: AdministrationSettings = AdministrationSettings()
    """Admin API and console."""
    probe_every_s: Seconds = 5.0
    """How often nodes that give a `probe_url` are asked, and all are judged: three looks make one down, two up again
    (D-18)."""
    silent_share: float = Field(default=0.5, gt=0, le=1)
    """More than this share of the nodes falling silent at once is not believed: the map stays, and /health says so."""
    silent_least: int = Field(default=4, ge=2)
    """With fewer nodes than this every silence is believed."""
    silent_most_s: Seconds = 60.0
    """Once some nodes are heard again, those that stay silent this long are believed dead."""
    orders_kept: int = Field(default=500, ge=10, le=10_000)
    """Orders (purge, prefetch, drain, revoke) that are kept with what became of them. A node that was away for more of
    them makes all that it has stale and goes on with the oldest."""
    orders_in_flight: int = Field(default=100, ge=1, le=10_000)
    """Orders of the last minute that a node has not acknowledged, at most; further ones are refused."""
    shield_wait_s: Seconds = 10.0
    """Edges hear of a purge when every shield has acknowledged it or is down; a shield that does neither holds them up
    for so long."""
    drain_s: Seconds = 5.0
    """After SIGTERM, answers under way get this long."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        named = {self.default_region, *(name for region in self.regions.values() for name in region.next)}
        if unknown := sorted(named - set(self.regions)):
            raise ValueError(f"no such region: {', '.join(unknown)}; known: {', '.join(self.regions)}")
        countries = [country for region in self.regions.values() for country in region.countries]
        if twice := sorted({each for each in countries if countries.count(each) > 1}):
            raise ValueError(f"countries of two regions: {', '.join(twice)}")
        if list(self.bands) != sorted(self.bands) or not all(self.eligible_load < b <= 100 for b in self.bands):
            raise ValueError("`bands` must rise from above `eligible_load` to 100 at most")
        if self.leave_load < self.eligible_load:
            raise ValueError("`leave_load` must not be below `eligible_load`")
        if self.steer_calm_ttl_s < self.steer_wrong_ttl_s:
            raise ValueError("`steer_calm_ttl_s` must not be below `steer_wrong_ttl_s`")
        if self.admin_token_file is None and not is_loopback(host_port(self.admin)[0]):
            raise ValueError("`admin_token_file` is needed when `admin` is not a loopback address")
        if self.administration.open_console and not is_loopback(host_port(self.admin)[0]):
            raise ValueError("`administration.open_console` is for an `admin` on loopback only")
        return self
