"""Endpoints on orders: what nodes are told to do, and how far they are. Each is issued once for an idempotency key."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from control.admin.endpoint import Ask, Endpoint, Names, Page, Whole
from control.admin.roles import Role
from control.admin.roster import NodeName
from control.api.service import Service
from control.contract.messages import Id, Message
from control.contract.orders import (
    MAX_PATHS,
    Command,
    Drain,
    Order,
    Path,
    Prefetch,
    Purge,
    Revoke,
    Tag,
    Targets,
    Undrain,
    Word,
)
from control.orders.model import OrderStatus
from control.orders.rules import EVERYBODY
from kit.errors import NotFound

LONGEST_S = 366 * 86_400


def _only(name: str) -> dict[str, Any]:
    """A JSON schema: of three names this one is given."""
    others = {other: {"type": "null"} for other in ("url", "prefix", "tag") if other != name}
    return {"required": [name], "properties": {name: {"type": "string"}, **others}}


class PurgeRequest(Message):
    """What is to go, on every shield and then on every edge: exactly one of url, prefix and tag."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_only(name) for name in ("url", "prefix", "tag")]})

    url: Path | None = None
    """A path with its query, as it is asked upstream."""
    prefix: Path | None = None
    """Everything whose path begins so."""
    tag: Tag | None = None
    """Everything that carries this tag."""
    soft: bool = False
    """Make stale instead of removing."""

    @model_validator(mode="after")
    def _one(self) -> "PurgeRequest":
        if sum(each is not None for each in (self.url, self.prefix, self.tag)) != 1:
            raise ValueError("give exactly one of url, prefix, tag")
        return self

    def command(self) -> Purge:
        """The order's content."""
        if self.tag is not None:
            return Purge(by="tag", what=self.tag, soft=self.soft)
        if self.prefix is not None:
            return Purge(by="prefix", what=self.prefix, soft=self.soft)
        return Purge(by="url", what=self.url or "", soft=self.soft)


class PrefetchRequest(Message):
    """What is to be stored before viewers come: on all edges, on those of a region, or on some nodes."""

    paths: tuple[Path, ...] = Field(min_length=1, max_length=MAX_PATHS)
    nodes: tuple[Id, ...] = Field(default=(), max_length=1000)
    region: Id | None = None


class RevokeRequest(Message):
    """Play tokens that are to be refused at once, whatever their end."""

    by: Literal["token", "subject", "key"]
    what: Word
    """The token's id (cti, hex), the subject (sub), or the key's id."""
    lifetime_s: Whole = Field(ge=1, le=LONGEST_S)
    """Forgotten after this: when what it names has ended by itself."""


class OrderList(Message):
    """The newest orders, newest first."""

    orders: tuple[OrderStatus, ...]


class OrderName(Names):
    """Which order."""

    number: int = Field(ge=1, le=2**53)
    """The order's number."""


class OrderPage(Page):
    """How many orders."""

    count: int = Field(default=50, ge=1, le=500)
    """Orders at most."""


def endpoints(service: Service) -> list[Endpoint]:
    """The rows."""

    async def issue(ask: Ask, command: Command, targets: Targets = EVERYBODY) -> Order:
        return await service.orders.issue(command, targets=targets, by=ask.principal.name, key=ask.key)

    async def purge(ask: Ask) -> Order:
        return await issue(ask, ask.body.command())

    async def prefetch(ask: Ask) -> Order:
        wanted: PrefetchRequest = ask.body
        return await issue(ask, Prefetch(paths=wanted.paths), Targets(nodes=wanted.nodes, region=wanted.region))

    async def revoke(ask: Ask) -> Order:
        wanted: RevokeRequest = ask.body
        until = service.clock.wall() + wanted.lifetime_s
        return await issue(ask, Revoke(by=wanted.by, what=wanted.what, until=until))

    async def drain(ask: Ask) -> Order:
        return await issue(ask, Drain(), await known(ask))

    async def undrain(ask: Ask) -> Order:
        return await issue(ask, Undrain(), await known(ask))

    async def known(ask: Ask) -> Targets:
        if ask.path.id not in (await service.registry.roster()).nodes:
            raise NotFound(f"no node {ask.path.id!r}")
        return Targets(nodes=(ask.path.id,))

    return [
        *_looking(service),
        _acting("orders.purge", "/purge", "Purge everywhere", purge, PurgeRequest),
        _acting("orders.invalidate", "/cache/invalidate", "Purge, by its older name (CDN-15)", purge, PurgeRequest),
        _acting("orders.prefetch", "/prefetch", "Warm nodes", prefetch, PrefetchRequest),
        _acting("orders.revoke", "/revoke", "Refuse play tokens before their end", revoke, RevokeRequest),
        _acting("nodes.drain", "/nodes/{id}/drain", "Let a node take no new session", drain, names=NodeName),
        _acting("nodes.undrain", "/nodes/{id}/undrain", "Let it take sessions again", undrain, names=NodeName),
    ]


def _looking(service: Service) -> list[Endpoint]:
    async def listed(ask: Ask) -> OrderList:
        return OrderList(orders=await service.orders.list(ask.query.count))

    async def one(ask: Ask) -> OrderStatus:
        return await service.orders.status(ask.path.number)

    viewer, said = Role.VIEWER, "How far an order is"
    return [
        Endpoint("orders.list", "GET", "/orders", viewer, "The newest orders", OrderList, listed, in_query=OrderPage),
        Endpoint("orders.show", "GET", "/orders/{number}", viewer, said, OrderStatus, one, OrderName),
    ]


def _acting(
    name: str,
    path: str,
    summary: str,
    handle: Callable[[Ask], Awaitable[Order]],
    body: type[Message] | None = None,
    *,
    names: type[Names] | None = None,
) -> Endpoint:
    """A row that issues an order."""
    return Endpoint(name, "POST", path, Role.OPERATOR, summary, Order, handle, names, in_body=body, status=202)
