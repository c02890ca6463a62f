"""What is kept of tokens and names, and what keeps it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field

from control.contract.messages import Id, Message, Role
from kit.errors import Overloaded

MAX_TOKENS = 1000
"""Tokens that wait for their node at a time."""
MAX_NAMES = 20_000
"""Names enrolled at a time."""
MAX_REVOKED = 4000
"""Names revoked: for ever, until the fleet key is made anew. Fewer than shields can be told of
(contract.orders.MAX_REVOKED): nobody is refused by one tier and served by the other."""


class EnrolmentAway(Overloaded):
    """Nothing can be written now (Redis is away). What was revoked stays refused."""

    kind = "enrolment_away"


class TooManyTokens(Overloaded):
    """As many tokens wait, or nodes are enrolled, as may."""

    kind = "too_many_tokens"


class TooManyRevoked(Overloaded):
    """As many names were revoked as may: it is time for a new fleet key."""

    kind = "too_many_revoked"


class Invitation(Message):
    """Whom a token lets in."""

    id: Id
    role: Role
    expires: float = Field(gt=0)
    """Seconds since the epoch."""
    by: str = Field(default="", max_length=200)
    """Who made it."""


@dataclass(frozen=True, slots=True)
class EnrolmentState:
    """For /health."""

    kind: str
    redis: str | None
    revoked: int


class Roll(Protocol):
    """Keeps tokens and names. EnrolmentAway from what writes."""

    @property
    def revoked(self) -> Collection[str]:
        """Names whose signatures are refused, at most a moment old; never waits."""
        ...

    async def invite(self, digest: str, invitation: Invitation, now: float) -> None:
        """Keep a token's hash; those that ended are dropped. TooManyTokens."""
        ...

    async def invited(self, now: float) -> tuple[Invitation, ...]:
        """Whom tokens wait for."""
        ...

    async def redeem(self, digest: str, node_id: str, role: str, serial: str, now: float) -> bool:
        """Use a token up for this node, and write its name down; False when it is not for it, used or over."""
        ...

    async def revoke(self, node_id: str) -> tuple[str, ...]:
        """Refuse all names of this node; which they are, those refused before too. The plain id is one of them."""
        ...

    def state(self) -> EnrolmentState:
        """Where it is kept and whether that works."""
        ...

    async def close(self) -> None:
        """Let go of tasks and connections."""
        ...


def names_of(node_id: str, names: Collection[str]) -> tuple[str, ...]:
    """Those of `names` that are one node's, and its plain id. A set: no name comes twice."""
    return tuple(sorted({node_id, *(name for name in names if name.partition(":")[0] == node_id)}))
