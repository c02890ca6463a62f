"""Filling by slices: a range of an object that is not stored brings in the slices that hold it, not the whole.

The first slices come in the object's flight, so that those who wait for it wait for one request; what comes later are
runs (fill.runs), begun by the readers (fill.reading). Where upstream cannot be asked for slices the whole is asked for,
as for a request without a range, and that is remembered for a while.
"""

from dataclasses import dataclass

from cachetools import TTLCache

from kit.clock import Clock
from kit.metrics import Row
from proxy.fill.flight import Arrival, Flight, NotShared, Question, Shared, storable
from proxy.fill.neighbours import Neighbours
from proxy.fill.reading import SlicedBody
from proxy.fill.runs import Runs
from proxy.fill.sharing import Sharing
from proxy.fill.variants import Shelf
from proxy.http.content_range import ContentRange, content_range, unsatisfied_total
from proxy.http.fields import Fields, combined, single, without
from proxy.http.ranges import Part
from proxy.rules import slicing as rules
from proxy.rules.meta import Meta
from proxy.rules.storing import NotStored
from proxy.store import slicing
from proxy.store.sparse import SparseBody
from proxy.store.store import Store, Stored
from proxy.store.writer import NoRoom
from proxy.upstream.client import Client, Response

_REMEMBERED = 10_000
_WHOLE_S = 600.0
"""So long an object whose upstream gives no slices that fit together is asked for whole."""
_OF_A_PART = ("Content-Range", "Content-Digest", "Content-MD5")
"""What a 206 says of its content and not of the object."""


@dataclass(frozen=True, slots=True)
class AskWhole:
    """Ask again, for the whole."""


@dataclass(frozen=True, slots=True)
class AskOwn:
    """Ask again as the viewer did; the answer is not shared, for `reason`."""

    reason: NotStored | str


@dataclass(frozen=True, slots=True)
class TakeWhole:
    """The first slices are the whole: an answer with these fields and status 200."""

    fields: Fields


Opened = Shared | NotShared | AskWhole | AskOwn | TakeWhole
"""What becomes of the first answer to a request for slices."""


class Slices:
    """Filling by slices, for one worker. `size` is that of new objects' slices, 0 for none."""

    def __init__(
        self,
        client: Client,
        store: Store,
        shelf: Shelf,
        clock: Clock,
        row: Row,
        neighbours: Neighbours | None,
        size: int,
    ) -> None:
        self._store, self._shelf, self._clock, self._size = store, shelf, clock, size
        self._whole: TTLCache[str, bool] = TTLCache(_REMEMBERED, _WHOLE_S, clock.monotonic)
        self._sharing = Sharing(neighbours)
        self._runs = Runs(client, store, clock, row, self._sharing, self._remember)

    def __len__(self) -> int:
        """Runs under way."""
        return len(self._runs)

    def first(self, question: Question) -> Part | None:
        """The slices to ask for when nothing is stored; None: ask for the whole."""
        if not self._size or question.key in self._whole:
            return None
        return rules.first_part(single(question.ranged, "Range"), self._size)

    def reading(self, question: Question, meta: Meta, body: SparseBody) -> SlicedBody:
        """A reader of an object that has slices missing."""
        return SlicedBody(self._runs, self._store, question, meta, body)

    def led(self, name: str) -> Flight | None:
        """The run of that name, for the node's other workers."""
        return self._sharing.led(name)

    async def open(self, flight: Flight, asked: Part, arrival: Arrival) -> Opened | None:
        """What to do with the answer to a request for the slices `asked`; None when it is the answer to any request.
        The response stays the caller's, but for Shared, which has taken it."""
        response = arrival.response
        if response.status == 416:
            return self._refused(flight.question, asked, response)
        if response.status != 206:
            return None
        found = self._fits(asked, response)
        fields = without(response.fields, _OF_A_PART)
        verdict = storable(flight.question, 200, fields, arrival)
        if isinstance(verdict, NotStored):
            return AskOwn(verdict)
        if not response.delimited:
            return AskOwn("undelimited")
        if found is not None and (found.start, found.end) == (0, found.total):
            return TakeWhole(fields)
        if found is None or rules.strong_validator(verdict.validators) is None:
            self._remember(flight.question.key)
            return AskWhole()
        return await self._begin(flight, verdict, found, response)

    async def close(self) -> None:
        """End all runs."""
        await self._runs.close()

    async def _begin(self, flight: Flight, meta: Meta, found: ContentRange, response: Response) -> Shared | AskOwn:
        volume = self._store.home(meta.key)
        if volume is None or not volume.has(found.end - found.start):
            return AskOwn("no-room")
        if not self._store.admission.admits(meta.key, found.total, full=volume.full, pinned=False):
            return AskOwn("not-admitted")
        place = await self._shelf.place(meta, flight.question.fields, flight.epoch)
        try:
            stored = await slicing.begin(
                self._store, place.meta, found.total, self._size, place.epoch, self._clock.wall()
            )
        except NoRoom:
            return AskOwn("no-room")
        if stored is None:
            return AskOwn("not-kept")
        return self._shared(flight.question, stored, found, response)

    def _shared(self, question: Question, stored: Stored, found: ContentRange, response: Response) -> Shared:
        body = stored.body
        assert isinstance(body, SparseBody)
        self._runs.begin(question, stored.meta, body.file, body.file.grid.over(found.start, found.end), response)
        return Shared(stored.meta, body, True, response.status, combined(response.fields, "Cache-Status"))

    def _fits(self, asked: Part, response: Response) -> ContentRange | None:
        """What a 206 holds, if that is what was asked for."""
        found = content_range(response.fields)
        if found is None or found.start != asked.start or found.end != min(asked.end, found.total):
            return None
        return found if response.length in (None, found.end - found.start) else None

    def _refused(self, question: Question, asked: Part, response: Response) -> NotShared | AskWhole:
        """A 416: true for the viewer too, whose range begins no earlier; but a precondition may come before it, and the
        size that it states may say that it is wrong (RFC 9110 13.2.2, 15.5.17)."""
        total = unsatisfied_total(response.fields)
        conditional = any(name.lower() != "range" for name, _ in question.ranged)
        if conditional or (total is not None and total > asked.start):
            self._remember(question.key)
            return AskWhole()
        return NotShared(response, "unsatisfiable")

    def _remember(self, key: str) -> None:
        self._whole[key] = True
