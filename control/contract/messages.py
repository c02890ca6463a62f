"""What nodes, origin and control say to each other: JSON with camelCase names, strict both ways (contracts.md).

A leaf: pydantic and nothing of ours.
"""

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat
from pydantic.alias_generators import to_camel

HEARTBEAT_PATH = "/api/v1/nodes/{id}/heartbeat"
LEAVE_PATH = "/api/v1/nodes/{id}/leave"
CHOOSE_PATH = "/api/v1/steering/choose"
MAX_BODY_BYTES = 16 * 1024
"""No message of ours is larger; control refuses what is."""
ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}\Z"
"""Node and region ids."""

Role = Literal["edge", "shield", "origin"]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Percent = Annotated[FiniteFloat, Field(ge=0, le=1000)]
Url = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._~/-]*)?$", max_length=300)]
SteeringUrl = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\[\]:_-]+/[A-Za-z0-9._~/-]+$", max_length=2000)]


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value))


class Message(BaseModel):
    """Frozen; an unknown or missing name and a wrong type are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        defer_build=True,  # a node without control never needs one
    )

    def encode(self) -> bytes:
        """The JSON that goes over the wire."""
        return self.model_dump_json().encode()


class LoadParts(Message):
    """How busy a node is, each part in percent of its capacity; above 100 is allowed (a burst)."""

    cpu: Percent = 0.0
    connections: Percent = 0.0
    egress: Percent = 0.0
    disk: Percent = 0.0

    def load(self) -> float:
        """The node's load, 0-100: the highest part (D-13)."""
        return min(100.0, max(self.cpu, self.connections, self.egress, self.disk))


PerSecond = Annotated[FiniteFloat, Field(ge=0, le=1e9)]


class Answers(Message):
    """What a node answered over the last interval, per second."""

    all: PerSecond = 0.0
    hits: PerSecond = 0.0
    """From its cache: fresh, stale or revalidated."""
    misses: PerSecond = 0.0
    """From upstream."""
    errors: PerSecond = 0.0
    """5xx."""


class Report(Message):
    """One heartbeat: all that control knows of a node comes from the last one."""

    role: Role
    """Must be the role of the credential that signed."""
    url: Url
    """How players (edge) or the tier before it (shield, origin) reach the node; no slash at the end."""
    region: Id
    """A region that control's settings name."""
    load: LoadParts = LoadParts()
    capacity_mbps: int = Field(default=1000, ge=1, le=10_000_000)
    """Egress that counts as a load of 100; also the node's weight in the ranking."""
    connections: int = Field(default=0, ge=0, le=1_000_000_000)
    """Open connections of viewers."""
    egress_mbps: FiniteFloat = Field(default=0.0, ge=0, le=10_000_000)
    """Bytes to viewers, as Mbit/s over the last interval."""
    answers: Answers = Answers()
    snapshot: int = Field(default=0, ge=0)
    """The version of control's settings that it has, or could not use."""
    snapshot_error: str = Field(default="", max_length=200)
    """Why it could not use that version; empty: it does."""
    version: str = Field(default="", pattern=r"^[A-Za-z0-9._+-]{0,64}$")
    """Version of the software."""
    draining: bool = False
    """Takes no new session."""
    reserve: bool = False
    """Chosen only when no other edge is left (C-64)."""
    started: FiniteFloat = Field(ge=0)
    """When the process started, seconds since the epoch."""
    probe: Url | None = None
    """Where control may ask the node's /ready; without it control believes heartbeats and players alone."""


class HeartbeatAnswer(Message):
    """What a node is told after a heartbeat (or on leaving)."""

    map_version: int = Field(ge=0)
    expiry_s: FiniteFloat = Field(gt=0)
    """Silent for this long, the node counts as dead."""
    interval_s: FiniteFloat = Field(gt=0)
    """Report this often."""
    snapshot: int = Field(default=0, ge=0)
    """The version of control's settings that the node should have; 0: none."""


class ChooseRequest(Message):
    """Origin asks where a viewer's session goes."""

    client: Annotated[str, Field(max_length=64), AfterValidator(_address)]
    """The viewer's address, IPv4 or IPv6."""
    content_id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    session_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")


class Edge(Message):
    """One edge that a session may use."""

    id: Id
    url: Url


class ChooseAnswer(Message):
    """Candidates, best first; never empty."""

    edges: tuple[Edge, ...] = Field(min_length=1, strict=False)
    map_version: int = Field(ge=0)
    pathways: int = Field(default=1, ge=1)
    """So many of them, from the first, are the session's pathways."""
    steering: SteeringUrl | None = None
    """Where the session's player asks for its order; None where it is not steered."""
