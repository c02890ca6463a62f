"""A whole installation on one machine, as `headrace up` starts it."""

from pydantic import Field

from configs.schema.base import Address, Files, Name, Settings, Size
from configs.schema.control import Region


class EdgePlace(Settings):
    """One edge."""

    id: Name
    """Its id."""
    region: Name
    """Where it stands; one of `regions`."""
    listen: Address
    """For players."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that share the port."""
    reserve: bool = False
    """Chosen only when no other edge is left."""


class ShieldPlace(Settings):
    """One shield."""

    id: Name
    """Its id."""
    region: Name
    """Where it stands."""
    listen: Address
    """For edges."""


class Topology(Settings):
    """Processes and their addresses. Ports as in contracts.md unless a file says otherwise."""

    api: Address = "127.0.0.1:8000"
    """Origin's API and pages."""
    delivery: Address = "127.0.0.1:8001"
    """Origin's delivery, for shields."""
    control: Address = "127.0.0.1:8100"
    """Control's public listener."""
    admin: Address = "127.0.0.1:8101"
    """Control's admin listener and console."""
    regions: dict[Name, Region] = Field(min_length=1)
    """Regions by name."""
    default_region: Name
    """Region of viewers that no network names."""
    geo_database: Files = ()
    """MaxMind DBs of countries or cities, for control and origin."""
    shields: tuple[ShieldPlace, ...] = Field(min_length=1)
    """The parent tier."""
    edges: tuple[EdgePlace, ...] = Field(min_length=1)
    """The edges."""
    disk: Size = 2 * 2**30
    """Cache bytes on disk of each node."""
    memory: Size = 64 * 2**20
    """Cache bytes in memory of each node."""
