"""How far a job has come, told to the catalog at most once a second."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from kit import log
from origin.catalog.service import Catalog
from origin.catalog.states import State
from origin.ingest.job import Job

EVERY_S = 1.0
FIRST, LAST = 0.02, 0.95
"""The part of the whole ingest that is encoding."""


class Progress:
    """The tracks' fractions, weighed into one."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)
        self._done = dict.fromkeys(weights, 0.0)
        self._speed = 0.0

    def report(self, name: str, fraction: float, speed: float = 0.0) -> None:
        """One track's fraction (0 to 1, never going back) and its speed in multiples of real time."""
        self._done[name] = max(self._done[name], min(1.0, fraction))
        self._speed = speed or self._speed

    @property
    def fraction(self) -> float:
        """0 to 1 of the encoding."""
        return sum(self._weights[name] * done for name, done in self._done.items()) / sum(self._weights.values())

    @property
    def text(self) -> str:
        """`37 %, 2.1x`."""
        return f"{self.fraction * 100:.0f} %" + (f", {self._speed:.1f}x" if self._speed else "")


@contextlib.asynccontextmanager
async def told(catalog: Catalog, job: Job, progress: Progress) -> AsyncIterator[None]:
    """Tell the catalog while the block runs."""
    task = asyncio.create_task(_tell(catalog, job, progress), name=f"progress:{job.key}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _tell(catalog: Catalog, job: Job, progress: Progress) -> None:
    said = ""
    while True:
        if progress.text != said:
            said = progress.text
            await _say(catalog, job, progress)
        await asyncio.sleep(EVERY_S)


async def _say(catalog: Catalog, job: Job, progress: Progress) -> None:
    """A word on progress that is lost costs nothing: the job goes on."""
    whole = FIRST + (LAST - FIRST) * progress.fraction
    try:
        await catalog.set_state(job.content_id, job.version, State.ENCODING, progress.text, progress=whole)
    except Exception as error:
        log.get("ingest").warning("progress not told", job=job.key, error=repr(error))
