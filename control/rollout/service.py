"""Rollouts as the rest of control sees them: what nodes should have, changes, and the watch over a canary."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from control.contract.snapshots import Snapshot, signature
from control.registry.model import Node, Registry
from control.rollout import rules
from control.rollout.model import Canary, Content, State
from control.rollout.rules import Bad, Evidence, Proven, Verdict, Waiting
from control.rollout.shelf import Shelf, ShelfAway
from kit import log
from kit.clock import Clock
from kit.errors import Conflict, HeadraceError, Unprocessable
from kit.tasks import Owner

EVERY_S = 1.0
TRIES = 8
"""A change is made anew so often when another control process changed something meanwhile."""


class Rollout:
    """One per control process. `start` inside the loop, `close` at the end."""

    def __init__(self, shelf: Shelf, registry: Registry, clock: Clock, *, expiry_s: float) -> None:
        self._shelf, self._registry, self._clock, self._expiry_s = shelf, registry, clock, expiry_s
        self._owner, self._closing = Owner("rollout"), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._looked: float | None = None
        self._began: tuple[int, float] | None = None
        self.state = State()
        """As it was last read, at most a second old."""
        self.evidence = Evidence()
        """What was seen of the running canary by this process."""
        self.verdict: Verdict = Waiting("no version is being tried")

    async def start(self) -> None:
        """Read the state (Redis may be away) and begin to watch."""
        await self._read()
        self._task = self._owner.spawn("watch", self._run())

    def wanted(self, node_id: str) -> int:
        """The version that this node should have; 0: its own settings alone."""
        return rules.wanted(self.state, node_id)

    def snapshot(self, node_id: str, role: str, secret: bytes) -> Snapshot:
        """What this node should have, signed for it alone."""
        number = self.wanted(node_id)
        settings = rules.find(self.state, number).content.of(role) if number else {}
        return Snapshot(version=number, settings=settings, signature=signature(secret, node_id, number, settings))

    async def stage(self, content: Content, *, by: str, note: str) -> State:
        """A new version. Unprocessable when no node could use it; ShelfAway."""
        return await self._change(lambda s: rules.staged(s, content, now=self._clock.wall(), by=by, note=note))

    async def try_on(
        self, number: int, nodes: Iterable[str], count: int, *, soak_s: float, goes_on: bool, by: str
    ) -> State:
        """Try a version on these nodes, or on `count` of the edges. Unprocessable when there are none; Conflict."""
        chosen = tuple(dict.fromkeys(nodes)) or rules.picked(self._edges(), count, number)
        unknown = [each for each in chosen if each not in self._registry.map().nodes]
        if unknown or not chosen:
            raise Unprocessable(f"nodes: no node {unknown[0]!r}" if unknown else "there is no edge to try it on")
        now = self._clock.wall()
        canary = Canary(version=number, nodes=chosen, since=now, soak_s=soak_s, goes_on=goes_on)
        begun = await self._change(lambda s: rules.begun(s, canary, now=now, by=by))
        self.verdict = Waiting("it has just begun")
        return begun

    async def activate(self, number: int, *, by: str) -> State:
        """Give a proven version to the fleet. Conflict; ShelfAway."""
        return await self._change(lambda s: rules.activated(s, number, now=self._clock.wall(), by=by))

    async def roll_back(self, *, by: str, why: str) -> State:
        """End the canary, or go back to the version before. Conflict; ShelfAway."""
        return await self._change(lambda s: rules.rolled_back(s, now=self._clock.wall(), by=by, why=why))

    async def look(self) -> None:
        """Read the state, take in what nodes report, and act on what that says of a canary."""
        await self._read()
        canary = self.state.canary
        if canary is None or self._registry.state().redis == "away":
            self._looked = None
            return
        await self._take_in(canary)
        self.verdict = rules.judge(canary, self.evidence, self._clock.wall())
        with contextlib.suppress(Conflict):  # another control process acted first
            match self.verdict:
                case Bad(why):
                    log.get("rollout").error("rolled back", version=canary.version, why=why)
                    await self.roll_back(by="control", why=why)
                case Proven():
                    await self._change(lambda s: rules.proven(s, now=self._clock.wall()))
                    log.get("rollout").info("proven", version=canary.version)
                case Waiting():
                    pass

    async def close(self) -> None:
        """End the watch. A read under way may end."""
        self._closing.set()
        if self._task:
            await asyncio.wait([self._task], timeout=5.0)
        await self._owner.close()
        await self._shelf.close()

    async def _run(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._closing.wait()
            try:
                await self.look()
            except HeadraceError as error:
                log.get("rollout").warning("not looked after", error=str(error))

    async def _take_in(self, canary: Canary) -> None:
        """Answers and errors since the last look, from the rates in the heartbeats."""
        now = self._clock.monotonic()
        if self._began != (canary.version, canary.since):
            self._began, self.evidence, self._looked = (canary.version, canary.since), Evidence(), None
        elapsed = 0.0 if self._looked is None else min(now - self._looked, 5 * EVERY_S)
        self._looked = now
        nodes = (await self._registry.roster()).nodes
        alive = {id_: node for id_, node in nodes.items() if node.alive(now, self._expiry_s)}
        seen, trying = self.evidence, [alive[id_] for id_ in canary.nodes if id_ in alive]
        seen.silent = tuple(id_ for id_ in canary.nodes if id_ not in alive)
        seen.failed = {n.id: n.snapshot_error for n in trying if n.snapshot_error and n.snapshot == canary.version}
        seen.pending = tuple(node.id for node in trying if node.snapshot != canary.version)
        for node in alive.values():
            if node.id in canary.nodes:
                if node.snapshot == canary.version:
                    seen.answers += node.answers.all * elapsed
                    seen.errors += node.answers.errors * elapsed
            elif node.role == "edge":
                seen.other_answers += node.answers.all * elapsed
                seen.other_errors += node.answers.errors * elapsed

    def _edges(self) -> list[Node]:
        now, nodes = self._clock.monotonic(), self._registry.map().nodes.values()
        return [n for n in nodes if n.role == "edge" and not n.draining and n.alive(now, self._expiry_s)]

    async def _read(self) -> None:
        """Redis away: as it was last known."""
        try:
            self.state = await self._shelf.get()
        except ShelfAway as error:
            log.get("rollout").warning("as last known", error=str(error))

    async def _change(self, change: Callable[[State], State]) -> State:
        for _ in range(TRIES):
            before = await self._shelf.get()
            after = change(before).model_copy(update={"revision": before.revision + 1})
            if await self._shelf.put(after):
                self.state = after
                return after
        raise ShelfAway("too many changes at once")
