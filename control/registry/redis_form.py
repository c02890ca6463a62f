"""The map in Redis, shared by all control processes; with Redis away, the last known map and what is heard here.

`map` never touches Redis: a task keeps a picture (`_poll`). Only that task decides that Redis is back, and then
tells it first what was heard meanwhile.
"""

import asyncio
import contextlib
from collections.abc import Iterator

from redis.exceptions import RedisError

from control.contract.messages import Report
from control.registry.away import AwayMap
from control.registry.memory import MemoryRegistry
from control.registry.model import Node, NodeMap, RegistryFull, RegistryState, node_of
from control.registry.redis_rows import RedisRows
from kit import log
from kit.clock import Clock
from kit.tasks import Owner

POLL_S = 0.25
"""Age of the picture at most, while Redis answers."""
GAP_S = 0.02
"""Between two polls at least, however often the version changes."""
RETRY_S = 0.5
"""Between two tries while Redis is away."""
CLOSE_S = 3.0
"""The last poll gets this long to end."""
FAILURES = (RedisError, OSError, TimeoutError)


class RedisRegistry:
    """A Registry over Redis. `start` inside the loop, `close` at the end."""

    def __init__(
        self, rows: RedisRows, clock: Clock, *, expiry_s: float, limits: tuple[float, ...], max_nodes: int
    ) -> None:
        self._rows, self._clock = rows, clock
        self._expiry_s, self._max_nodes = expiry_s, max_nodes
        self._heard = MemoryRegistry(clock, expiry_s=expiry_s, limits=limits, max_nodes=max_nodes)
        self._picture = NodeMap()
        self._away: AwayMap | None = None
        self._held: dict[str, Node] = {}
        self._held_until = 0.0
        self._error: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._wake, self._lock, self._owner = asyncio.Event(), asyncio.Lock(), Owner("registry")

    async def start(self) -> None:
        """Read the map once (Redis may be away already) and keep it fresh from then on."""
        await self._poll()
        self._task = self._owner.spawn("poll", self._run())

    def map(self) -> NodeMap:
        """See Registry."""
        return self._away.map() if self._away else self._picture

    async def beat(self, node_id: str, report: Report) -> int:
        """See Registry."""
        nodes = self.map().nodes
        if node_id not in nodes and len(nodes) >= self._max_nodes:
            raise RegistryFull(f"the map holds its {self._max_nodes} nodes")
        self._heard.note(node_id, report)
        if self._away is None:
            node = node_of(node_id, report, self._clock.monotonic())
            with self._noticing():
                self._seen(await self._rows.beat(node, self._picture.version))
        if self._away:
            self._away.heard(node_id)
        return self.map().version

    async def leave(self, node_id: str) -> int:
        """See Registry."""
        self._heard.forget(node_id)
        self._held.pop(node_id, None)
        if self._away is None:
            with self._noticing():
                self._seen(await self._rows.leave(node_id, self._picture.version))
                await self._poll()
        if self._away:
            self._away.left(node_id)
        return self.map().version

    async def roster(self) -> NodeMap:
        """See Registry."""
        if self._away is None:
            await self._poll(whole=True)
        return self.map()

    def state(self) -> RegistryState:
        """See Registry."""
        if self._away is None:
            return RegistryState("redis", "up", None, None)
        return RegistryState("redis", "away", self._clock.monotonic() - self._away.since, self._error)

    async def close(self) -> None:
        """See Registry. The poll under way may end: a cancelled call would leave its connection half read."""
        self._closing = True
        self._wake.set()
        if self._task:
            await asyncio.wait([self._task], timeout=CLOSE_S)
        await self._owner.close()
        await self._rows.close()

    async def _run(self) -> None:
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S if self._away else POLL_S):  # wait_for may swallow a cancellation
                    await self._wake.wait()
            self._wake.clear()
            await self._poll()
            await asyncio.sleep(GAP_S)

    async def _poll(self, *, whole: bool = False) -> None:
        async with self._lock:
            with self._noticing():
                if self._away:
                    await self._return(self._away)
                version, nodes = await self._rows.read(self._picture.version, whole=whole)
                self._take(version, nodes)

    def _take(self, version: int, nodes: dict[str, Node]) -> None:
        if self._clock.monotonic() < self._held_until:
            nodes = self._held | nodes
        else:
            self._held = {}
        self._picture = NodeMap(version, self._picture.epoch, nodes)

    def _seen(self, version: int) -> None:
        if version != self._picture.version:
            self._wake.set()

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        """Whatever fails inside because of Redis switches to the map of this process."""
        try:
            yield
        except FAILURES as error:
            self._error = f"{type(error).__name__}: {error}"
            if self._away is None:
                self._away = AwayMap(self._picture, self._heard, self._clock.monotonic(), self._expiry_s)
                log.get("registry").error("redis is away", error=self._error)

    async def _return(self, away: AwayMap) -> None:
        """Redis answers again: tell it what happened meanwhile, then trust it.

        Nodes that other control processes heard last are kept for one expiry more, until those have told it too.
        """
        known = away.map()
        await self._rows.tell(away.own(), away.gone, known.version)
        self._away, self._error = None, None
        self._held = {node.id: node for node in known.nodes.values() if node.held}
        self._held_until = self._clock.monotonic() + self._expiry_s
        self._picture = NodeMap(known.version, known.epoch + 1, known.nodes)
        log.get("registry").info("redis is back", told=len(away.own()))
