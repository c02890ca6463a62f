"""The state directory of an installation on one machine: keys, credentials and a settings file a process."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from configs.dump import to_toml
from configs.schema.administration import AdministrationSettings
from configs.schema.base import NodeIdentity, host_port, is_loopback
from configs.schema.control import ControlSettings
from configs.schema.node import EdgeSettings, ShieldSettings, StoreSettings, UpstreamSettings
from configs.schema.origin import OriginSettings
from configs.schema.topology import EdgePlace, ShieldPlace, Topology
from control.enrol import fleet_key, write_credential
from origin.contract.token import new_key


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below the state directory."""

    root: Path

    @property
    def keys(self) -> Path:
        """Token keys, private ones included: origin's."""
        return self.root / "keys"

    @property
    def edge_keys(self) -> Path:
        """Public token keys: all that an edge needs."""
        return self.root / "edge-keys"

    @property
    def operator_token(self) -> Path:
        """Bearer token of operators."""
        return self.root / "operator.token"

    @property
    def origin(self) -> Path:
        """Origin's state."""
        return self.root / "origin"

    @property
    def run_file(self) -> Path:
        """The ready line, while the installation runs."""
        return self.root / "run.json"

    def credential(self, node: str) -> Path:
        """A node's credential."""
        return self.root / "credentials" / f"{node}.json"

    def settings(self, process: str) -> Path:
        """A process's settings."""
        return self.root / "settings" / f"{process}.toml"

    def log(self, process: str) -> Path:
        """A process's log of this run."""
        return self.root / "logs" / f"{process}.log"

    def ready(self, process: str) -> Path:
        """What a process writes when it serves."""
        return self.root / "ready" / f"{process}.json"


def prepare(layout: Layout, topology: Topology, *, redis_url: str | None, players: Path | None, profile: str) -> None:
    """Make what is missing and write every process's settings. Keys and credentials of an earlier run are kept."""
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("settings", "logs", "ready", "credentials", "cache"):
        (layout.root / name).mkdir(exist_ok=True, mode=0o700)
    for stale in (layout.root / "ready").iterdir():
        stale.unlink()
    make_secrets(layout)
    _write(layout, "control", _control(layout, topology, redis_url))
    _write(layout, "origin", _origin(layout, topology, players, profile))
    for shield in topology.shields:
        _write(layout, shield.id, _shield(layout, topology, shield))
    for edge in topology.edges:
        _write(layout, edge.id, _edge(layout, topology, edge))
    nodes = [("origin", "origin"), *((s.id, "shield") for s in topology.shields)]
    credentials(layout, [*nodes, *((e.id, "edge") for e in topology.edges)])


def url(address: str) -> str:
    """`127.0.0.1:80` -> `http://127.0.0.1:80`."""
    return f"http://{address}"


def make_secrets(layout: Layout) -> None:
    """Token keys, their public halves for edges, the operators' token; what exists is kept."""
    if not any(layout.keys.glob("*.private.pem")):
        new_key(layout.keys)
    layout.edge_keys.mkdir(exist_ok=True)
    for public in layout.keys.glob("*.public.pem"):
        (layout.edge_keys / public.name).write_bytes(public.read_bytes())
    if not layout.operator_token.exists():
        layout.operator_token.touch(mode=0o600)
        layout.operator_token.write_text(secrets.token_urlsafe(32))


def credentials(layout: Layout, nodes: list[tuple[str, str]]) -> None:
    """The credential files of (id, role) nodes, from the fleet key (made when there is none)."""
    key = fleet_key(layout.root / "fleet.key")
    layout.credential("x").parent.mkdir(exist_ok=True, mode=0o700)
    for node, role in nodes:
        write_credential(key, node, role, layout.credential(node))


def _identity(layout: Layout, topology: Topology, node: str) -> NodeIdentity:
    return NodeIdentity(id=node, credential=layout.credential(node), control=url(topology.control))


def _control(layout: Layout, topology: Topology, redis_url: str | None) -> ControlSettings:
    return ControlSettings(
        listen=topology.control,
        admin=topology.admin,
        admin_token_file=layout.operator_token,
        administration=AdministrationSettings(
            open_console=is_loopback(host_port(topology.admin)[0]), state_dir=layout.root / "admin"
        ),
        fleet_key_file=layout.root / "fleet.key",
        redis_url=redis_url,
        regions=topology.regions,
        default_region=topology.default_region,
        geo_database=topology.geo_database,
    )


def _origin(layout: Layout, topology: Topology, players: Path | None, profile: str) -> OriginSettings:
    return OriginSettings(
        identity=_identity(layout, topology, "origin"),
        listen=topology.api,
        delivery=topology.delivery,
        state_dir=layout.origin,
        keys_dir=layout.keys,
        admin_token_file=layout.operator_token,
        players_dir=players,
        region=topology.default_region,
        geo_database=topology.geo_database,
        profile=profile,
    )


def _shield(layout: Layout, topology: Topology, place: ShieldPlace) -> ShieldSettings:
    return ShieldSettings(
        listen=place.listen,
        name=place.id,
        region=place.region,
        origins=(url(topology.delivery),),
        store=_store(layout, topology, place.id),
        identity=_identity(layout, topology, place.id),
        probe_url=_probe_url(place.listen),
        admin_token_file=layout.operator_token,
        access_log=layout.log(f"{place.id}-access"),
    )


def _edge(layout: Layout, topology: Topology, place: EdgePlace) -> EdgeSettings:
    return EdgeSettings(
        listen=place.listen,
        name=place.id,
        region=place.region,
        workers=place.workers,
        reserve=place.reserve,
        shields=tuple(url(shield.listen) for shield in topology.shields),
        upstream=UpstreamSettings(probe_s=1.0),
        access="token",
        keys_dir=layout.edge_keys,
        store=_store(layout, topology, place.id),
        identity=_identity(layout, topology, place.id),
        probe_url=_probe_url(place.listen),
        admin_token_file=layout.operator_token,
        access_log=layout.log(f"{place.id}-access"),
    )


def _store(layout: Layout, topology: Topology, node: str) -> StoreSettings:
    return StoreSettings(cache_dir=(layout.root / "cache" / node,), disk=topology.disk, memory=topology.memory)


def _probe_url(listen: str) -> str | None:
    """The default of a node's `admin`, as control on this machine reaches it."""
    port = host_port(listen)[1] + 1000
    return f"http://127.0.0.1:{port}" if port < 65_536 else None


def _write(layout: Layout, process: str, settings: BaseModel) -> None:
    layout.settings(process).write_text(to_toml(settings))
