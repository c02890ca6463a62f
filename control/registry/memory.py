"""The map in this process alone: where no Redis is configured, and what is heard while it is away."""

from control.contract.messages import Report
from control.registry.model import (
    Node,
    NodeMap,
    RegistryFull,
    RegistryState,
    node_of,
    standing,
    without_stale,
)
from kit.clock import Clock


class MemoryRegistry:
    """A Registry without Redis. `limits`: the load bands' bounds, whose crossing changes the version."""

    def __init__(self, clock: Clock, *, expiry_s: float, limits: tuple[float, ...], max_nodes: int) -> None:
        self._clock, self._expiry_s = clock, expiry_s
        self._limits, self._max_nodes = limits, max_nodes
        self._nodes: dict[str, Node] = {}
        self._version = 0
        self._oldest = clock.monotonic()
        """No node was heard before this."""
        self._picture: NodeMap | None = None

    def map(self) -> NodeMap:
        """See Registry."""
        self._drop_stale()
        if self._picture is None:
            self._picture = NodeMap(self._version, 0, dict(self._nodes))
        return self._picture

    async def beat(self, node_id: str, report: Report) -> int:
        """See Registry."""
        return self.note(node_id, report)

    async def leave(self, node_id: str) -> int:
        """See Registry."""
        return self.forget(node_id)

    async def roster(self) -> NodeMap:
        """See Registry."""
        return self.map()

    def state(self) -> RegistryState:
        """See Registry."""
        return RegistryState("memory", None, None, None)

    async def close(self) -> None:
        """See Registry."""

    def note(self, node_id: str, report: Report) -> int:
        """`beat`, at once."""
        self._drop_stale()
        old = self._nodes.get(node_id)
        if old is None and len(self._nodes) >= self._max_nodes:
            raise RegistryFull(f"the map holds its {self._max_nodes} nodes")
        new = node_of(node_id, report, self._clock.monotonic())
        self._nodes[node_id] = new
        self._changed(old is None or standing(old, self._limits) != standing(new, self._limits))
        return self._version

    def forget(self, node_id: str) -> int:
        """`leave`, at once."""
        self._changed(self._nodes.pop(node_id, None) is not None)
        return self._version

    def _drop_stale(self) -> None:
        """Looks at the nodes only when one of them may have expired: at 10,000 a look costs a millisecond, and there
        are as many heartbeats a second."""
        now = self._clock.monotonic()
        if now - self._oldest < self._expiry_s:
            return
        alive = without_stale(self._nodes, now, self._expiry_s)
        self._oldest = min((node.seen for node in alive.values()), default=now)
        if len(alive) < len(self._nodes):
            self._nodes = alive
            self._changed(True)

    def _changed(self, version: bool) -> None:
        self._picture = None
        self._version += version
