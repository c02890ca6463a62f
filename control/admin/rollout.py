"""Endpoints on rollouts: stage, try on a few, activate, go back, compare."""

from typing import Any

from pydantic import Field

from control.admin.endpoint import Ask, Endpoint, Names, Whole
from control.admin.roles import Role
from control.api.service import Service
from control.contract.messages import Id, Message
from control.rollout.model import Canary, Change, Content, Event, Stage, State, Version
from control.rollout.rules import Bad, Waiting, differences, find

_AT = "/rollout/versions/{number}"


class StageRequest(Message):
    """A version to be staged: settings laid over those of the nodes, a tree a tier. Empty: the nodes' own settings."""

    edge: dict[str, Any] = Field(default={}, max_length=100)
    shield: dict[str, Any] = Field(default={}, max_length=100)
    note: str = Field(default="", max_length=200)


class CanaryRequest(Message):
    """Where and how long a version is tried."""

    nodes: tuple[Id, ...] = Field(default=(), max_length=100)
    """These; none: as many edges as `count` says."""
    count: Whole = Field(default=1, ge=1, le=100)
    soak_s: float = Field(default=60.0, ge=1, le=86_400, allow_inf_nan=False)
    """So long it must do well."""
    goes_on: bool = False
    """Becomes active by itself then."""


class BackRequest(Message):
    """Going back."""

    why: str = Field(default="", max_length=200)


class VersionRow(Message):
    """One version, without what it says."""

    number: int
    stage: Stage
    made: float
    by: str
    note: str
    why: str
    nodes: int
    """Nodes that use it now."""


class Rollouts(Message):
    """Where rollouts stand."""

    active: int | None
    canary: Canary | None
    verdict: str
    """What is said of the canary now."""
    versions: tuple[VersionRow, ...]
    """Newest first."""
    events: tuple[Event, ...]
    """Newest first."""


class Differences(Message):
    """What a version says otherwise than another."""

    number: int
    against: int
    changes: tuple[Change, ...]


class VersionName(Names):
    """Which version."""

    number: int = Field(ge=1, le=2**53)
    """The version's number."""


class Against(Names):
    """What a version is compared with."""

    against: int = Field(default=0, ge=0, le=2**53)
    """The other version; 0: the nodes' own settings."""


def endpoints(service: Service) -> list[Endpoint]:
    """The rows."""
    return [*_looking(service), *_acting(service)]


def _looking(service: Service) -> list[Endpoint]:
    rollout = service.rollout

    async def standing(_: Ask) -> Rollouts:
        return shown(service, rollout.state)

    async def one(ask: Ask) -> Version:
        return find(rollout.state, ask.path.number)

    async def compare(ask: Ask) -> Differences:
        number, against = ask.path.number, ask.query.against
        other = find(rollout.state, against).content if against else Content()
        changes = differences(other, find(rollout.state, number).content)
        return Differences(number=number, against=against, changes=changes)

    viewer = Role.VIEWER
    return [
        Endpoint("rollout.list", "GET", "/rollout", viewer, "Where rollouts stand", Rollouts, standing),
        Endpoint("rollout.show", "GET", _AT, viewer, "One version", Version, one, VersionName),
        Endpoint(
            "rollout.diff", "GET", f"{_AT}/diff", viewer, "Compare versions", Differences, compare, VersionName, Against
        ),
    ]


def _acting(service: Service) -> list[Endpoint]:
    rollout = service.rollout

    async def stage(ask: Ask) -> Version:
        content = Content(edge=ask.body.edge, shield=ask.body.shield)
        state = await rollout.stage(content, by=ask.principal.name, note=ask.body.note)
        return find(state, state.last)

    async def try_on(ask: Ask) -> Rollouts:
        said, by = ask.body, ask.principal.name
        how = {"soak_s": said.soak_s, "goes_on": said.goes_on}
        return shown(service, await rollout.try_on(ask.path.number, said.nodes, said.count, by=by, **how))

    async def activate(ask: Ask) -> Rollouts:
        return shown(service, await rollout.activate(ask.path.number, by=ask.principal.name))

    async def back(ask: Ask) -> Rollouts:
        return shown(service, await rollout.roll_back(by=ask.principal.name, why=ask.body.why))

    def row(name: str, path: str, summary: str, handle: Any, **more: Any) -> Endpoint:
        return Endpoint(name, "POST", path, more.pop("role", Role.ADMIN), summary, Rollouts, handle, **more)

    tried = "Try a version on a few nodes; it goes by itself when they do worse"
    said = "End the canary, or go back to the version before"
    path = "/rollout/versions"
    return [
        Endpoint(
            "rollout.stage", "POST", path, Role.ADMIN, "Stage a version", Version, stage, None, None, StageRequest, 201
        ),
        row("rollout.canary", f"{_AT}/canary", tried, try_on, in_path=VersionName, in_body=CanaryRequest),
        row("rollout.activate", f"{_AT}/activate", "Give a proven version to all", activate, in_path=VersionName),
        row("rollout.back", "/rollout/back", said, back, in_body=BackRequest, role=Role.OPERATOR),
    ]


def shown(service: Service, state: State) -> Rollouts:
    """The state for people."""
    using = [node.snapshot for node in service.registry.map().nodes.values()]
    match service.rollout.verdict:
        case Waiting(why) if state.canary:
            verdict = f"waiting: {why}"
        case Bad(why) if state.canary:
            verdict = f"bad: {why}"
        case _:
            verdict = ""
    return Rollouts(
        active=state.active,
        canary=state.canary,
        verdict=verdict,
        versions=tuple(_row(each, using.count(each.number)) for each in reversed(state.versions)),
        events=tuple(reversed(state.events)),
    )


def _row(version: Version, nodes: int) -> VersionRow:
    return VersionRow(
        number=version.number,
        stage=version.stage,
        made=version.made,
        by=version.by,
        note=version.note,
        why=version.why,
        nodes=nodes,
    )
