"""What the catalog hands out: plain frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from origin.catalog.states import MediaStatus, State

AssetKind = Literal["master", "playlist", "init", "segment", "subtitle"]
KINDS: tuple[AssetKind, ...] = ("master", "playlist", "init", "segment", "subtitle")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of a version. `name` is its path below `/content/<id>/<version>/`, `digest` hex SHA-256."""

    name: str
    digest: str
    size: int
    content_type: str
    kind: AssetKind


@dataclass(frozen=True, slots=True)
class RungInfo:
    """One rendition as it was encoded; `name` is unique in its version."""

    name: str
    height: int
    width: int
    codec: str
    kbps: int


@dataclass(frozen=True, slots=True)
class Title:
    """A title and how far its newest version has come.

    `current` is the version that viewers get (None before the first is published); `rungs` are of it. `duration_s`,
    `master_resolution` (WxH) and `hdr_format` are of the master that was probed or published last. `source` is what
    ingest noted about the master of the newest version. Times are seconds since the epoch; `progress` is 0..1 within
    the whole ingest.
    """

    content_id: str
    title: str
    profile: str
    status: MediaStatus
    current: str | None
    version: str
    state: State
    detail: str
    progress: float
    duration_s: float | None
    master_resolution: str | None
    hdr_format: str | None
    rungs: tuple[RungInfo, ...]
    source: Mapping[str, object]
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class Published:
    """A version that viewers may get; it never changes. `published_at` is seconds since the epoch."""

    content_id: str
    version: str
    published_at: float
    duration_s: float
    rungs: tuple[RungInfo, ...]
    assets: Mapping[str, Asset]
