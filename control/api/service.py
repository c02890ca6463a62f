"""What the handlers share: settings, map, rules and counters of one control process."""

from dataclasses import dataclass

from configs.schema.control import ControlSettings
from control.api.metrics import Metrics
from control.contract.credential import Credential
from control.enrolment.service import Enrolment
from control.health.monitor import Monitor
from control.orders.service import Orders
from control.registry.model import Registry
from control.steering.choose import Policy
from control.steering.place import Places
from control.steering.ranks import Ranks
from kit.clock import Clock


@dataclass(frozen=True)
class Service:
    """One control process, put together by control.main."""

    settings: ControlSettings
    credential: Credential
    registry: Registry
    enrolment: Enrolment
    orders: Orders
    monitor: Monitor
    policy: Policy
    places: Places
    ranks: Ranks
    clock: Clock
    metrics: Metrics


def policy(settings: ControlSettings) -> Policy:
    """The steering numbers of the settings."""
    return Policy(
        next={name: region.next for name, region in settings.regions.items()},
        expiry_s=settings.expiry_s,
        eligible_load=settings.eligible_load,
        bands=settings.bands,
        candidates=settings.candidates,
    )


def places(settings: ControlSettings) -> Places:
    """The region table of the settings."""
    return Places({name: region.networks for name, region in settings.regions.items()}, settings.default_region)
