"""Runs: one request upstream for neighbouring slices of an object, which readers follow as the bytes come.

One run a slice at a time; a run belongs to nobody and ends by itself. A run that ended otherwise than filled leaves the
slices that it finished, and tells its readers why.
"""

import contextlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from kit.clock import Clock
from kit.errors import UpstreamFailed
from kit.metrics import Family, Row
from kit.tasks import Owner
from proxy.fill.flight import Question
from proxy.fill.sharing import Progress, Sharing
from proxy.http.ranges import Part
from proxy.rules import slicing as rules
from proxy.rules.meta import Meta
from proxy.rules.slicing import Verdict
from proxy.store import slicing
from proxy.store.bodies import GrowingBody
from proxy.store.sparse import SparseBody, SparseFile
from proxy.store.store import Store
from proxy.store.writer import NoRoom
from proxy.upstream.client import Client, Response
from proxy.upstream.failures import Failure


class RunEnding(StrEnum):
    """How a run ended."""

    FILLED = "filled"
    """Every slice of it is there."""
    CHANGED = "changed"
    """Upstream has another version: the object is invalidated."""
    NO_ROOM = "no_room"
    """The disk refused: who wants these bytes asks for them past the cache."""
    FAILED = "failed"
    """Upstream failed before the first byte."""
    CUT = "cut"
    """Upstream, or the disk, failed in the body."""
    FOLLOWED = "followed"
    """Another worker of this node brought it in."""
    CANCELLED = "cancelled"
    """This process is going."""


METRICS = (
    Family("headrace_slices_total", "Slices brought in"),
    Family("headrace_runs_total", "Runs of slices by how they ended", label="ending", values=tuple(RunEnding)),
)


class Changed(UpstreamFailed):
    """The object has another version by now: what was read of this one cannot be continued."""


class Forbidden(UpstreamFailed):
    """Upstream refused a run to who began it; that says nothing of other readers."""


class NotSliced(UpstreamFailed):
    """These slices cannot be kept: the bytes can be passed on, not brought in."""


@dataclass(eq=False)
class Run:
    """Slices `indexes` of a file, under way. Readers read `body`, whose first byte is the object's `start`."""

    file: SparseFile
    indexes: range
    start: int = field(init=False)
    stop: int = field(init=False)
    body: GrowingBody = field(init=False)
    error: UpstreamFailed | None = None
    """Why it failed."""
    ours: range = range(0)
    """Those of them that this worker has taken for the node; none where it follows another."""

    def __post_init__(self) -> None:
        self.start = self.file.grid.extent(self.indexes[0])[0]
        self.stop = self.file.grid.extent(self.indexes[-1])[1]
        offset = self.file.layout.body_offset + self.start
        self.body = GrowingBody(self.stop - self.start, lease=self.file, offset=offset)

    async def reached(self, at: int) -> None:
        """Wait until the object's byte at `at` is there; its upstream's deadlines bound the wait. UpstreamFailed, or a
        subclass that says why, when it never comes: each reader its own, see GrowingBody.failed."""
        try:
            await self.body.wait_for(at - self.start)
        except UpstreamFailed:
            raise _again(self.error) if self.error else UpstreamFailed("a run ended early") from None


