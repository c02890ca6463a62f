"""What is kept of one order besides its place in the feeds, and the status made of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from control.contract.orders import Ack, Command, Order, Revoke, Targets
from control.orders.model import SHOWN, Draft, NodeFate, OrderStatus, OtherOrder, Stage


@dataclass
class Record:
    """One order and what each node did. A node that is expected and did not acknowledge has the fate `waiting`."""

    order: Order
    targets: Targets
    by: str
    key: str
    stage: Stage = "edges"
    fates: dict[str, NodeFate] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    """Nodes that were away when it was issued: it is not in flight for their sake."""

    def expect(self, nodes: Iterable[str], *, away: bool = False) -> None:
        """These nodes should do it."""
        for node in nodes:
            if node not in self.fates:
                self.fates[node] = NodeFate(node=node, outcome="waiting")
                if away:
                    self.away.add(node)

    def note(self, node_id: str, ack: Ack, now: float) -> None:
        """The first acknowledgement of a node stands. `now` is wall time."""
        before = self.fates.get(node_id)
        if before is None or before.outcome == "waiting":
            self.fates[node_id] = fate(node_id, ack, self.order.issued, now)

    def repeated(self, draft: Draft) -> Order:
        """This order, for a draft with the same key. OtherOrder when that says something else."""
        if (_said(draft.command), draft.targets) != (_said(self.order.command), self.targets):
            raise OtherOrder(f"the key was used for order {self.order.number}, which says something else")
        return self.order

    @property
    def unfinished(self) -> bool:
        """Whether a node that was not away has not acknowledged."""
        return any(each.outcome == "waiting" and each.node not in self.away for each in self.fates.values())

    def waiting(self, nodes: Iterable[str]) -> frozenset[str]:
        """Those of `nodes` that have not acknowledged."""
        return frozenset(node for node in nodes if node in self.fates and self.fates[node].outcome == "waiting")

    def status(self) -> OrderStatus:
        """For operators."""
        by_outcome: dict[str, list[NodeFate]] = {"done": [], "failed": [], "waiting": []}
        for each in self.fates.values():
            by_outcome[each.outcome].append(each)
        answered = by_outcome["done"] + by_outcome["failed"]
        return OrderStatus(
            order=self.order,
            targets=self.targets,
            by=self.by,
            stage=self.stage,
            done=len(by_outcome["done"]),
            failed=len(by_outcome["failed"]),
            waiting=len(by_outcome["waiting"]),
            slowest=max(answered, key=lambda each: each.seconds, default=None),
            failures=tuple(by_outcome["failed"][:SHOWN]),
            missing=tuple(sorted(each.node for each in by_outcome["waiting"])[:SHOWN]),
        )


def _said(command: Command) -> Command:
    """What a command asks for. The end of a revocation is not of it: asked again a moment later for as long, it has
    another, and the answer to the first asking may have been lost."""
    return command.model_copy(update={"until": 1.0}) if isinstance(command, Revoke) else command


def fate(node_id: str, ack: Ack, issued: float, now: float) -> NodeFate:
    """What a node did, with the seconds since the order was issued."""
    return NodeFate(node=node_id, outcome=ack.outcome, seconds=round(max(0.0, now - issued), 4), detail=ack.detail)
