"""What an edge's viewers saw, as the edge tells control: a message of its own beside the heartbeat, so that heartbeats
stay small and a control that does not know it yet refuses nothing else."""

from typing import Annotated

from pydantic import AfterValidator, Field, FiniteFloat

from control.contract.messages import Message
from geo.network import NETWORK_PATTERN, is_client_network

OBSERVATIONS_PATH = "/api/v1/nodes/{id}/observations"
MOST_TRIPS = 64
"""Client networks in one message; an edge that saw more sends those that were seen most."""
MOST_MS = 60_000.0


def _network(value: str) -> str:
    if not is_client_network(value):
        raise ValueError("a client network is a /24 or a /48, in its shortest form")
    return value


ClientNetwork = Annotated[str, Field(pattern=NETWORK_PATTERN), AfterValidator(_network)]


class RoundTrip(Message):
    """What the kernel measured on the connections of one client network that ended (TCP_INFO)."""

    network: ClientNetwork
    ms: FiniteFloat = Field(gt=0, le=MOST_MS)
    """Smoothed round trip time."""
    count: int = Field(ge=1, le=1_000_000)
    """Connections."""


class Observations(Message):
    """What was seen since the last message of the same node."""

    round_trips: tuple[RoundTrip, ...] = Field(default=(), max_length=MOST_TRIPS, strict=False)


class ObservationsAnswer(Message):
    """Control has taken them."""

    taken: int = Field(ge=0)
