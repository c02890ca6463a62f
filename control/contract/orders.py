"""Orders: what control tells nodes to do, once and in order, and what they say when it is done (contracts.md).

A leaf: pydantic and nothing of ours.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from control.contract.messages import Id, Message

ORDERS_PATH = "/api/v1/nodes/{id}/orders"
ACK_PATH = "/api/v1/nodes/{id}/orders/{number}/ack"
LONG_POLL_S = 25.0
"""Control answers a question for orders after this at the latest, with none."""
BATCH = 32
"""Orders in one answer at most."""
BATCH_BYTES = 128 * 1024
"""Of all orders in one answer, where it has more than one: with all that may stand it is below MAX_ANSWER_BYTES."""
MAX_PATHS = 64
"""Paths in one prefetch at most."""
MAX_REVOKED = 4096
"""Revocations that stand at a time at most, of nodes (which shields hear) and of play tokens (edges) each."""
MAX_ANSWER_BYTES = 2**20
"""No answer to a question for orders is larger."""
CURSOR_PATTERN = r"^[a-z0-9]{8,32}\.[0-9]{1,16}-[0-9]{1,16}$"
"""`<epoch of the log>.<place in the stream>`: which orders a node has done. Nodes keep it and do not read it."""

Path = Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=1024)]
"""A path with its query, as it is asked upstream: without token."""
Tag = Annotated[str, Field(pattern=r"^[!-~]+$", max_length=256)]
Word = Annotated[str, Field(pattern=r"^[!-~]+$", max_length=128)]
Outcome = Literal["done", "failed"]


class Purge(Message):
    """Remove answers, or with `soft` make them stale, on every shield and then on every edge (CDN-15, T-100)."""

    kind: Literal["purge"] = "purge"
    by: Literal["url", "prefix", "tag"]
    """What `what` is: a path, the beginning of paths, a tag."""
    what: Path | Tag
    soft: bool = False

    @model_validator(mode="after")
    def _path(self) -> Self:
        if self.by != "tag" and not self.what.startswith("/"):
            raise ValueError(f"a {self.by} begins with /")
        return self


class Prefetch(Message):
    """Ask for these paths, so that they are stored before viewers come (CDN-22)."""

    kind: Literal["prefetch"] = "prefetch"
    paths: tuple[Path, ...] = Field(min_length=1, max_length=MAX_PATHS, strict=False)


class Drain(Message):
    """Take no new session; what is under way goes on."""

    kind: Literal["drain"] = "drain"


class Undrain(Message):
    """Take sessions again."""

    kind: Literal["undrain"] = "undrain"


class Revoke(Message):
    """Refuse at once, whatever their end, play tokens: one (cti, hex), all of a subject (sub), all of a key; or a node,
    by the name that signs: shields, and origin's delivery, then serve it no more."""

    kind: Literal["revoke"] = "revoke"
    by: Literal["token", "subject", "key", "node"]
    what: Word
    until: FiniteFloat = Field(gt=0)
    """Forgotten from then on, seconds since the epoch: when what it names has ended by itself."""


Command = Annotated[Purge | Prefetch | Drain | Undrain | Revoke, Field(discriminator="kind")]


class Order(Message):
    """One order. Done twice it has the same result as done once."""

    number: int = Field(ge=1)
    """Numbers rise; a number is never given twice."""
    issued: FiniteFloat
    """Seconds since the epoch."""
    command: Command


class Standing(Message):
    """What orders of before add up to, for a node that can no longer be told each of them. Such a node purges all that
    it has, softly, and goes on with the oldest orders that are kept."""

    draining: bool
    revoked: tuple[Revoke, ...] = Field(max_length=MAX_REVOKED, strict=False)
    purged: int = Field(default=0, ge=0)
    """When everything is stale, every purge up to this number is as good as done."""


class OrdersAnswer(Message):
    """What a node has to do, in this order: `reset`, then `orders`; then it keeps `cursor`."""

    cursor: str = Field(pattern=CURSOR_PATTERN)
    reset: Standing | None = None
    orders: tuple[Order, ...] = Field(default=(), max_length=BATCH, strict=False)


class Ack(Message):
    """One order was done, or could not be."""

    outcome: Outcome
    seconds: FiniteFloat = Field(ge=0, le=1e6)
    """How long it took on the node."""
    detail: str = Field(default="", max_length=200)
    """Why it failed."""


class Acked(Message):
    """Control has written it down."""

    number: int = Field(ge=1)


class Targets(Message):
    """Which nodes an order is for; all of the roles that it makes sense for, unless narrowed."""

    nodes: tuple[Id, ...] = Field(default=(), max_length=1000, strict=False)
    """These alone."""
    region: Id | None = None
    """Those of this region alone."""
