"""Ask nodes whether they are ready: bounded in time and number, every answer read no further than it must."""

import asyncio
from collections.abc import Iterable

import aiohttp

from control.registry.model import Node

AT_ONCE = 100
TIMEOUT_S = 2.0
"""CTL-06."""


class Prober:
    """GET /ready at nodes that say where."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session, self._gate = session, asyncio.Semaphore(AT_ONCE)

    async def all(self, nodes: Iterable[Node]) -> dict[str, bool]:
        """Node -> whether it answered as it should; nodes that do not say where are left out."""
        asked = [node for node in nodes if node.probe]
        answers = await asyncio.gather(*(self.one(node) for node in asked))
        return {node.id: answer for node, answer in zip(asked, answers, strict=True)}

    async def one(self, node: Node) -> bool:
        """Whether the node is ready. One that drains is as it should be when it says no."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with self._gate:
            try:
                url = f"{node.probe}/ready"
                async with self._session.get(url, timeout=timeout, allow_redirects=False) as response:
                    return response.status == 200 or (node.draining and response.status == 503)
            except (aiohttp.ClientError, OSError, TimeoutError):
                return False
