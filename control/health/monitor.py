"""Watches the nodes: keeps the sight, and every few seconds judges them from probes, heartbeats and players.

One control process judges for all (verdicts.turn); all of them take the verdicts over.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from control.health import rules
from control.health.probes import Prober
from control.health.rules import FIRST, Look, State, Thresholds
from control.health.verdicts import Verdicts
from control.health.watched import WatchedRegistry
from control.registry.model import Node
from kit import log
from kit.clock import Clock
from kit.tasks import Owner

LOOK_S = 0.25
"""The sight is kept this often."""
SUSPECT_S = 0.2
"""Between two probes of a node whose connection broke."""
MAX_SUSPECTS = 64
"""Nodes probed out of turn at a time."""
Quality = Callable[[str], float | None]
"""What players see of an edge, 0 (nothing works) to 1; None where too few play to tell."""


@dataclass(frozen=True)
class MonitorState:
    """For /health."""

    abstaining_s: float | None
    """For how long silent nodes have been kept in the map because too many fell silent at once; None: they are not."""
    silent: int
    blind: bool
    """Too many probes failed at once: the last round judged nobody."""
    down: tuple[str, ...]
    degraded: tuple[str, ...]


class Monitor:
    """Owns the tasks. `start` inside the loop, `close` at the end."""

    def __init__(
        self,
        registry: WatchedRegistry,
        verdicts: Verdicts,
        prober: Prober,
        clock: Clock,
        *,
        every_s: float = 5.0,
        limits: Thresholds = Thresholds(),  # noqa: B008 (frozen)
        quality: Quality = lambda _: None,
    ) -> None:
        """A round every `every_s` (D-18)."""
        self._registry, self._verdicts, self._prober, self._clock = registry, verdicts, prober, clock
        self._every_s, self._limits, self._quality = every_s, limits, quality
        self._blind, self._closing = False, False
        self._suspects: set[str] = set()
        self._owner = Owner("health")

    def start(self) -> None:
        """Begin to watch."""
        self._owner.spawn("sight", self._watch(), endless=True)
        self._owner.spawn("judge", self._judge(), endless=True)

    def state(self) -> MonitorState:
        """How it goes."""
        sight, states = self._registry.sight, self._registry.states
        named = {state: tuple(sorted(id_ for id_, each in states.items() if each is state)[:20]) for state in State}
        since = None if sight.since is None else self._clock.monotonic() - sight.since
        silent = 0 if sight.since is None else len(sight.silent)
        return MonitorState(since, silent, self._blind, named[State.DOWN], named[State.DEGRADED])

    def suspect(self, node_id: str) -> None:
        """Probe a node out of turn: the connection on which it waits for orders broke (contracts.md)."""
        node = self._registry.map().nodes.get(node_id)
        if node is not None and node.probe and node_id not in self._suspects and len(self._suspects) < MAX_SUSPECTS:
            self._suspects.add(node_id)
            self._owner.spawn("suspect", self._suspected(node))

    async def round(self) -> None:
        """Look at every node once, if it is this process's turn; take over what is found."""
        nodes = self._registry.map().nodes
        if await self._verdicts.turn(self._every_s * 1.5):
            probes = await self._prober.all(nodes.values())
            self._blind = rules.blind(probes.values(), self._limits)
            if not self._blind:
                await self._add({id_: self._look(node, probes.get(id_)) for id_, node in nodes.items()})
        self._registry.find(rules.judged(nodes, await self._verdicts.read()))

    async def close(self) -> None:
        """End the tasks and let go of connections."""
        self._closing = True  # a call to Redis may swallow the cancellation
        await self._owner.close()
        await self._verdicts.close()

    def _look(self, node: Node, probe: bool | None) -> Look:
        age = 0.0 if node.held else self._clock.monotonic() - node.seen
        return rules.look(probe=probe, quality=self._quality(node.id), age_s=age, limits=self._limits)

    async def _add(self, looks: Mapping[str, Look]) -> None:
        """One more look at each; verdicts of nodes without one are dropped."""
        before = await self._verdicts.read()
        after = {id_: rules.judge(before.get(id_, FIRST), seen, self._limits) for id_, seen in looks.items()}
        await self._verdicts.write(after)
        for id_, verdict in after.items():
            if verdict.state is not before.get(id_, FIRST).state:
                log.get("health").warning("judged", node=id_, state=str(verdict.state), look=str(looks[id_]))

    async def _suspected(self, node: Node) -> None:
        """As many probes as it takes to be sure, or one that is answered."""
        try:
            verdict = (await self._verdicts.read()).get(node.id, FIRST)
            for _ in range(self._limits.down_after):
                if await self._prober.one(node):
                    return
                verdict = rules.judge(verdict, Look.BAD, self._limits)
                await asyncio.sleep(SUSPECT_S)
            log.get("health").warning("judged", node=node.id, state=str(verdict.state), look="connection broken")
            await self._verdicts.put(node.id, verdict)
            self._registry.find(rules.judged(self._registry.map().nodes, await self._verdicts.read()))
        finally:
            self._suspects.discard(node.id)

    async def _watch(self) -> None:
        while not self._closing:
            self._registry.look()
            await asyncio.sleep(LOOK_S)

    async def _judge(self) -> None:
        while not self._closing:
            await self.round()
            await asyncio.sleep(self._every_s)
