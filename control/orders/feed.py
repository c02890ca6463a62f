"""What the nodes of a role are told, in order, and the answer to one node's question. No I/O, no clock.

A cursor is `<epoch>.<milliseconds>-<sequence>`: the epoch names the log, the rest is a Redis stream's id.
"""

import asyncio
import secrets
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from control.contract.orders import (
    BATCH,
    BATCH_BYTES,
    Drain,
    Order,
    OrdersAnswer,
    Purge,
    Revoke,
    Standing,
    Targets,
    Undrain,
)

ROLES = ("shield", "edge", "origin")
"""Who takes orders. A purge reaches them in this order (contracts.md, Purge across tiers); origin stores nothing."""
STORING = ("shield", "edge")
Place = tuple[int, int]
"""A place in a stream; places rise."""
START: Place = (0, 0)


def place_of(text: str) -> Place:
    """`5-1` -> (5, 1). ValueError when it is none."""
    ms, _, sequence = text.partition("-")
    return int(ms), int(sequence)


def text_of(place: Place) -> str:
    """(5, 1) -> `5-1`."""
    return f"{place[0]}-{place[1]}"


def new_epoch() -> str:
    """The name of a new log."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Entry:
    """One order in a feed."""

    place: Place
    order: Order
    targets: Targets
    by: str = ""
    key: str = ""

    def meant_for(self, node_id: str, region: str | None) -> bool:
        """Whether this node is among the targets."""
        if self.targets.nodes:
            return node_id in self.targets.nodes
        return self.targets.region is None or self.targets.region == region


class Feed:
    """The last `kept` orders of one role."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self.entries: list[Entry] = []
        self.tail = START
        """The place of the newest order that is kept no more."""

    @property
    def last(self) -> Place:
        """The place of the newest order."""
        return self.entries[-1].place if self.entries else self.tail

    def add(self, entry: Entry) -> None:
        """One more, with a place above `last`; the oldest goes when there are too many."""
        self.entries.append(entry)
        if len(self.entries) > self._kept:
            self.trim(self.entries[0].place)

    def trim(self, tail: Place) -> None:
        """Forget all up to `tail`."""
        if tail > self.tail:
            self.tail = tail
            del self.entries[: bisect_right(self.entries, tail, key=_place)]

    def after(self, place: Place) -> Iterator[Entry]:
        """The orders behind `place`, in order."""
        for at in range(bisect_right(self.entries, place, key=_place), len(self.entries)):
            yield self.entries[at]


@dataclass(frozen=True, slots=True)
class Staged:
    """An order of which shields were told, and edges not yet. `waiting`: shields that did not acknowledge."""

    number: int
    issued: float
    waiting: frozenset[str]


@dataclass
class Feeds:
    """All that nodes are told, as one process sees it."""

    epoch: str
    kept: int
    known: bool = True
    """False until the log was read once: nobody may be told that his cursor is of another one."""
    batch: int = BATCH
    """Orders in one answer at most."""
    roles: dict[str, Feed] = field(default_factory=dict)
    draining: set[str] = field(default_factory=set)
    revoked: dict[tuple[str, str], Revoke] = field(default_factory=dict)
    staged: dict[int, Staged] = field(default_factory=dict)
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.roles = {role: Feed(self.kept) for role in ROLES}

    @property
    def bell(self) -> asyncio.Event:
        """Set at the next change; take it before you look."""
        return self._bell

    def ring(self) -> None:
        """Wake all who wait for a change."""
        self._bell.set()
        self._bell = asyncio.Event()

    def stand(self, order: Order, targets: Targets, now: float) -> None:
        """Take into account what stays after an order: drained nodes, revocations. Ended ones are dropped."""
        match order.command:
            case Drain():
                self.draining |= set(targets.nodes)
            case Undrain():
                self.draining -= set(targets.nodes)
            case Revoke(by=by, what=what):
                self.revoked = {name: each for name, each in self.revoked.items() if each.until > now}
                self.revoked[by, what] = later(self.revoked.get((by, what)), order.command)
            case _:
                pass

    def standing(self, node_id: str, role: str, now: float) -> Standing:
        """What orders of before add up to for this node: shields and origin refuse nodes, edges refuse play
        tokens."""
        ours = [each for each in self.revoked.values() if (each.by == "node") is (role != "edge")]
        revoked = tuple(each for each in ours if each.until > now)
        return Standing(draining=node_id in self.draining, revoked=revoked, purged=self._purged(role))

    def _purged(self, role: str) -> int:
        """The newest purge of this role's feed. Where none is kept any more, a shield may be said to have done all up
        to the newest order; an edge must not ask shields for more than their feed had, so it is said too little."""
        orders = [entry.order for entry in self.roles[role].entries]
        purges = [each.number for each in orders if isinstance(each.command, Purge)]
        return max(purges, default=max((each.number for each in orders), default=0) if role == "shield" else 0)

    def answer(
        self, node_id: str, role: str, region: str | None, cursor: str | None, now: float
    ) -> OrdersAnswer | None:
        """What this node has to do after `cursor`; None when there is nothing. `now` is wall time.

        A cursor that cannot be continued (none, of another log, older than the tail, ahead of the newest) is reset.
        """
        if not self.known:
            return None
        feed = self.roles[role]
        place = self._continued(feed, cursor)
        reset = self.standing(node_id, role, now) if place is None else None
        reached, size = feed.tail if place is None else place, 0
        orders: list[Order] = []
        for entry in feed.after(reached):
            if entry.meant_for(node_id, region):
                size += len(entry.order.encode())
                if orders and size > BATCH_BYTES:
                    break
                orders.append(entry.order)
            reached = entry.place
            if len(orders) == self.batch:
                break
        if reset is None and not orders:
            return None
        return OrdersAnswer(cursor=self._cursor(reached), reset=reset, orders=tuple(orders))

    def nothing(self, role: str) -> OrdersAnswer:
        """The answer to one who waited long enough: no order, and a cursor that is up to date, so that the tail does
        not overtake a node for which none of the orders were."""
        return OrdersAnswer(cursor=self._cursor(self.roles[role].last))

    def _continued(self, feed: Feed, cursor: str | None) -> Place | None:
        epoch, _, text = (cursor or "").partition(".")
        if epoch != self.epoch:
            return None
        place = place_of(text)
        return place if feed.tail <= place <= feed.last else None

    def _cursor(self, place: Place) -> str:
        return f"{self.epoch}.{text_of(place)}"


def later(one: Revoke | None, other: Revoke) -> Revoke:
    """The one of two revocations of the same thing that ends later: so their order does not matter."""
    return one if one is not None and one.until > other.until else other


def _place(entry: Entry) -> Place:
    return entry.place
