"""Whatever a node misses, and whenever it dies: it ends as one that was never away (T-090). Feeds and Kept, no I/O."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from control.contract.orders import Drain, Order, OrdersAnswer, Purge, Revoke, Targets, Undrain
from control.node.kept import Kept
from control.orders.feed import Entry, Feeds

NOW, END = 1000.0, 2000.0
KEPT = 5
NODES = ("a", "b")
HERE = st.sampled_from([Targets(nodes=("a",)), Targets(nodes=("b",)), Targets(nodes=NODES)])
COMMANDS = st.one_of(
    st.tuples(st.builds(Purge, by=st.just("tag"), what=st.sampled_from("xyz"), soft=st.booleans()), st.just(Targets())),
    st.tuples(st.sampled_from([Drain(), Undrain()]), HERE),
    st.tuples(
        st.builds(Revoke, by=st.sampled_from(["token", "key"]), what=st.sampled_from("kl"), until=st.floats(1001, END)),
        st.just(Targets()),
    ),
)
STEPS = st.lists(
    st.one_of(
        COMMANDS,
        st.tuples(st.just("ask"), st.sampled_from(NODES)),
        st.tuples(st.just("ask and die"), st.sampled_from(NODES)),
        st.tuples(st.just("lose all"), st.sampled_from(NODES)),
    ),
    max_size=60,
)


@dataclass
class Node:
    """What a node has: the tags that it stored once, hard and soft purges done on them, and what it keeps."""

    name: str
    kept: Kept = field(default_factory=Kept)
    fresh: set[str] = field(default_factory=lambda: set("xyz"))
    there: set[str] = field(default_factory=lambda: set("xyz"))

    def do(self, answer: OrdersAnswer, *, dies: bool = False) -> None:
        """As control.node.follower does; one that dies has done it and kept nothing of it."""
        before = self.kept
        if answer.reset is not None:
            self.kept = self.kept.with_(draining=answer.reset.draining).refusing(answer.reset.revoked, NOW)
            self.fresh.clear()
        for order in answer.orders:
            match order.command:
                case Purge(what=what, soft=soft):
                    self.fresh.discard(what)
                    if not soft:
                        self.there.discard(what)
                case Drain():
                    self.kept = self.kept.with_(draining=True)
                case Undrain():
                    self.kept = self.kept.with_(draining=False)
                case Revoke() as revoke:
                    self.kept = self.kept.refusing((revoke,), NOW)
        self.kept = before if dies else self.kept.with_(cursor=answer.cursor)


def issue(feeds: Feeds, number: int, command, targets: Targets) -> None:
    order = Order(number=number, issued=NOW, command=command)
    feeds.roles["edge"].add(Entry((number, 0), order, targets))
    feeds.stand(order, targets, NOW)


def ask(feeds: Feeds, node: Node, *, dies: bool = False) -> bool:
    answer = feeds.answer(node.name, "edge", "east", node.kept.cursor, NOW)
    if answer is not None:
        assert len(answer.orders) <= 2
        assert OrdersAnswer.model_validate_json(answer.encode()) == answer
        node.do(answer, dies=dies)
    return answer is not None


@settings(deadline=None, max_examples=300)
@given(STEPS)
def test_a_node_that_was_away_ends_as_one_that_never_was(steps: list) -> None:
    feeds = Feeds("0123456789abcdef", KEPT, batch=2)
    nodes = {name: Node(name) for name in NODES}
    always = {name: Node(name) for name in NODES}
    for node in always.values():
        ask(feeds, node)
    number = 0
    for what, on in steps:
        if what == "ask":
            ask(feeds, nodes[on])
        elif what == "ask and die":
            ask(feeds, nodes[on], dies=True)
        elif what == "lose all":
            nodes[on].kept = Kept()
        else:
            number += 1
            issue(feeds, number, what, on)
            for node in always.values():
                while ask(feeds, node):
                    pass
    for name, node in nodes.items():
        while ask(feeds, node):
            assert node.kept.cursor
        same = always[name]
        assert node.kept.draining == same.kept.draining
        assert set(node.kept.revoked) == set(same.kept.revoked)
        assert node.fresh <= same.fresh
        recent = {
            entry.order.command.what
            for entry in feeds.roles["edge"].entries
            if isinstance(entry.order.command, Purge) and not entry.order.command.soft
        }
        assert not node.there & recent
