"""Settings of the origin processes: API, delivery and ingest worker."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from configs.schema.base import Address, BaseUrl, Country, Files, Name, Networks, NodeIdentity, Seconds, Settings, Size


class OriginSettings(Settings):
    """One origin installation; its API and its workers read the same file."""

    identity: NodeIdentity
    """The origin's node credential (role origin): shields are checked against it, control is asked with it."""
    listen: Address = "127.0.0.1:8000"
    """API and pages, for players and operators."""
    delivery: Address = "127.0.0.1:8001"
    """Published bytes, for shields only."""
    state_dir: Path
    """Everything that origin keeps, unless set elsewhere: catalog, workflows, objects, uploads."""
    database_url: str | None = None
    """Catalog: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://...`. Default: catalog.db in state_dir."""
    workflow_url: str | None = None
    """Durable workflows (DBOS): `sqlite:///FILE` or `postgresql://...`. Default: workflows.db in state_dir."""
    objects_dir: Path | None = None
    """Content-addressed objects. Default: objects in state_dir."""
    keys_dir: Path
    """Token keys; this side needs a private one."""
    admin_token_file: Path
    """File with the bearer token of operators (mode 600); ingest over HTTP wants it."""
    players_dir: Path | None = None
    """Where hls.js, dash.js and shaka-player were installed (`node_modules`); without it the watch page says what to
    do."""
    public_url: BaseUrl | None = None
    """How browsers reach `listen`, when that differs."""
    region: Name = "default"
    """The region assumed for a viewer when control does not know better."""
    geo_database: Files = ()
    """MaxMind DBs of countries or cities (`headrace geo fetch`), for titles with territory rules; taken anew when a
    file changes and on SIGHUP."""
    home_country: Country | None = None
    """Country of viewers whose address no database places. None: nobody knows, and such a viewer gets only titles
    without territory rules."""
    trusted_proxies: Networks = ()
    """Networks (CIDR) of the proxies before this listener: X-Forwarded-For is believed from them alone, and of it the
    right-most address that is not theirs (T-022)."""
    profile: Name = "demo"
    """Service profile used when a request names none."""
    token_ttl_s: Seconds = 86_400.0
    """Life of a play token (CDN-05, C-12)."""
    cap_kbps: int = Field(default=6000, ge=100, le=100_000)
    """Bitrate cap of viewers without a registered device (T-021, CDN-06)."""
    upload_limit: Size = 64 * 2**30
    """Largest accepted master."""
    encode_parallel: int = Field(default=1, ge=1, le=64)
    """ffmpeg processes at once in one worker; x264 already fills two cores by itself."""
    executor_id: Name = "worker-1"
    """DBOS resumes a dead worker's jobs under the same id (contracts.md)."""


class Rung(Settings):
    """One rendition: a 16:9 box that the picture is fitted into, never upscaled (C-81, ING-12)."""

    height: int = Field(ge=96, le=4320)
    """Lines of the box."""
    kbps: int = Field(ge=50, le=100_000)
    """Target video bitrate; peak is 1.5 times, buffer 2 times (ING-14)."""
    codec: Literal["h264", "hevc"] = "h264"
    """Video codec."""


class AudioRung(Settings):
    """One audio rendition per language."""

    kbps: int = Field(default=128, ge=16, le=1536)
    """AAC bitrate (D-03)."""
    channels: int = Field(default=2, ge=1, le=8)
    """Channels after down-mix."""


class Profile(Settings):
    """A service profile: values where the five source documents differ. Code reads settings, never a profile's name."""

    name: Name
    """The profile's name."""
    segment_s: float = Field(default=6.0, ge=1, le=10)
    """Segment length; closed GOPs are forced on it (ING-17, T-004)."""
    preset: str = Field(default="veryfast", pattern=r"^[a-z]+$")
    """Encoder preset (ING-14)."""
    start_kbps: int = Field(default=3000, ge=50)
    """The highest rung up to this is listed first in the master playlist: where players begin (T-012, D-07)."""
    min_width: int = 0
    """Master gate: least source width (ING-03)."""
    require_audio: bool = True
    """Refuse a master without sound."""
    ladder: tuple[Rung, ...] = Field(min_length=1)
    """Rungs, any order."""
    audio: AudioRung = AudioRung()
    """The stereo rendition."""
