"""When an edge's standing last changed: players of an edge that was steady for long need not ask often."""

from control.registry.model import Node, NodeMap, band

Standing = tuple[str, bool, int, float]


class Changes:
    """Watches the map by its version. Bounded by the nodes of the map: what left it is remembered for `keep_s`."""

    def __init__(self, limits: tuple[float, ...], keep_s: float) -> None:
        """`limits`: the load bands' bounds."""
        self._limits, self._keep_s = limits, keep_s
        self._for: tuple[int, int] | None = None
        self._standing: dict[str, Standing] = {}
        self._changed: dict[str, float] = {}
        self._gone: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._changed) + len(self._gone)

    def look(self, nodes: NodeMap, now: float) -> None:
        """Note what changed since the last look. The first look sees no change: a control that just started must not
        make every player of a calm fleet hurry."""
        if self._for == (nodes.epoch, nodes.version):
            return
        found = {id_: self._of(node) for id_, node in nodes.nodes.items() if node.role == "edge"}
        if self._for is not None:
            self._compare(found, now)
        self._standing, self._for = found, (nodes.epoch, nodes.version)

    def last(self, edge: str) -> float:
        """When `edge` changed (monotonic seconds); long ago (-inf) where no change was seen."""
        return self._changed.get(edge, self._gone.get(edge, float("-inf")))

    def _compare(self, found: dict[str, Standing], now: float) -> None:
        for id_, standing in found.items():
            if self._standing.get(id_) != standing:
                self._changed[id_] = now
                self._gone.pop(id_, None)
        for id_ in self._standing.keys() - found.keys():
            self._changed.pop(id_, None)
            self._gone[id_] = now
        self._gone = {id_: at for id_, at in self._gone.items() if now - at < self._keep_s}

    def _of(self, node: Node) -> Standing:
        return node.url, node.draining, band(node.load, self._limits), node.started
