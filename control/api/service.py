"""What the handlers share: settings, map, rules and counters of one control process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from configs.schema.base import host_port
from configs.schema.control import ControlSettings
from control.api.metrics import Metrics
from control.contract.credential import Credential
from control.enrolment.service import Enrolment
from control.health.monitor import Monitor
from control.observed.model import History
from control.observed.opinions import Opinions
from control.observed.quality import Votes
from control.observed.redis_votes import SharedVotes
from control.orders.service import Orders
from control.overrides.book import Book
from control.registry.model import Registry
from control.rollout.service import Rollout
from control.steering.choose import Policy
from control.steering.coming import Coming, Popular
from control.steering.live import Live as Steering
from control.steering.order import Rules
from control.steering.overrides import Override
from control.steering.place import Geography, Places, nearest_first
from control.steering.ranks import Ranks
from geo.database import Place
from geo.distance import Point
from geo.live import Live
from kit.addresses import Trusted
from kit.clock import Clock

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (to be told from an address that players can reach)


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
    geo: Live
    history: History
    votes: Votes
    shared: SharedVotes | None
    opinions: Opinions
    ranks: Ranks
    clock: Clock
    metrics: Metrics
    live: Steering
    coming: Coming
    popular: Popular
    overrides: Book
    rollout: Rollout
    trusted: Trusted


def policy(settings: ControlSettings) -> Policy:
    """The steering numbers of the settings."""
    near = nearest_first(points(settings))
    return Policy(
        next={name: region.next or near.get(name, ()) for name, region in settings.regions.items()},
        expiry_s=settings.expiry_s,
        eligible_load=settings.eligible_load,
        bands=settings.bands,
        candidates=settings.candidates,
    )


def points(settings: ControlSettings) -> dict[str, Point]:
    """The coordinates of the regions that have some."""
    return {
        name: Point(region.latitude, region.longitude)
        for name, region in settings.regions.items()
        if region.latitude is not None and region.longitude is not None
    }


def places(settings: ControlSettings, place: Callable[[str], Place | None]) -> Places:
    """The region table of the settings over a geo database."""
    regions = settings.regions.items()
    countries = {country: name for name, region in regions for country in region.countries}
    geography = Geography(place, points(settings), countries)
    return Places({name: region.networks for name, region in regions}, settings.default_region, geography)


def live(
    settings: ControlSettings,
    fleet_key: bytes,
    registry: Registry,
    rules: Policy,
    overrides: Callable[[], tuple[Override, ...]],
    losses: Callable[[], Mapping[str, float]] = dict,
) -> Steering:
    """What steers running sessions."""
    host, port = host_port(settings.listen)
    listens = f"http://{settings.listen}" if port and host not in _EVERYWHERE else None
    times = Rules(settings.leave_load, settings.steer_wrong_ttl_s, settings.steer_calm_ttl_s)
    base = settings.public_url or listens
    return Steering(
        fleet_key, base, policy=rules, rules=times, picture=registry.map, overrides=overrides, losses=losses
    )
