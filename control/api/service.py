"""What the handlers share: settings, map, rules and counters of one control process."""

from collections.abc import Callable
from dataclasses import dataclass

from configs.schema.base import host_port
from configs.schema.control import ControlSettings
from control.api.metrics import Metrics
from control.contract.credential import Credential
from control.registry.model import Registry
from control.steering.choose import Policy
from control.steering.coming import Coming, Popular
from control.steering.live import Live
from control.steering.order import Rules
from control.steering.overrides import Override
from control.steering.place import Places
from control.steering.ranks import Ranks
from kit.clock import Clock

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (to be told from an address that players can reach)


@dataclass(frozen=True)
class Service:
    """One control process, put together by control.main."""

    settings: ControlSettings
    credential: Credential
    registry: Registry
    policy: Policy
    places: Places
    ranks: Ranks
    clock: Clock
    metrics: Metrics
    live: Live
    coming: Coming
    popular: Popular


def policy(settings: ControlSettings) -> Policy:
    """The steering numbers of the settings."""
    return Policy(
        next={name: region.next for name, region in settings.regions.items()},
        expiry_s=settings.expiry_s,
        eligible_load=settings.eligible_load,
        bands=settings.bands,
        candidates=settings.candidates,
    )


def live(
    settings: ControlSettings,
    fleet_key: bytes,
    registry: Registry,
    rules: Policy,
    overrides: Callable[[], tuple[Override, ...]],
) -> Live:
    """What steers running sessions."""
    host, port = host_port(settings.listen)
    listens = f"http://{settings.listen}" if port and host not in _EVERYWHERE else None
    times = Rules(settings.leave_load, settings.steer_wrong_ttl_s, settings.steer_calm_ttl_s)
    base = settings.public_url or listens
    return Live(fleet_key, base, policy=rules, rules=times, picture=registry.map, overrides=overrides)


def places(settings: ControlSettings) -> Places:
    """The region table of the settings."""
    return Places({name: region.networks for name, region in settings.regions.items()}, settings.default_region)
