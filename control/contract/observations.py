"""What an edge's viewers saw, as the edge tells control: a message of its own beside the heartbeat, so that heartbeats
stay small and a control that does not know it yet refuses nothing else."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from control.contract.messages import Message
from geo.network import NETWORK_PATTERN, is_client_network

OBSERVATIONS_PATH = "/api/v1/nodes/{id}/observations"
MOST_TRIPS = 64
"""Client networks in one message; an edge that saw more sends those that were seen most."""
MOST_QUALITIES = 32
"""(Network, class) pairs in one message; likewise."""
MOST_MS = 60_000.0


def _network(value: str) -> str:
    if not is_client_network(value):
        raise ValueError("a client network is a /24 or a /48, in its shortest form")
    return value


Count = Annotated[int, Field(ge=0, le=1_000_000)]
ClientNetwork = Annotated[str, Field(pattern=NETWORK_PATTERN), AfterValidator(_network)]


class RoundTrip(Message):
    """What the kernel measured on the connections of one client network that ended (TCP_INFO)."""

    network: ClientNetwork
    ms: FiniteFloat = Field(gt=0, le=MOST_MS)
    """Smoothed round trip time."""
    count: int = Field(ge=1, le=1_000_000)
    """Connections."""


class Quality(Message):
    """How sessions of one client network fared, a vote each, by class of stream. Means are over the votes that had the
    figure: `started`, `rated`, `measured` of them."""

    network: ClientNetwork
    stream: Literal["vod", "live", "unknown"] = "unknown"
    votes: Count = Field(ge=1)
    stalled: Count = 0
    """Sessions whose buffer ran empty."""
    stalls: int = Field(default=0, ge=0, le=10**9)
    """How often buffers ran empty."""
    rebuffer_ms: int = Field(default=0, ge=0, le=10**13)
    """How long buffers were empty, all together, where players said so."""
    failed: Count = 0
    """Sessions that ended by an error."""
    started: Count = 0
    startup_ms: int = Field(default=0, ge=0, le=3_600_000)
    rated: Count = 0
    kbps: int = Field(default=0, ge=0, le=1_000_000)
    """Bitrate of the picture."""
    top_share: FiniteFloat = Field(default=0.0, ge=0, le=1)
    """That bitrate over the highest that there was."""
    measured: Count = 0
    throughput_kbps: int = Field(default=0, ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _of_votes(self) -> Self:
        if max(self.stalled, self.failed, self.started, self.rated, self.measured) > self.votes:
            raise ValueError("more sessions than votes")
        return self


class Observations(Message):
    """What was seen since the last message of the same node."""

    round_trips: tuple[RoundTrip, ...] = Field(default=(), max_length=MOST_TRIPS, strict=False)
    quality: tuple[Quality, ...] = Field(default=(), max_length=MOST_QUALITIES, strict=False)


class ObservationsAnswer(Message):
    """Control has taken them."""

    taken: int = Field(ge=0)
