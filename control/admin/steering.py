"""Endpoints on steering: why a session goes where it goes, and what operators say over it."""

import ipaddress
import secrets
from dataclasses import asdict
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from control.admin.endpoint import Ask, Done, Endpoint, Names, Whole
from control.admin.roles import Role
from control.api.service import Service
from control.contract.messages import Id, Message
from control.overrides.book import Row
from control.steering.explain import explain
from control.steering.overrides import Kind, Override
from geo.network import client_network
from kit.errors import NotFound, Unprocessable

LONGEST_S = 30 * 86_400
Title = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value))


_ADDRESSES: JsonDict = {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}


class Case(Names):
    """Whose session is asked about."""

    client: Annotated[str, Field(max_length=64, json_schema_extra=_ADDRESSES), AfterValidator(_address)]
    """The viewer's address, IPv4 or IPv6."""
    content: Title
    """The title."""
    session: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    """The session, where overrides are for a share of them."""


class EdgeRow(Message):
    """One edge in a decision."""

    id: str
    region: str
    url: str
    place: int | None
    """Among the candidates, from 1; null: it is none."""
    why: str
    """Why it is a candidate, or why not."""
    rank: int
    """In the title's order of its own region, from 1."""
    load: float
    coming: float
    """Load of sessions sent there lately that its heartbeats do not show yet."""
    above_bound: bool
    capacity_mbps: int
    latency_ms: float | None
    samples: int
    state: str
    """As the health monitor judges it: up, degraded or down."""
    loss: float
    """Share of its sessions, 0 to 1, that it loses: its players fare worse than its neighbours', or it is degraded."""
    override: str | None
    """Id of the override that pins it or keeps it away."""


class Explained(Message):
    """One decision and why. `none` says why nobody can take the session."""

    region: str
    title: str
    session: str
    map_version: int
    next_regions: tuple[str, ...]
    eligible_load: float
    bounds: dict[str, float]
    none: str | None
    rows: tuple[EdgeRow, ...]


class OverrideRequest(Message):
    """What is to be said over steering."""

    kind: Kind
    edge: Id
    lifetime_s: Whole = Field(ge=1, le=LONGEST_S)
    """It ends by itself after this."""
    title: Title | None = None
    """For this title alone."""
    region: Id | None = None
    """For clients of this region alone."""
    percent: float = Field(default=100.0, ge=0, le=100, allow_inf_nan=False)
    """For this share of the sessions."""
    reason: str = Field(default="", max_length=200)


class OverrideList(Message):
    """The overrides in force, those that end first first."""

    overrides: tuple[Row, ...]


class OverrideName(Names):
    """Which override."""

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    """The override's id."""


def endpoints(service: Service) -> list[Endpoint]:
    """The rows."""

    async def why(ask: Ask) -> Explained:
        return explained(service, ask.query)

    async def listed(_: Ask) -> OverrideList:
        found = sorted(service.overrides.in_force(), key=lambda each: (each.until, each.id))
        return OverrideList(overrides=tuple(Row.of(each) for each in found))

    async def put(ask: Ask) -> Row:
        wanted: OverrideRequest = ask.body
        if wanted.region is not None and wanted.region not in service.settings.regions:
            raise Unprocessable(f"region: control knows no {wanted.region!r}")
        override = Override(
            id=secrets.token_hex(4),
            kind=wanted.kind,
            edge=wanted.edge,
            until=service.clock.wall() + wanted.lifetime_s,
            title=wanted.title,
            region=wanted.region,
            percent=wanted.percent,
            by=ask.principal.name,
            reason=wanted.reason,
        )
        await service.overrides.put(override)
        return Row.of(override)

    async def lift(ask: Ask) -> Done:
        if not await service.overrides.drop(ask.path.id):
            raise NotFound(f"no override {ask.path.id}")
        return Done()

    return [
        Endpoint(
            "steering.explain",
            "GET",
            "/steering/explain",
            Role.VIEWER,
            "Where a session would go now, and why",
            Explained,
            why,
            in_query=Case,
        ),
        Endpoint(
            "steering.overrides", "GET", "/steering/overrides", Role.VIEWER, "Overrides in force", OverrideList, listed
        ),
        Endpoint(
            "steering.override",
            "POST",
            "/steering/overrides",
            Role.OPERATOR,
            "Pin an edge, keep it out, or try it with a share of the sessions",
            Row,
            put,
            in_body=OverrideRequest,
            status=201,
        ),
        Endpoint(
            "steering.lift",
            "DELETE",
            "/steering/overrides/{id}",
            Role.OPERATOR,
            "Lift an override",
            Done,
            lift,
            in_path=OverrideName,
        ),
    ]


def explained(service: Service, case: Case) -> Explained:
    """The decision that steering would take for this case now."""
    now = service.clock.monotonic()
    found = explain(
        service.registry.map(),
        service.places.region(case.client),
        case.content,
        now,
        service.policy,
        service.ranks,
        service.history.latency(client_network(case.client)),
        session=case.session,
        overrides=service.overrides.in_force(),
        coming=service.coming.view(now),
        losses=service.opinions.losses.new,
    )
    return Explained.model_validate(asdict(found), strict=False)
