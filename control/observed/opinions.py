"""What players think of each edge, worked out every few seconds: for the health monitor, and as losses for steering."""

import asyncio
from collections.abc import Callable, Mapping

from control.observed.quality import NO_OPINION, Opinion, Votes
from control.registry.model import NodeMap
from control.steering.losses import TELLING, Losses
from kit import log
from kit.clock import Clock
from kit.tasks import Owner

ROUND_S = 5.0


class Opinions:
    """`start` inside the loop, `close` at the end."""

    def __init__(
        self, votes: Votes, picture: Callable[[], NodeMap], clock: Clock, *, most: float, expiry_s: float
    ) -> None:
        """`picture`: the map now; `most`: see Losses."""
        self._votes, self._picture, self._clock, self._expiry_s = votes, picture, clock, expiry_s
        self._found: Mapping[str, Opinion] = {}
        self.losses = Losses(most)
        self._owner = Owner("opinions")

    def start(self) -> None:
        """Begin to work them out."""
        self._owner.spawn("opinions", self._run(), endless=True)

    def quality(self, edge: str) -> float | None:
        """What players saw of `edge`, 0 to 1, for the health monitor; None while too few play, or while those who
        complain are too few networks to call it degraded."""
        found = self._found.get(edge, NO_OPINION)
        return found.score if found.complaint >= TELLING else None

    async def round(self) -> None:
        """Work all of them out anew; others are served in between."""
        found: dict[str, Opinion] = {}
        for id_, node in self._picture().nodes.items():
            if node.role == "edge":
                found[id_] = self._votes.opinion(id_)
                await asyncio.sleep(0)
        self._found = found
        complaints = {id_: each.complaint for id_, each in found.items()}
        before = self.losses.new
        self.losses.look(self._picture(), complaints, self._clock.monotonic(), self._expiry_s)
        for id_ in self.losses.new.keys() ^ before.keys():
            share, complaint = round(self.losses.new.get(id_, 0.0), 3), round(complaints.get(id_, 0.0), 3)
            log.get("steering").warning("an edge loses sessions", edge=id_, share=share, complaint=complaint)

    async def close(self) -> None:
        """End the task."""
        await self._owner.close()

    async def _run(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(ROUND_S)
