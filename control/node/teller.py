"""Tells control what a node's viewers saw, every few seconds. What does not arrive is lost: it is soon old."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp

from configs.schema.base import NodeIdentity
from control.contract.observations import OBSERVATIONS_PATH, Observations, ObservationsAnswer
from control.node.link import ControlLink
from kit import log
from kit.clock import Clock
from kit.errors import HeadraceError
from kit.tasks import Owner

TIMEOUT_S = 2.0
Describe = Callable[[], Observations | None]


@dataclass
class TellerState:
    """For /health: messages that control took, messages lost in a row, and why."""

    told: int = 0
    lost: int = 0
    error: str | None = None


class Teller:
    """Owns the task. `start` inside the loop, `close` at the end."""

    def __init__(self, link: ControlLink, observations: Describe, every_s: float) -> None:
        """`observations` is called once a message and must be quick; None: nothing is sent."""
        self._link, self._observations, self._every_s = link, observations, every_s
        self._owner = Owner("teller")
        self.state = TellerState()

    def start(self) -> None:
        """Begin to tell."""
        self._owner.spawn("observations", self._run(), endless=True)

    async def close(self) -> None:
        """Tell no more."""
        await self._owner.close()

    async def tell(self) -> bool:
        """Send one message if there is something to say; whether control took it."""
        seen = self._observations()
        if seen is None:
            return False
        try:
            path = OBSERVATIONS_PATH.format(id=self._link.id)
            await self._link.post(path, seen, ObservationsAnswer, timeout_s=TIMEOUT_S)
        except HeadraceError as error:
            if not self.state.lost:
                log.get("teller").warning("control did not hear", error=str(error))
            self.state.lost, self.state.error = self.state.lost + 1, str(error)
            return False
        self.state = TellerState(told=self.state.told + 1)
        return True

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self.tell()


@contextlib.asynccontextmanager
async def telling(
    identity: NodeIdentity, observations: Describe, every_s: float, clock: Clock
) -> AsyncIterator[Callable[[], dict[str, Any]]]:
    """Messages to control while inside; yields what /health says of it. SettingsError as ControlLink."""
    async with aiohttp.ClientSession() as session:
        teller = Teller(ControlLink(identity, "edge", clock, session), observations, every_s)
        teller.start()
        try:
            yield lambda: {"observations": asdict(teller.state)}
        finally:
            await teller.close()
