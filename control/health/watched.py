"""A Registry whose map has what was found of the nodes besides their heartbeats."""

from collections.abc import Mapping
from dataclasses import replace

from control.contract.messages import Report
from control.health.rules import State
from control.health.sight import Sight, SightLimits, watch
from control.registry.model import Node, NodeMap, Registry, RegistryState
from kit import log
from kit.clock import Clock


class WatchedRegistry:
    """See Registry. `look` keeps the sight, `find` sets the states; in between `map` costs a comparison."""

    def __init__(self, inner: Registry, clock: Clock, limits: SightLimits) -> None:
        self._inner, self._clock, self._limits = inner, clock, limits
        self.sight = Sight()
        self.states: Mapping[str, State] = {}
        self._extra: dict[str, Node] = {}
        self._changes = 0
        self._made: tuple[NodeMap, int, NodeMap] | None = None

    def look(self) -> None:
        """Take the inner map in; a few times a second."""
        before, self.sight = (
            self.sight,
            watch(self.sight, self._inner.map().nodes, self._clock.monotonic(), self._limits),
        )
        if (before.since is None) is not (self.sight.since is None):
            word = (
                "too many nodes fell silent at once: they are kept" if self.sight.since is not None else "seeing again"
            )
            log.get("health").error(word, silent=len(self.sight.silent), heard=len(self.sight.heard))
        silent = self.sight.silent if self.sight.since is not None else {}
        if silent.keys() != self._extra.keys():
            self._changes += 1
            self._extra = {id_: replace(node, held=True) for id_, node in silent.items()}

    def find(self, states: Mapping[str, State]) -> None:
        """What was found, of nodes that are not up."""
        if states != self.states:
            self._changes += 1
            self.states = dict(states)

    def map(self) -> NodeMap:
        """See Registry."""
        return self._with_findings(self._inner.map())

    async def beat(self, node_id: str, report: Report) -> int:
        """See Registry."""
        return await self._inner.beat(node_id, report) + self._changes

    async def leave(self, node_id: str) -> int:
        """See Registry."""
        if self._extra.pop(node_id, None):
            self._changes += 1
        return await self._inner.leave(node_id) + self._changes

    async def roster(self) -> NodeMap:
        """See Registry."""
        return self._with_findings(await self._inner.roster())

    def state(self) -> RegistryState:
        """See Registry."""
        return self._inner.state()

    async def close(self) -> None:
        """See Registry."""
        await self._inner.close()

    def _with_findings(self, picture: NodeMap) -> NodeMap:
        if not self._changes:
            return picture
        if self._made is None or self._made[0] is not picture or self._made[1] != self._changes:
            made = NodeMap(picture.version + self._changes, picture.epoch, self._nodes(picture))
            self._made = (picture, self._changes, made)
        return self._made[2]

    def _nodes(self, picture: NodeMap) -> Mapping[str, Node]:
        if not self._extra and not self.states:
            return picture.nodes
        nodes = {**self._extra, **picture.nodes}
        return nodes | {id_: replace(nodes[id_], state=state) for id_, state in self.states.items() if id_ in nodes}
