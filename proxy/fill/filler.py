"""Begin a fill or join one; bring the answer into the store while readers stream it."""

import asyncio
import base64
import re

from kit.clock import Clock
from kit.errors import UpstreamFailed
from kit.metrics import Family, Row
from kit.tasks import Owner
from proxy.fill.flight import Ending, Flight, NotShared, Outcome, Question, Revalidated, Shared, StaleOnError
from proxy.http.fields import combined, single
from proxy.rules.meta import matches
from proxy.rules.reuse import Revalidate
from proxy.rules.storing import NotStored, storing
from proxy.store.store import Store, Stored
from proxy.store.writer import NoRoom, Writer
from proxy.upstream.client import Client, Response

METRICS = (
    Family("headrace_fills_total", "Fills by how they ended", label="ending", values=tuple(Ending)),
    Family("headrace_collapsed_total", "Requests that waited for another's fill instead of asking upstream"),
    Family("headrace_upstream_requests_total", "Requests sent upstream"),
)
_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):")
_SERVER_ERRORS = range(500, 600)


class Filler:
    """All flights of one worker. `follow_timeout_s`: how long a follower waits for a head before it asks by itself."""

    def __init__(self, client: Client, store: Store, clock: Clock, row: Row, *, follow_timeout_s: float) -> None:
        self._client, self._store, self._clock, self._row = client, store, clock, row
        self._follow_timeout_s = follow_timeout_s
        self._flights: dict[str, Flight] = {}
        self._owner = Owner("fills")

    def __len__(self) -> int:
        return len(self._flights)

    async def fill(self, question: Question, stored: Stored | None, why: Revalidate | None) -> tuple[Outcome, bool]:
        """The answer, and whether this request was a follower (collapsed).

        `stored` and `why` belong together: what is being revalidated. Raises UpstreamFailed. The caller owns a
        NotShared response.
        """
        flight = self._flights.get(question.key)
        if flight is None:
            return await self._as_leader(self._begin(question, stored, why)), False
        outcome = await self._as_follower(flight, question)
        if outcome is not None:
            return outcome, True
        return await self._alone(question), False

    def refresh(self, question: Question, stored: Stored, why: Revalidate) -> None:
        """Revalidate behind the viewer's back, unless somebody does already."""
        if question.key not in self._flights:
            flight = self._begin(question, stored, why)
            flight.outcome.add_done_callback(_close_unshared)

    async def close(self) -> None:
        """End all flights."""
        await self._owner.close()

    def _begin(self, question: Question, stored: Stored | None, why: Revalidate | None) -> Flight:
        flight = self._flights[question.key] = Flight(question)
        self._owner.spawn("fill", self._fly(flight, stored, why))
        return flight

    async def _as_leader(self, flight: Flight) -> Outcome:
        try:
            return await asyncio.shield(flight.outcome)
        except asyncio.CancelledError:
            flight.outcome.add_done_callback(_close_unshared)
            raise

    async def _as_follower(self, flight: Flight, question: Question) -> Outcome | None:
        """The flight's outcome, or None when this request must ask by itself: not shared, other selecting fields, or
        the leader is too slow."""
        flight.followers += 1
        try:
            async with asyncio.timeout(self._follow_timeout_s):
                outcome = await asyncio.shield(flight.outcome)
        except TimeoutError:
            return None
        if isinstance(outcome, NotShared):
            return None
        meta = outcome.meta if isinstance(outcome, Shared) else outcome.stored.meta
        if not matches(meta, question.fields):
            return None
        self._row.add("headrace_collapsed_total")
        return outcome

    async def _alone(self, question: Question) -> NotShared:
        self._row.add("headrace_upstream_requests_total")
        response = await self._client.send("GET", question.target, question.fields, key=question.key)
        return NotShared(response, "alone")

    async def _fly(self, flight: Flight, stored: Stored | None, why: Revalidate | None) -> None:
        """A flight from request to ending. Its failures are its followers', not this task's."""
        ending = Ending.CANCELLED
        try:
            ending = await self._flight(flight, stored, why)
        except UpstreamFailed as error:
            ending = Ending.CUT if flight.outcome.done() else Ending.FAILED
            if not flight.outcome.done() and stored and why and why.if_error:
                ending = Ending.STALE_ON_ERROR
                flight.tell(StaleOnError(stored, error.kind))
            flight.fail(error)
        finally:
            self._flights.pop(flight.question.key, None)
            flight.fail(UpstreamFailed("this process is going"))
            self._row.add("headrace_fills_total", ending)

    async def _flight(self, flight: Flight, stored: Stored | None, why: Revalidate | None) -> Ending:
        question = flight.question
        conditions = why.conditions if why else ()
        sent, epoch = self._clock.wall(), self._store.epoch()
        self._row.add("headrace_upstream_requests_total")
        response = await self._client.send("GET", question.target, question.fields + conditions, key=question.key)
        received = self._clock.wall()
        if response.status == 304 and stored is not None:
            response.close()
            meta = stored.meta.freshened(response.fields, sent, received)
            flight.tell(Revalidated(await self._store.freshen(stored, meta)))
            return Ending.REVALIDATED
        if response.status in _SERVER_ERRORS and stored is not None and why is not None and why.if_error:
            response.close()
            flight.tell(StaleOnError(stored, f"status {response.status}"))
            return Ending.STALE_ON_ERROR
        verdict = storing(
            key=question.key,
            method="GET",
            request=question.fields,
            status=response.status,
            response=response.fields,
            request_time=sent,
            response_time=received,
        )
        if isinstance(verdict, NotStored) or not response.delimited:
            return self._not_shared(flight, response, verdict if isinstance(verdict, NotStored) else "undelimited")
        try:
            writer = await Writer.open(self._store, verdict, response.length if response.has_body else 0, epoch)
        except NoRoom:
            return self._not_shared(flight, response, "no-room")
        except BaseException:
            response.close()
            raise
        return await self._bring_in(flight, response, writer)

    def _not_shared(self, flight: Flight, response: Response, reason: NotStored | str) -> Ending:
        self._flights.pop(flight.question.key, None)
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
        except BaseException as error:
            failure = error if isinstance(error, UpstreamFailed) else UpstreamFailed("the fill was given up")
            await writer.abort(failure)
            raise
        finally:
            response.close()
        kept = await writer.publish(self._clock.wall())
        return Ending.FILLED if kept else Ending.NOT_KEPT


def _check(response: Response, writer: Writer) -> None:
    """Length as announced, bytes as origin digested them (RFC 9530)."""
    if response.has_body and response.length is not None and writer.body.ready != response.length:
        raise UpstreamFailed("upstream sent another length than it announced")
    stated = _SHA256.search(single(response.fields, "Repr-Digest") or "")
    if stated and response.status == 200 and base64.b64encode(writer.digest).decode() != stated[1]:
        raise UpstreamFailed("upstream's bytes do not match its digest")


def _close_unshared(outcome: "asyncio.Future[Outcome]") -> None:
    """Nobody took the answer that was for one: give up its connection."""
    if outcome.cancelled() or outcome.exception() is not None:
        return
    told = outcome.result()
    if isinstance(told, NotShared):
        told.response.close()
