"""The map while Redis is away: the last picture of it, and over that what this process hears."""

from dataclasses import replace

from control.registry.memory import MemoryRegistry
from control.registry.model import Node, NodeMap, without_stale


class AwayMap:
    """Last known nodes, those heard here (`heard` is the live record of them), and those that left.

    A node of which this process ever heard is judged by its heartbeats here. One that only other control processes
    heard is held alive: nobody here can know better, and an empty map would stop all new sessions.
    """

    def __init__(self, last: NodeMap, heard: MemoryRegistry, now: float, expiry_s: float) -> None:
        self.since = now
        self.gone: set[str] = set()
        self._last, self._heard = last, heard
        self._base = without_stale(last.nodes, now, expiry_s)
        self._ours = set(heard.map().nodes)
        self._start = heard.map().version
        self._left = 0
        self._built_from: tuple[NodeMap, int] | None = None
        self._picture = last

    def heard(self, node_id: str) -> None:
        """This node spoke to us."""
        self._ours.add(node_id)
        self.gone.discard(node_id)

    def left(self, node_id: str) -> None:
        """This node said farewell to us."""
        self.gone.add(node_id)
        self._base.pop(node_id, None)
        self._left += 1

    def own(self) -> list[Node]:
        """The nodes to tell Redis of."""
        return list(self._heard.map().nodes.values())

    def map(self) -> NodeMap:
        """The merged picture; built anew only after a heartbeat, an expiry or a farewell."""
        heard = self._heard.map()
        built_from = (heard, self._left)
        if self._built_from is None or self._built_from[0] is not heard or self._built_from[1] != self._left:
            held = {id_: replace(node, held=True) for id_, node in self._base.items() if id_ not in self._ours}
            version = self._last.version + 1 + (heard.version - self._start) + self._left
            self._picture = NodeMap(version, self._last.epoch + 1, held | dict(heard.nodes))
            self._built_from = built_from
        return self._picture
