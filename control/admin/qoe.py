"""Endpoints on what players saw: by edge, region, network or class of stream."""

from typing import Literal

from pydantic import Field

from control.admin.endpoint import Ask, Endpoint, Names
from control.admin.roles import Role
from control.api.service import Service
from control.contract.messages import Message
from control.observed.quality import Figures, Row

By = Literal["edge", "region", "network", "stream"]


class Whose(Names):
    """Whose figures."""

    by: By = "edge"
    """What the votes are summed by."""
    count: int = Field(default=100, ge=1, le=1000)
    """Rows at most, those with most votes first."""


class QoeRow(Message):
    """How sessions fared. Votes fade, so their number is no integer; null: nobody said."""

    name: str
    votes: float
    stalled_share: float | None
    stalls_per_vote: float | None
    rebuffer_ms_per_vote: float | None
    failed_share: float | None
    startup_ms: float | None
    kbps: float | None
    top_share: float | None
    throughput_kbps: float | None
    score: float
    """0 to 1, 1 where all is well."""


class QoeList(Message):
    """Figures of this control process: each has what the edges told it."""

    by: By
    rows: tuple[QoeRow, ...]


def endpoints(service: Service) -> list[Endpoint]:
    """The rows."""

    async def listed(ask: Ask) -> QoeList:
        whose: Whose = ask.query
        return QoeList(by=whose.by, rows=(await summed(service, whose.by))[: whose.count])

    viewer = Role.VIEWER
    return [Endpoint("qoe.list", "GET", "/qoe", viewer, "What players saw", QoeList, listed, in_query=Whose)]


async def summed(service: Service, by: By) -> tuple[QoeRow, ...]:
    """All rows, those with most votes first."""
    nodes = service.registry.map().nodes

    def key(row: Row) -> str:
        match by:
            case "edge":
                return row.edge
            case "network":
                return row.network
            case "stream":
                return row.stream
            case "region":
                return nodes[row.edge].region if row.edge in nodes else "unknown"

    found = await service.votes.report(key)
    rows = [_row(name, figures) for name, figures in found.items()]
    return tuple(sorted(rows, key=lambda row: (-row.votes, row.name)))


def _row(name: str, figures: Figures) -> QoeRow:
    return QoeRow.model_validate({"name": name, **figures.as_json()})
