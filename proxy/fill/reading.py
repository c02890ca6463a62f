"""Reading an object of which some slices are missing: from the file where they are there, from runs where not."""

from collections.abc import AsyncIterator, Iterable

from kit.errors import UpstreamFailed
from proxy.fill.flight import Question
from proxy.fill.runs import Forbidden, Run, Runs
from proxy.rules import slicing as rules
from proxy.rules.meta import Meta
from proxy.store import slicing
from proxy.store.bodies import PIECE, read_at
from proxy.store.sparse import SparseBody
from proxy.store.store import Store

_RUNS = 3
"""So many runs of others a reader sees refused before it gives up; one that it began itself is the last."""


class SlicedBody:
    """One reader's view of a SparseBody: a Body that fetches what is missing, when the reader gets there."""

    def __init__(self, runs: Runs, store: Store, question: Question, meta: Meta, body: SparseBody) -> None:
        """`meta` has the validator that every slice must come with; `question` is asked for those that are missing."""
        self._runs, self._store, self._question, self._meta = runs, store, question, meta
        self._file = body.file
        self._run_at_hand: Run | None = None

    @property
    def length(self) -> int:
        """See Body."""
        return self._file.grid.length

    async def prepare(self, extents: Iterable[tuple[int, int]]) -> bool:
        """Get ready to read these extents, the first byte of the first: until then the answer's head need not be sent,
        and a failure can still be told. Whether all slices of them were there when asked."""
        extents = list(extents)
        if not extents:
            return True
        first = self._file.grid.index(extents[0][0])
        there = await slicing.readable(self._store, self._file, first)
        for start, end in extents:
            there = there and await slicing.all_there(self._store, self._file, self._file.grid.over(start, end))
        self._run_at_hand = await self._source(*extents[0])
        return there

    async def pieces(self, start: int, end: int | None) -> AsyncIterator[bytes]:
        """See Body. Who follows a run has its ending, too."""
        stop = self.length if end is None else end
        run = self._run_at_hand
        while start < stop:
            if run is None or not run.start <= start < run.stop:
                run = await self._source(start, stop)
            else:
                await run.reached(start)
            ready = run.start + run.body.ready if run else self._file.grid.extent(self._file.grid.index(start))[1]
            at = self._file.layout.body_offset + start
            piece = await read_at(self._file.fd, at, min(PIECE, ready - start, stop - start))
            if not piece:
                raise OSError("a cache file ended early")
            start += len(piece)
            yield piece

    async def _source(self, start: int, stop: int) -> Run | None:
        """The run from which the byte at `start` can be read now; None when its slice is there. A run that was refused
        to another reader is no answer to this one."""
        for _ in range(_RUNS):
            run, ours = await self._run(start, stop)
            if run is None:
                return None
            try:
                await run.reached(start)
                return run
            except Forbidden:
                if ours:
                    raise
        raise UpstreamFailed("upstream refused others these slices, again and again")

    async def _run(self, start: int, stop: int) -> tuple[Run | None, bool]:
        """The run under way for the slice at `start`, begun here (then True) where there is none; None when the slice
        is there."""
        file, index = self._file, self._file.grid.index(start)
        run = self._runs.of(file, index)
        if run is not None or await slicing.readable(self._store, file, index):
            return run, False
        run = self._runs.of(file, index)  # somebody may have begun one while we looked
        if run is not None:
            return run, False
        wanted = file.grid.over(start, stop)[: rules.MOST]
        further = (each for each in wanted[1:] if not file.there(each) and self._runs.of(file, each) is None)
        # The first was just not there: it is asked for though another worker may have brought it in by now.
        indexes = next(rules.runs((index, *further)))
        return self._runs.begin(self._question, self._meta, file, indexes), True
