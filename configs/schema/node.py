"""Settings of the caching tiers: one model for what edge and shield share, one each for what they do not."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from configs.schema.base import Address, BaseUrl, BitRate, Name, NodeIdentity, Seconds, Settings, Size

KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""The id of a token key, as tokens name it."""
PublicKey = Annotated[
    str,
    Field(pattern=r"^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+\n-----END PUBLIC KEY-----\n?$", max_length=1024),
]
"""A public key as PEM: never a private or a shared one, for settings are shown."""
Tenant = Annotated[str, Field(pattern=r"^/[^\s\"\\]{1,200}$")]
"""The beginning of the paths of one tenant."""


def _paths(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return [value] if isinstance(value, Path) else value


def _different(value: tuple[Path, ...]) -> tuple[Path, ...]:
    if not value or any(path == Path() for path in value):
        raise ValueError("a directory's path is empty")
    if len({path.resolve() for path in value}) != len(value):
        raise ValueError("a directory is listed twice")
    return value


_SLICE = (64 * 2**10, 64 * 2**20, 4096)
"""Least, most, and what it must be a multiple of: slices are extents of whole pages."""


def _slice(value: int) -> int:
    least, most, step = _SLICE
    if value and not (least <= value <= most and value % step == 0):
        raise ValueError("a slice is 64KiB to 64MiB, a multiple of 4096; 0 for none")
    return value


class StoreSettings(Settings):
    """Where answers are kept."""

    cache_dir: Annotated[tuple[Path, ...], BeforeValidator(_paths), AfterValidator(_different), Field(max_length=8)]
    """Directory of the disk cache, or up to 8 of them on as many disks, as a list or with commas between; files of
    others in them are left alone. One whose disk fails is ejected, and taken back, empty, when it answers again."""
    disk: Size = 10 * 2**30
    """Bytes on disk at most, in all directories together, as du counts them; each has an even share."""
    memory: Size = 256 * 2**20
    """Bytes of bodies in memory at most, for all workers together. What is remembered of answers comes on top: one for
    every 2.5 KB of a worker's share, at least 20,000, of about 2.2 KB each when viewers ask for them."""
    memory_object: Size = 16 * 2**10
    """Largest body kept in memory. A larger one is sent from its open file: the system's page cache serves all workers,
    and from here on costs less than a copy."""
    slice: Annotated[Size, AfterValidator(_slice)] = 2**20
    """A range of an object not stored brings in the aligned slices of this size that hold it; 0: always the whole."""
    objects: int = Field(default=1_000_000, ge=100, le=100_000_000)
    """Answers on disk at most."""
    eviction: Literal["sieve", "lru"] = "sieve"
    """Which answer goes when room is needed."""
    admission: Literal["second-hit", "all"] = "second-hit"
    """What is stored once storing means evicting: what was asked for before, or everything."""
    admission_above: Size = 16 * 2**10
    """Answers of at most so many bytes are stored at the first request all the same."""
    pinned_types: tuple[str, ...] = ("application/vnd.apple.mpegurl", "application/x-mpegurl", "application/dash+xml")
    """Media types of answers that are evicted last: playlists. At most 1 MiB each."""
    pinned_names: tuple[str, ...] = ("*.m3u8", "*.mpd", "init*.mp4", "*.init")
    """Last elements of paths that are evicted last: playlists and init segments; `*` stands for any text."""
    pinned_share: float = Field(default=0.05, ge=0, le=0.5)
    """So much of the disk, and of the memory, is for those; beyond it the oldest of them are like all others."""
    tenants: tuple[Tenant, ...] = Field(default=(), max_length=100)
    """Path prefixes, as `/sports/`: objects and bytes of each are in the metrics; others count as their authority."""


class LimitSettings(Settings):
    """Bounds on what a viewer may take."""

    header_timeout_s: Seconds = 10.0
    """From the first byte of a request to the end of its head."""
    idle_timeout_s: Seconds = 75.0
    """A connection without a request is closed after this."""
    send_timeout_s: Seconds = 60.0
    """A viewer that takes no byte for this long is let go."""
    drain_s: Seconds = 30.0
    """After SIGTERM, answers under way get this long."""
    connections: int = Field(default=20_000, ge=1)
    """Open connections of one worker; more are closed at once."""
    connections_per_client: int = Field(default=2_000, ge=1)
    """Open connections of one address to one worker; more are closed at once. Set it to `connections` behind a balancer
    that hides its clients' addresses."""


_Pace = Annotated[BitRate, Field(ge=10**6, le=10**10)]
"""Below a million the four MB that a socket may hold would outlast `send_timeout_s`."""


class PacingSettings(Settings):
    """How fast one connection gets answers at most, by what they carry (Content-Type), in bits a second of packets,
    TLS and headers included; none: as fast as it goes. A viewer plays on as long as it gets its rung's bit rate: give
    a few times that of the highest rung, or players that measure choose a lower one."""

    playlist: _Pace | None = None
    """HLS and DASH manifests."""
    video: _Pace | None = None
    """video/*: segments, films."""
    audio: _Pace | None = None
    """audio/*, playlists excepted."""
    text: _Pace | None = None
    """text/*: subtitles, pages."""
    image: _Pace | None = None
    """image/*: posters, thumbnails."""
    other: _Pace | None = None
    """All else, and what has no type."""

    @property
    def rates(self) -> dict[str, int]:
        """Bits a second of the classes that have a rate."""
        return self.model_dump(exclude_none=True)


class TlsPair(Settings):
    """A certificate and its key, both PEM files. New files are taken while the node runs."""

    cert: Path
    """The certificate, the chain behind it. Its dNSNames say who gets it."""
    key: Path
    """Its private key, not encrypted."""


class UpstreamSettings(Settings):
    """How the next tier is asked."""

    connect_timeout_s: Seconds = 3.0
    """To open a connection."""
    head_timeout_s: Seconds = 15.0
    """From request to the head of the answer."""
    read_timeout_s: Seconds = 15.0
    """Between two reads of a body."""
    connections: int = Field(default=256, ge=1, le=10_000)
    """Connections of one worker to one upstream."""
    idle_s: Seconds = 4.0
    """Idle upstream connections close before the origin would (many servers close at 5 s)."""
    probe_s: float = Field(default=0.0, ge=0.0, le=3600.0)
    """Every worker asks every upstream this often whether it is there (OPTIONS that goes no further); 0: never."""
    follow_timeout_s: Seconds = 30.0
    """A follower of another's fill waits this long for its first byte, then asks by itself."""
    ca: Path | None = None
    """PEM file of the authorities, they alone, that may vouch for https upstreams; the system's by default. The name in
    the upstream's URL must be in its certificate."""


class NodeSettings(Settings):
    """What edge and shield share."""

    listen: Address
    """Where viewers, or the tier before us, connect."""
    admin: Address | None = None
    """/health, /ready, /metrics. Default: 127.0.0.1, listen port + 1000."""
    probe_url: BaseUrl | None = None
    """How control reaches `admin`, to ask /ready; without it control believes heartbeats alone."""
    workers: int = Field(default=1, ge=1, le=128)
    """Processes that share the listening port."""
    name: Name = "headrace"
    """How this cache is called in Cache-Status (RFC 9211) and Via."""
    store: StoreSettings
    """The cache."""
    limits: LimitSettings = LimitSettings()
    """Bounds towards viewers."""
    tls: tuple[TlsPair, ...] = Field(default=(), max_length=100)
    """With any, `listen` speaks TLS only. Viewers choose by name (SNI; `*` stands for a whole first label); who names
    none, or an unknown one, gets the first."""
    tls_min: Literal["1.2", "1.3"] = "1.3"
    """The oldest version of TLS that viewers may speak."""
    tls_watch_s: Seconds = 2.0
    """The files in `tls` are looked at this often."""
    pacing: PacingSettings = PacingSettings()
    """How fast connections get their answers; off by default."""
    upstream: UpstreamSettings = UpstreamSettings()
    """Manners towards the next tier."""
    identity: NodeIdentity | None = None
    """Who this node is; a standalone node has none."""
    max_isolation_s: Annotated[float, Field(ge=5, le=31_536_000)] | None = None
    """A node that has heard nothing from control for so long serves nobody any more (503, Retry-After) and is not
    ready, until it hears again: purges and revocations do not reach it. None: it goes on for ever, and says in /health
    how long it has been."""
    admin_token_file: Path | None = None
    """File with the bearer token (mode 600) that /purge wants; without one purges are refused."""
    fast_lane: bool = True
    """Answer plain hits before aiohttp's parser sees them. The answers are the same without, at several times the CPU:
    off is for comparing."""
    access_log: Path | None = None
    """One JSON line a request; `-` is standard output; none writes none."""

    @model_validator(mode="after")
    def _hears(self) -> Self:
        if self.max_isolation_s is not None and (self.identity is None or self.identity.control is None):
            raise ValueError("`max_isolation_s` is for nodes with `identity.control`: no other hears anything")
        return self


class EdgeSettings(NodeSettings):
    """An edge: viewers arrive here."""

    origin: BaseUrl | None = None
    """Standalone: the origin that this edge stands before."""
    shields: tuple[BaseUrl, ...] = ()
    """In an installation: the parent tier, chosen by bounded-load rendezvous hash of the key."""
    authority: str | None = None
    """Authority sent upstream as Host and used in the cache key. Default: that of the upstream."""
    access: Literal["open", "token"] = "token"
    """`token` wants a play token in the path; `open` forwards every path and method."""
    keys_dir: Path | None = None
    """Token keys (public ones suffice); needed with `access = "token"`."""
    token_keys: dict[KeyId, PublicKey] = Field(default={}, max_length=32)
    """More keys that verify tokens, beside those in `keys_dir`: a rollout brings them, and takes them away when no
    token of theirs is left. One id never has two keys."""
    region: Name = "default"
    """Where this edge stands."""
    public_url: BaseUrl | None = None
    """How players reach it. Default: http://<listen>."""
    capacity_mbps: int = Field(default=1000, ge=1)
    """Egress that counts as a load of 100."""
    reserve: bool = False
    """Chosen only when no other edge is left (C-64)."""
    observations_s: Seconds = 5.0
    """How often control is told what viewers saw: round trips and votes, by client network."""
    cmcd: bool = True
    """Take what players say of themselves (CMCD, CTA-5004), of requests and as events, as their sessions' votes on this
    edge. Of requests at most 1000 a second and worker are read, drawn by lot."""
    cmsd: bool = False
    """Say with every answer how its connection is (CMSD-Dynamic, CTA-5006): round trip, throughput, duress. Costs a
    system call an answer."""


class ShieldSettings(NodeSettings):
    """A shield: the parent tier before origin."""

    origins: tuple[BaseUrl, ...] = Field(min_length=1)
    """Origin delivery addresses."""
    region: Name = "default"
    """Where this shield stands."""