class Runs:
    """All runs of one worker."""

    def __init__(
        self, client: Client, store: Store, clock: Clock, row: Row, sharing: Sharing, lied: Callable[[str], None]
    ) -> None:
        """`lied` is told of the key of an object whose upstream does not give the slices that it is asked for."""
        self._client, self._store, self._clock, self._row = client, store, clock, row
        self._sharing, self._lied = sharing, lied
        self._under_way: dict[tuple[bytes, int], Run] = {}
        self._owner = Owner("runs")

    def __len__(self) -> int:
        return len(self._owner)

    def of(self, file: SparseFile, index: int) -> Run | None:
        """The run that brings a slice in now."""
        return self._under_way.get((file.identity, index))

    def begin(
        self, question: Question, meta: Meta, file: SparseFile, indexes: range, response: Response | None = None
    ) -> Run:
        """Bring slices in, which no other run of this worker does; where another worker brings some in, those before
        them, or the first of them. With `response` upstream was asked and its head judged already. Owns the
        response."""
        ours = self._sharing.take(file, indexes)
        run = Run(file, indexes if response else ours or indexes[:1], ours=ours)
        for index in run.indexes:
            self._under_way[file.identity, index] = run
        self._sharing.announce(file, ours, question)
        self._owner.spawn("run", self._fly(run, question, meta, response))
        return run

    async def close(self) -> None:
        """End all runs."""
        await self._owner.close()
        await self._sharing.close()

    async def _fly(self, run: Run, question: Question, meta: Meta, response: Response | None) -> None:
        """A run from request to ending. Its failures are its readers', not this task's."""
        ending, run.error = RunEnding.CANCELLED, UpstreamFailed("this process is going")
        try:
            ending, run.error = await self._bring_in(run, question, meta, response)
            if ending is RunEnding.CHANGED:
                await slicing.withdraw(self._store, SparseBody(run.file), meta.key, self._clock.wall())
        finally:
            self._land(run, ending)
        if not await slicing.grown(self._store, run.file, meta):
            await slicing.withdraw(self._store, SparseBody(run.file), meta.key, self._clock.wall())

    def _land(self, run: Run, ending: RunEnding) -> None:
        for index in run.indexes:
            self._under_way.pop((run.file.identity, index), None)
        if run.error is not None:
            run.body.failed(str(run.error))
        self._sharing.give_back(run.file, run.ours)
        self._row.add("headrace_runs_total", ending)

    async def _bring_in(
        self, run: Run, question: Question, meta: Meta, response: Response | None
    ) -> tuple[RunEnding, UpstreamFailed | None]:
        try:
            if response is None and await self._by_another(run, question):
                return RunEnding.FOLLOWED, None
            await slicing.make_room(self._store, run.file, meta.key, run.start, run.stop)
            response = response or await self._ask(run, question, meta)
            self._sharing.tell(run.file, run.indexes[0], meta, run.body)
            await self._take(run, response)
        except NoRoom:
            return RunEnding.NO_ROOM, NotSliced("no room for slices")
        except Changed as error:
            return RunEnding.CHANGED, _again(error)
        except UpstreamFailed as error:
            return RunEnding.CUT if run.body.ready else RunEnding.FAILED, _again(error)
        except OSError as error:
            self._store.disk_error("write", error, self._store.home(meta.key))
            return RunEnding.NO_ROOM, NotSliced("the cache's disk failed during a fill")
        finally:
            if response is not None:
                response.close()
        return RunEnding.FILLED, None

    async def _by_another(self, run: Run, question: Question) -> bool:
        """Whether another worker brought the run in: while we followed it, or before we could lead."""
        if not run.ours:
            progress = await self._sharing.follow(run.file, run.indexes[0], question)
            if progress is not None:
                async with contextlib.aclosing(progress):
                    return await self._mirror(run, progress)
            run.ours = self._sharing.take(run.file, run.indexes)
            self._sharing.announce(run.file, run.ours, question)
        if self._sharing.alone or not await self._there(run):
            return False
        run.body.reached(run.stop - run.start)
        run.body.ended()
        return True

    async def _mirror(self, run: Run, progress: Progress) -> bool:
        async for at in progress:
            run.body.reached(min(max(at - run.start, 0), run.stop - run.start))
            if at >= run.stop:
                run.body.ended()
                return True
        return False

    async def _there(self, run: Run) -> bool:
        for index in run.indexes:
            if not await slicing.readable(self._store, run.file, index):
                return False  # as nearly always: one look at the table is enough
        return True

    async def _ask(self, run: Run, question: Question, meta: Meta) -> Response:
        """The answer to a run's request, judged: the bytes asked for, of the version that is stored."""
        asked, total = Part(run.start, run.stop), run.file.grid.length
        fields = (*question.fields, *rules.conditions(meta.validators), range_field(asked))
        self._row.add("headrace_upstream_requests_total")
        response = await self._client.send("GET", question.target, fields, key=question.key)
        verdict = rules.judge(response.status, response.fields, response.length, asked, total, meta.validators)
        if verdict is Verdict.SAME:
            return response
        response.close()
        if verdict in (Verdict.FAILED, Verdict.FORBIDDEN):
            kind = Forbidden if verdict is Verdict.FORBIDDEN else UpstreamFailed
            raise kind(f"upstream answered {response.status} to a request for slices")
        if verdict is Verdict.LIES:
            self._lied(question.key)
        raise Changed("the object changed while it was read")

    async def _take(self, run: Run, response: Response) -> None:
        """Bring the body in. The last bytes wait for its end: what is longer or shorter than announced is no slice."""
        at, held, checks = run.start, b"", _Checks(run)
        whole: list[tuple[int, int]] = []
        async for piece in response.pieces():
            if at + len(piece) > run.stop:
                raise UpstreamFailed("upstream sent more than it announced")
            whole = checks.add(piece)
            last = at + len(piece) == run.stop
            await self._put(run, at, piece, whole[:-1] if last else whole)
            at += len(piece)
            if last:
                held = piece
            else:
                run.body.grown(piece)
        if at != run.stop:
            raise UpstreamFailed("upstream sent less than it announced")
        await self._put(run, at, b"", whole[-1:])
        run.body.grown(held)
        run.body.ended()

    async def _put(self, run: Run, at: int, piece: bytes, whole: list[tuple[int, int]]) -> None:
        await slicing.put(self._store, run.file, at, piece, whole)
        self._row.add("headrace_slices_total", amount=len(whole))


class _Checks:
    """CRC-32 of the slices of a run, as its bytes come."""

    def __init__(self, run: Run) -> None:
        self._grid, self._at, self._crc = run.file.grid, run.start, 0

    def add(self, piece: bytes) -> list[tuple[int, int]]:
        """The slices that `piece` completes, with their checksums."""
        done, view = [], memoryview(piece)
        while view:
            index = self._grid.index(self._at)
            end = self._grid.extent(index)[1]
            now = view[: end - self._at]
            self._crc = zlib.crc32(now, self._crc)
            self._at, view = self._at + len(now), view[len(now) :]
            if self._at == end:
                done.append((index, self._crc))
                self._crc = 0
        return done


def range_field(part: Part) -> tuple[str, str]:
    """The Range field that asks for it."""
    return "Range", f"bytes={part.start}-{part.end - 1}"


def _again(error: UpstreamFailed) -> UpstreamFailed:
    """An error of the same kind without the frames of the first."""
    if isinstance(error, Failure):
        return type(error)(str(error), error.proxy_error)
    return type(error)(str(error))
