"""The log of orders in this process alone: where no Redis is configured. It ends with the process: nodes then find a
log of another epoch, and begin anew (Standing)."""

from collections import OrderedDict

from control.contract.orders import MAX_REVOKED, Ack, Drain, Order, Revoke
from control.orders.feed import Entry, Feeds, Staged, new_epoch
from control.orders.model import MAX_DRAINING, Bounds, Draft, LogState, OrderStatus, TooManyOrders
from control.orders.record import Record

MAX_FOLLOWERS = 20_000


class MemoryLog:
    """An OrderLog without Redis."""

    def __init__(self, bounds: Bounds) -> None:
        self.feeds = Feeds(new_epoch(), bounds.kept)
        self._bounds = bounds
        self._records: OrderedDict[int, Record] = OrderedDict()
        self._staged: dict[int, Draft] = {}
        self._keys: dict[str, int] = {}
        self._followers: OrderedDict[str, str] = OrderedDict()
        self._number = self._places = 0

    async def issue(self, draft: Draft) -> Order:
        """See OrderLog."""
        if draft.key in self._keys:
            return self._records[self._keys[draft.key]].repeated(draft)
        self._bounded(draft)
        self._number += 1
        order = Order(number=self._number, issued=draft.issued, command=draft.command)
        record = Record(order, draft.targets, draft.by, draft.key, "shields" if draft.later else "edges")
        for nodes in draft.expected.values():
            record.expect(nodes)
        for role in draft.expected if draft.everybody else ():
            record.expect((id_ for id_, known in self._followers.items() if known == role), away=True)
        self._keep(record)
        for role in draft.told:
            self._add(role, record)
        if draft.later:
            self._staged[order.number] = draft
            self._stage(order.number)
        self.feeds.stand(order, draft.targets, draft.issued)
        self.feeds.ring()
        return order

    async def tell(self, number: int) -> None:
        """See OrderLog."""
        self._tell(number)

    async def ack(self, number: int, node_id: str, ack: Ack, now: float) -> None:
        """See OrderLog."""
        if number in self._records:
            self._records[number].note(node_id, ack, now)
            self._stage(number)

    async def follows(self, node_id: str, role: str) -> None:
        """See OrderLog."""
        self._followers[node_id] = role
        self._followers.move_to_end(node_id)
        while len(self._followers) > MAX_FOLLOWERS:
            self._followers.popitem(last=False)

    async def statuses(self, numbers: tuple[int, ...] | None = None, limit: int = 50) -> list[OrderStatus]:
        """See OrderLog."""
        wanted = list(reversed(self._records))[:limit] if numbers is None else numbers
        return [self._records[number].status() for number in wanted if number in self._records]

    def state(self) -> LogState:
        """See OrderLog."""
        return LogState("memory", None, None, len(self.feeds.staged))

    async def close(self) -> None:
        """See OrderLog."""

    def _bounded(self, draft: Draft) -> None:
        since = draft.issued - self._bounds.flight_s
        flying = sum(each.order.issued > since and each.unfinished for each in self._records.values())
        if flying >= self._bounds.in_flight:
            raise TooManyOrders(f"{flying} orders are in flight")
        if isinstance(draft.command, Revoke):
            ours = draft.command.by == "node"
            standing = (each for each in self.feeds.revoked.values() if (each.by == "node") is ours)
            stand = sum(each.until > draft.issued for each in standing)
            if stand >= MAX_REVOKED:
                raise TooManyOrders(f"{stand} revocations stand")
        if isinstance(draft.command, Drain) and len(self.feeds.draining) >= MAX_DRAINING:
            raise TooManyOrders(f"{MAX_DRAINING} nodes drain")

    def _keep(self, record: Record) -> None:
        self._records[record.order.number] = record
        if record.key:
            self._keys[record.key] = record.order.number
        while len(self._records) > self._bounds.kept:
            number = next(iter(self._records))
            self._tell(number)  # before it is forgotten
            self._keys.pop(self._records.pop(number).key, None)

    def _tell(self, number: int) -> None:
        draft = self._staged.pop(number, None)
        self.feeds.staged.pop(number, None)
        if draft is not None:
            self._records[number].stage = "edges"
            for role in draft.later:
                self._add(role, self._records[number])
            self.feeds.ring()

    def _stage(self, number: int) -> None:
        draft = self._staged.get(number)
        if draft is not None:
            record = self._records[number]
            shields = frozenset().union(*(draft.expected.get(role, frozenset()) for role in draft.told))
            self.feeds.staged[number] = Staged(number, record.order.issued, record.waiting(shields))
            self.feeds.ring()

    def _add(self, role: str, record: Record) -> None:
        self._places += 1
        entry = Entry((self._places, 0), record.order, record.targets, record.by, record.key)
        self.feeds.roles[role].add(entry)
