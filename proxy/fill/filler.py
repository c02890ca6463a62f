"""Begin a fill or join one; bring the answer into the store while readers stream it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from cachetools import TTLCache

from kit.clock import Clock
from kit.errors import UpstreamFailed
from kit.metrics import Family, Row
from kit.tasks import Owner
from proxy.fill.flight import (
    Arrival,
    Ending,
    Flight,
    Going,
    NotShared,
    Outcome,
    Question,
    Revalidated,
    Shared,
    StaleOnError,
    since,
    storable,
)
from proxy.fill.neighbours import Alone, Fresh, Gone, Growing, Neighbours, Sliced, Stale, Told
from proxy.fill.reading import SlicedBody
from proxy.fill.runs import range_field
from proxy.fill.slices import AskOwn, AskWhole, Slices, TakeWhole
from proxy.fill.variants import Found, Shelf
from proxy.http.digests import stated_sha256
from proxy.http.fields import Fields, combined
from proxy.http.ranges import Part
from proxy.rules.meta import Meta, matches
from proxy.rules.reuse import Revalidate
from proxy.rules.selecting import Names
from proxy.rules.storing import NotStored
from proxy.rules.variants import flight_key
from proxy.store.sparse import SparseBody
from proxy.store.store import Store, Stored
from proxy.store.writer import NoRoom, TooLarge, Writer
from proxy.upstream.client import Client, Response

LED = "headrace_flights_led_total"
METRICS = (
    Family("headrace_fills_total", "Fills by how they ended", label="ending", values=tuple(Ending)),
    Family("headrace_collapsed_total", "Requests that waited for another's fill instead of asking upstream"),
    Family("headrace_waiting", "Followers that wait for a head now", "gauge"),
    Family("headrace_followed_now", "Flights of other workers that are followed now", "gauge"),
    Family("headrace_follow_timeouts_total", "Followers that waited too long for a head and asked by themselves"),
    Family("headrace_upstream_requests_total", "Requests sent upstream by fills"),
    Family(LED, "Flights that a worker led, and did not follow another worker's"),
)
_FAILURES = frozenset({500, 502, 503, 504})
"""What counts as upstream failing (RFC 5861 4); other 5xx are its answer."""
_REMEMBERED = 10_000
_FLIGHTS = 3
"""So many flights a request joins or begins, when each turns out to be for other selecting fields."""
_PASS_S = 10.0
"""So long after an answer that can never be kept, requests go upstream as they are, not one behind the other."""
_REST_S = 1.0
"""So long after a failure a stale answer serves without another attempt: a sick upstream is not asked per viewer."""
_NEVER_KEPT = frozenset(
    {
        NotStored.NO_STORE,
        NotStored.PRIVATE,
        NotStored.VARY_ALL,
        NotStored.NO_LIFETIME,
        "undelimited",
    }
)
"""What the origin says of the object. Reasons that one request can bring about (its Authorization) are not among them:
nobody must be able to switch off collapsing for others."""


class Filler:
    """All flights of one worker. `neighbours` are the node's other workers, where it has any. `follow_timeout_s`: how
    long a follower waits for a head before it asks by itself. `slice_size`: see Slices."""

    def __init__(
        self,
        client: Client,
        store: Store,
        clock: Clock,
        row: Row,
        neighbours: Neighbours | None,
        *,
        follow_timeout_s: float,
        slice_size: int,
    ) -> None:
        self._neighbours = neighbours
        self._shelf = Shelf(store, clock, neighbours.led if neighbours else lambda: 0)
        self._slices = Slices(client, store, self._shelf, clock, row, neighbours, slice_size)
        self._client, self._store, self._clock, self._row = client, store, clock, row
        self._follow_timeout_s = follow_timeout_s
        self._flights: dict[str, Flight] = {}
        self._uncacheable: TTLCache[str, bool] = TTLCache(_REMEMBERED, _PASS_S, clock.monotonic)
        self._failing: TTLCache[str, bool] = TTLCache(_REMEMBERED, _REST_S, clock.monotonic)
        self._owner = Owner("fills")

    def __len__(self) -> int:
        return len(self._flights)

    async def fill(self, question: Question, stored: Stored | None, why: Revalidate | None) -> tuple[Outcome, bool]:
        """The answer, and whether this request was a follower (collapsed).

        `stored` and `why` belong together: what is being revalidated. Raises UpstreamFailed. The caller owns a
        NotShared response.
        """
        self._store.admission.ask(question.key)
        if stored is not None and why is not None and why.if_error and question.key in self._failing:
            return StaleOnError(stored, "upstream failed just now"), True
        for _ in range(_FLIGHTS):
            flight = self._flight_of(question)
            if flight is None:
                flight = self._begin(question, stored, why)
                told = await self._as_leader(flight)
                if flight.leads:
                    return told, False
                outcome = self._judged(told, question)
            else:
                outcome = await self._as_follower(flight, question)
            if isinstance(outcome, tuple):
                flight_of = flight_key(question.key, outcome, question.fields)
                question = replace(question, flight=since(flight_of, question.since))
            elif outcome is not None:
                return outcome, True
            else:
                break
        return await self._alone(question), False

    def refresh(self, question: Question, stored: Stored, why: Revalidate) -> None:
        """Revalidate behind the viewer's back, unless somebody does already or upstream failed just now."""
        if self._flight_of(question) is None and question.key not in self._failing:
            flight = self._begin(replace(question, hints=None), stored, why)
            flight.outcome.add_done_callback(_close_unshared)

    async def lookup(self, key: str, asked: Callable[[], Fields]) -> Found:
        """The stored answer for a request, of all variants under `key`; see Shelf.lookup."""
        return await self._shelf.lookup(key, asked)

    def passes(self, key: str) -> bool:
        """Whether the last answer said that nothing can be kept: then the viewer's own question goes upstream."""
        return key in self._uncacheable

    def reading(self, question: Question, meta: Meta, body: SparseBody) -> SlicedBody:
        """A reader of an object that has slices missing; it asks `question` for them."""
        return self._slices.reading(question, meta, body)

    async def start(self) -> None:
        """Let the node's other workers follow what this one leads."""
        if self._neighbours:
            await self._neighbours.start(self._led)

    async def close(self) -> None:
        """End all flights and runs."""
        await self._owner.close()
        await self._slices.close()
        if self._neighbours:
            await self._neighbours.close()

    def _led(self, name: str, epoch: int) -> Flight | None:
        flight = self._flights.get(name)
        if flight is None:
            return self._slices.led(name)
        return flight if flight.leads and flight.epoch == epoch else None

    def _flight_of(self, question: Question) -> Flight | None:
        """The flight that a request may join: not one of before an invalidation."""
        flight = self._flights.get(question.flight)
        return flight if flight is not None and flight.epoch == self._store.epoch(question.key) else None

    def _begin(self, question: Question, stored: Stored | None, why: Revalidate | None) -> Flight:
        flight = self._flights[question.flight] = Flight(question, self._store.epoch(question.key))
        flight.stored_epoch = self._store.epoch(stored.meta.key) if stored else flight.epoch
        self._owner.spawn("fill", self._fly(flight, stored, why))
        return flight

    async def _as_leader(self, flight: Flight) -> Outcome:
        try:
            return await asyncio.shield(flight.outcome)
        except asyncio.CancelledError:
            flight.outcome.add_done_callback(_close_unshared)
            raise

    async def _as_follower(self, flight: Flight, question: Question) -> Outcome | Names | None:
        """The flight's outcome; the names of its selecting fields, when they tell this request apart from it; None when
        this request must ask by itself: not shared, or the leader is too slow."""
        self._row.add("headrace_waiting")
        try:
            async with asyncio.timeout(self._follow_timeout_s):
                outcome = await asyncio.shield(flight.outcome)
        except TimeoutError:
            self._row.add("headrace_follow_timeouts_total")
            return None
        finally:
            self._row.add("headrace_waiting", amount=-1)
        return self._judged(outcome, question)

    def _judged(self, outcome: Outcome, question: Question) -> Outcome | Names | None:
        """Whether another's answer is one for this request; see _as_follower."""
        if isinstance(outcome, NotShared):
            return None
        meta = outcome.meta if isinstance(outcome, Shared) else outcome.stored.meta
        if not matches(meta, question.fields):
            return tuple(name for name, _ in meta.vary)
        self._row.add("headrace_collapsed_total")
        return outcome

    async def _alone(self, question: Question) -> NotShared:
        self._row.add("headrace_upstream_requests_total")
        response = await self._client.send(
            "GET", question.target, question.fields, key=question.key, hints=question.hints
        )
        return NotShared(response, "alone")

    async def _fly(self, flight: Flight, stored: Stored | None, why: Revalidate | None) -> None:
        """A flight from request to ending. Its failures are its followers', not this task's."""
        ending = Ending.CANCELLED
        try:
            ending = await self._on_this_node(flight, stored, why)
        except UpstreamFailed as error:
            ending = self._failed(flight, stored, why, error)
        finally:
            self._land(flight)
            if flight.leads:
                self._row.add(LED)  # before who waits for the lease can lead
            if flight.leased and self._neighbours:
                self._neighbours.leases.give_back(flight.question.flight)
            flight.fail(Going("this process is going"))
            self._row.add("headrace_fills_total", ending)

    def _failed(self, flight: Flight, stored: Stored | None, why: Revalidate | None, error: UpstreamFailed) -> Ending:
        if isinstance(error, TooLarge):
            self._uncacheable[flight.question.key] = True
        if flight.outcome.done():
            return Ending.CUT
        self._failing[flight.question.key] = True
        if stored and why and why.if_error:
            flight.tell(StaleOnError(stored, error.kind))
            return Ending.STALE_ON_ERROR
        flight.fail(error)
        return Ending.FAILED

    def _land(self, flight: Flight) -> None:
        """Nobody may join any more. Another flight for the key, begun after an invalidation, goes on."""
        if self._flights.get(flight.question.flight) is flight:
            del self._flights[flight.question.flight]

    async def _on_this_node(self, flight: Flight, stored: Stored | None, why: Revalidate | None) -> Ending:
        """Lead the flight for all workers of the node, or follow the one that does; by ourselves when neither works."""
        gone = False
        for _ in range(_FLIGHTS if self._neighbours else 0):
            assert self._neighbours is not None
            leader = self._neighbours.leases.take(flight.question.flight)
            if leader is None:
                flight.leads = flight.leased = True
                known = bool(flight.question.since) or (not gone and self._known(flight, stored))
                if not known and await self._filled_before(flight, stored):
                    return Ending.FOLLOWED
                break
            try:
                return await self._follow(self._neighbours, leader, flight, stored)
            except Gone:
                gone = True  # it may have died before it counted what it led
            except Alone:
                break
        flight.leads = True
        return await self._flight(flight, stored, why)

    def _known(self, flight: Flight, stored: Stored | None) -> bool:
        """Whether what was looked up for a flight is certain to be what there is: no other worker has led a flight to
        its end since, and no fill of this one has stored what it asks for."""
        if self._neighbours is None or self._neighbours.led() != flight.question.led:
            return False
        return self._store.unchanged(stored.meta.key if stored else flight.question.key, stored)

    async def _filled_before(self, flight: Flight, stored: Stored | None) -> bool:
        """Whether another flight brought the answer in after we looked and before we lead; then it is told."""
        found = await self._look_again(flight, stored)
        if found is None or (stored is not None and found.meta.response_time <= stored.meta.response_time):
            return False
        flight.tell(Shared(found.meta, found.body, True, found.meta.status, None))
        return True

    async def _look_again(self, flight: Flight, stored: Stored | None) -> Stored | None:
        """The answer as it lies on disk now, whatever this worker remembers of it."""
        self._store.forget(stored.meta.key if stored else flight.question.key)
        return (await self._shelf.lookup(flight.question.key, lambda: flight.question.fields)).stored

    async def _follow(self, neighbours: Neighbours, leader: int, flight: Flight, stored: Stored | None) -> Ending:
        """What the leader got, for those who wait here. Gone or Alone, see Neighbours.ask."""
        self._row.add("headrace_followed_now")
        try:
            told = await neighbours.ask(leader, flight)
            if isinstance(told, Growing):
                self._store.forget(told.meta.key)
                flight.tell(Shared(told.meta, told.body, True, told.status, told.cache_status))
                await neighbours.follow(told)
        finally:
            self._row.add("headrace_followed_now", amount=-1)
        await self._followed(told, flight, stored)
        return Ending.FOLLOWED

    async def _followed(self, told: Told, flight: Flight, stored: Stored | None) -> None:
        """Tell those who wait here what the leader's flight ended with. Alone when it is not for us."""
        match told:
            case Growing():
                pass  # they were told when it began
            case Sliced():
                if not await self._filled_before(flight, stored):
                    raise Alone
            case Fresh(meta) if stored is not None:
                found = await self._look_again(flight, stored)
                if found is None or found.meta.response_time < meta.response_time:
                    raise Alone  # the new metadata is known to the leader only
                flight.tell(Revalidated(found))
            case Stale(error) if stored is not None:
                self._failing[flight.question.key] = True
                flight.tell(StaleOnError(stored, error))
            case Fresh() | Stale():
                raise Alone
            case _:
                assert_never(told)

    async def _flight(self, flight: Flight, stored: Stored | None, why: Revalidate | None) -> Ending:
        if stored is None and (part := self._slices.first(flight.question)) is not None:
            return await self._sliced(flight, part)
        arrival = await self._ask(flight.question, why.conditions if why else ())
        if arrival.response.status == 304 and stored is not None:
            arrival.response.close()
            if (ending := await self._freshen(flight, stored, arrival)) is not None:
                return ending
            arrival = await self._ask(flight.question, ())
        response = arrival.response
        if response.status in _FAILURES and why is not None:
            self._failing[flight.question.key] = True
            if stored is not None and why.if_error:
                response.close()
                flight.tell(StaleOnError(stored, f"status {response.status}"))
                return Ending.STALE_ON_ERROR
        return await self._arrived(flight, arrival, response.status, response.fields)

    async def _sliced(self, flight: Flight, part: Part) -> Ending:
        """A flight that asks for slices first: what it is told decides how it goes on."""
        arrival = await self._ask(flight.question, (range_field(part),))
        response = arrival.response
        try:
            opened = await self._slices.open(flight, part, arrival)
        except BaseException:
            response.close()
            raise
        match opened:
            case Shared():
                self._land(flight)
                flight.tell(opened)
                return Ending.SLICED
            case NotShared():
                return self._not_shared(flight, response, opened.reason)
            case AskWhole():
                response.close()
                arrival = await self._ask(flight.question, ())
                return await self._arrived(flight, arrival, arrival.response.status, arrival.response.fields)
            case AskOwn(reason):
                return await self._own(flight, response, reason)
            case TakeWhole(fields):
                return await self._arrived(flight, arrival, 200, fields)
            case None:
                return await self._arrived(flight, arrival, response.status, response.fields)
            case _:
                assert_never(opened)

    async def _own(self, flight: Flight, response: Response, reason: NotStored | str) -> Ending:
        """Slices that cannot be kept are no answer to the viewer: ask as it did, for it alone."""
        response.close()
        own = await self._ask(flight.question, flight.question.ranged)
        return self._not_shared(flight, own.response, reason)

    async def _arrived(self, flight: Flight, arrival: Arrival, status: int, fields: Fields) -> Ending:
        """The head of an answer is here: for all, or for the leader alone. `status` and `fields` are what it is stored
        with; a 206 may be the whole."""
        response = arrival.response
        verdict = storable(flight.question, status, fields, arrival)
        if isinstance(verdict, NotStored) or not response.delimited:
            return self._not_shared(flight, response, verdict if isinstance(verdict, NotStored) else "undelimited")
        try:
            place = await self._shelf.place(verdict, flight.question.fields, flight.epoch)
            length = response.length if response.has_body else 0
            writer = await Writer.open(self._store, place.meta, length, place.epoch)
        except NoRoom:
            if status != response.status:
                return await self._own(flight, response, "no-room")
            return self._not_shared(flight, response, "no-room")
        except BaseException:
            response.close()
            raise
        return await self._bring_in(flight, response, writer)

    async def _ask(self, question: Question, conditions: Fields) -> Arrival:
        self._row.add("headrace_upstream_requests_total")
        sent = self._clock.wall()
        response = await self._client.send(
            "GET", question.target, question.fields + conditions, key=question.key, hints=question.hints
        )
        return Arrival(response, sent, self._clock.wall())

    async def _freshen(self, flight: Flight, stored: Stored, arrival: Arrival) -> Ending | None:
        """The ending of a 304; None when it is not about what is stored, or says that this may not be shared: then the
        answer itself is asked for, and in the second case nothing of before is kept."""
        if not stored.meta.identified_by(arrival.response.fields):
            return None
        merged = stored.meta.freshened(arrival.response.fields, arrival.sent, arrival.received)
        verdict = storable(flight.question, merged.status, merged.fields, arrival)
        if isinstance(verdict, NotStored) and verdict is not NotStored.NO_LIFETIME:
            await self._store.invalidate(flight.question.key)
            flight.epoch = self._store.epoch(flight.question.key)
            return None
        meta = merged if isinstance(verdict, NotStored) else replace(verdict, key=merged.key)
        flight.tell(Revalidated(await self._store.freshen(stored, meta, flight.stored_epoch)))
        return Ending.REVALIDATED

    def _not_shared(self, flight: Flight, response: Response, reason: NotStored | str) -> Ending:
        self._land(flight)
        if reason in _NEVER_KEPT:
            self._uncacheable[flight.question.key] = True
        flight.tell(NotShared(response, reason))
        return Ending.NOT_SHARED

    async def _bring_in(self, flight: Flight, response: Response, writer: Writer) -> Ending:
        """Stream the body into the store, check it, publish it. Never published unless whole."""
        cache_status = combined(response.fields, "Cache-Status")
        flight.tell(Shared(writer.meta, writer.body, True, response.status, cache_status))
        try:
            if response.has_body:
                async for piece in response.pieces():
                    await writer.append(piece)
            _check(response, writer)
            writer.checked()
        except BaseException as error:
            await writer.abort(str(error) if isinstance(error, UpstreamFailed) else "the fill was given up")
            raise
        finally:
            response.close()
        kept = await writer.publish(self._clock.wall())
        return Ending.FILLED if kept else Ending.NOT_KEPT


def _check(response: Response, writer: Writer) -> None:
    """Length as announced, bytes as origin digested them (RFC 9530)."""
    if response.has_body and response.length is not None and writer.written != response.length:
        raise UpstreamFailed("upstream sent another length than it announced")
    stated = stated_sha256(response.fields) if writer.meta.status == 200 else None
    if stated is not None and writer.digest != stated:
        raise UpstreamFailed("upstream's bytes do not match its digest")


def _close_unshared(outcome: "asyncio.Future[Outcome]") -> None:
    """Nobody took the answer that was for one: give up its connection."""
    if outcome.cancelled() or outcome.exception() is not None:
        return
    told = outcome.result()
    if isinstance(told, NotShared):
        told.response.close()
