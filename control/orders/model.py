"""An order's fate, and what a log of orders must do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import Field

from control.contract.messages import Message
from control.contract.orders import Ack, Command, Order, Targets
from control.orders.feed import Feeds
from kit.errors import Conflict, NotFound, Overloaded

Stage = Literal["shields", "edges"]
"""Who has been told: the shields alone, or the edges too."""
SHOWN = 20
"""Nodes that a status names, of each kind."""
MAX_DRAINING = 20_000
"""Nodes that may drain at a time."""


class OrdersAway(Overloaded):
    """The log cannot be written now (Redis is away): nothing was issued, or it is known under the key given."""

    kind = "orders_away"


class TooManyOrders(Overloaded):
    """As many orders are in flight, revocations stand or nodes drain as may."""

    kind = "too_many_orders"


class NoSuchOrder(NotFound):
    """No order of this number is kept."""

    kind = "no_such_order"


class OtherOrder(Conflict):
    """The key given was used for an order that says something else."""

    kind = "other_order"


class NodeFate(Message):
    """What one node did with an order."""

    node: str
    outcome: Literal["done", "failed", "waiting"]
    seconds: float = 0.0
    detail: str = ""


class OrderStatus(Message):
    """How far an order is. Counts are of the nodes that were known when it was issued, and of those that came later
    and acknowledged it."""

    order: Order
    targets: Targets
    by: str
    """Who issued it."""
    stage: Stage
    """`shields`: edges are told when every shield has acknowledged or is down."""
    done: int = Field(ge=0)
    failed: int = Field(ge=0)
    waiting: int = Field(ge=0)
    slowest: NodeFate | None
    """Of those that acknowledged, who took longest from the issue to the acknowledgement."""
    failures: tuple[NodeFate, ...] = Field(max_length=SHOWN)
    """The first of those that failed."""
    missing: tuple[str, ...] = Field(max_length=SHOWN)
    """The first of those that wait, or were not told yet."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An order before it has a number. `expected`: role -> ids of the nodes that should do it, and with `everybody` all
    others of the role that ever asked for orders; `told`: roles that are told at once; `later`: roles that are told
    when those are done."""

    command: Command
    targets: Targets
    issued: float
    by: str
    key: str
    expected: Mapping[str, frozenset[str]]
    told: tuple[str, ...]
    later: tuple[str, ...] = ()
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """Orders kept; orders in flight; seconds after which one no longer counts as in flight."""

    kept: int = 500
    in_flight: int = 100
    flight_s: float = 60.0


@dataclass(frozen=True, slots=True)
class LogState:
    """For /health. `redis` is None where none is configured; while it is away nothing can be issued, and nodes are
    told what was issued before."""

    kind: str
    redis: str | None
    error: str | None
    staged: int
    """Purges that edges were not told of yet."""


class OrderLog(Protocol):
    """Keeps orders and their fates. Reading `feeds` never waits; OrdersAway from the rest when the log is away."""

    feeds: Feeds
    """What nodes are told, at most a moment old."""

    async def issue(self, draft: Draft) -> Order:
        """Write it down; a draft with a key used before gives the order of then, OtherOrder when it differs.
        TooManyOrders."""
        ...

    async def tell(self, number: int) -> None:
        """Tell a staged order to the roles that wait for it; again is no error."""
        ...

    async def ack(self, number: int, node_id: str, ack: Ack, now: float) -> None:
        """Note what a node did; the first note stands. Orders that are no longer kept are no error."""
        ...

    async def follows(self, node_id: str, role: str) -> None:
        """Note that there is such a node, so that orders are expected of it also while it is away."""
        ...

    async def statuses(self, numbers: tuple[int, ...] | None = None, limit: int = 50) -> list[OrderStatus]:
        """The orders of these numbers that are kept, or the newest ones, newest first."""
        ...

    def state(self) -> LogState:
        """Where it is kept and whether that works."""
        ...

    async def close(self) -> None:
        """Let go of tasks and connections."""
        ...
