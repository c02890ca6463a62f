"""The request, step by step:

recognise   a plain HTTP request in origin form                     exchange
admit       may it pass, and as what: the tier decides              tier
key         what its answer is stored under                         rules.key
look up     memory, index, directory                                store
decide      fresh, stale but usable, to revalidate, missing         rules.reuse
fill        ask upstream once for all who wait                      fill
deliver     all, a part, 304, 412, 416                              deliver
account     count it, log it                                        account
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import assert_never

from aiohttp.web import BaseRequest, StreamResponse

from kit import log
from kit.clock import Clock
from kit.errors import HeadraceError, Overloaded, Refused, Side, UpstreamFailed
from proxy.fill.filler import Filler
from proxy.fill.flight import NotShared, Outcome, Question, Revalidated, Shared, StaleOnError, since
from proxy.fill.runs import Changed, NotSliced
from proxy.fill.variants import Found
from proxy.http import cache_control, cache_status, proxy_status
from proxy.http.cache_status import Forward
from proxy.http.fields import Fields, combined, without
from proxy.http.proxy_status import ProxyError
from proxy.rules.freshness import age, freshness
from proxy.rules.key import cache_key, strip_cmcd
from proxy.rules.meta import Meta
from proxy.rules.reuse import Fresh, Miss, Revalidate, StaleWhileRevalidate, decide
from proxy.serve import deliver
from proxy.serve.account import Account
from proxy.serve.connection import Connection
from proxy.serve.exchange import Exchange, Handling, check_target, recognise
from proxy.serve.intake import taken_in
from proxy.serve.onward import LoopDetected, NotCached, Onward
from proxy.serve.passing import Passer
from proxy.serve.rendering import rendered
from proxy.serve.tier import Direct, Intake, Passage, Tier
from proxy.serve.watch import Watch
from proxy.serve.wire import Answer, Sent, cut
from proxy.store.bodies import Body
from proxy.store.sparse import SparseBody
from proxy.store.store import Store, Stored
from proxy.upstream import failures

_CONDITIONAL = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range")
_LOWER_CONDITIONAL = frozenset(name.lower() for name in _CONDITIONAL)
_Ask = Callable[[], Question]
"""The question that a request would put upstream; it costs something to make."""
_BEGINNINGS = 2
"""So often a request begins anew whose object turns out to have another version before the head is out."""
REFUSAL = b'{"error":"refused"}\n'
"""The one body of every refusal (contracts.md)."""


class Pipeline:
    """The engine of one worker. Call it with an aiohttp request; it writes the answer."""

    def __init__(
        self,
        *,
        name: str,
        tier: Tier,
        store: Store,
        filler: Filler,
        passer: Passer,
        account: Account,
        clock: Clock,
        authority: str,
        send_timeout_s: float,
        watch: Watch | None = None,
    ) -> None:
        self._name, self._tier, self._store, self._filler = name, tier, store, filler
        self._passer, self._account, self._clock = passer, account, clock
        self._onward = Onward(name, tier)
        self._authority, self._send_timeout_s, self._watch = authority, send_timeout_s, watch

    async def __call__(self, request: BaseRequest) -> StreamResponse:
        """Answer one request; every way out is accounted for."""
        exchange = recognise(request)
        exchange.logged_target = self._tier.logged(exchange.target[:1024])
        connection = request.protocol
        assert isinstance(connection, Connection)
        says = self._watch if self._watch is not None and self._watch.speaks else None
        answer = Answer(exchange, connection, now=self._clock.wall(), send_timeout_s=self._send_timeout_s, says=says)
        try:
            return await self._answer(exchange, answer)
        except HeadraceError as error:
            exchange.reason = exchange.reason or str(error)
            if exchange.head_sent:
                raise cut(request, at_once=answer.until_close) from None
            return await self._refuse(exchange, answer, error)
        except TimeoutError:
            exchange.reason = "viewer too slow"
            raise cut(request, at_once=True) from None
        except (ConnectionError, asyncio.CancelledError):
            exchange.reason = exchange.reason or "viewer left"
            raise
        except Exception as error:
            log.get("serve").error("request failed", id=exchange.request_id, error=repr(error), exc_info=True)
            exchange.reason = "internal"
            if exchange.head_sent:
                raise cut(request, at_once=answer.until_close) from None
            return await self._refuse(exchange, answer, Overloaded("internal"))
        finally:
            self._account.close(exchange)

    async def _answer(self, exchange: Exchange, answer: Answer) -> Sent:
        check_target(exchange)
        passage = self._tier.admit(exchange, self._clock.wall())
        if isinstance(passage, Direct):
            exchange.handling = Handling.DIRECT
            return await self._direct(exchange, answer, passage)
        exchange.subject = passage.subject
        if isinstance(passage, Intake):
            return await self._take_in(exchange, answer, passage)
        exchange.render = passage.render
        key = cache_key(self._authority, passage.target)
        came_back = self._onward.came_back(exchange)
        if exchange.method not in ("GET", "HEAD"):
            return await self._passer.pass_on(exchange, answer, passage, key, Forward.METHOD)
        for left in reversed(range(_BEGINNINGS)):
            found = await self._filler.lookup(key, lambda: self._asked(exchange))
            try:
                return await self._serve(exchange, answer, passage, key, found, came_back=came_back)
            except Changed:
                if exchange.head_sent or not left:
                    raise
            except NotSliced:
                if exchange.head_sent:
                    raise
                break
        return await self._passer.pass_on(exchange, answer, passage, key, Forward.PARTIAL)

    async def _serve(
        self, exchange: Exchange, answer: Answer, passage: Passage, key: str, found: Found, *, came_back: bool
    ) -> Sent:
        """Decide, and act on the decision."""
        stored = found.stored
        meta = stored.meta if stored else None
        ask = partial(self._question, exchange, answer, passage, key, found)
        now, grace, anew = self._clock.wall(), self._tier.grace, bool(passage.since)
        decision = Miss(vary=True) if found.others else decide(meta, found.request, now, grace=grace, anew=anew)
        if isinstance(decision, Miss | Revalidate) and _only_if_cached(exchange.fields):
            raise NotCached("only-if-cached, and not stored")
        if came_back and not isinstance(decision, Fresh):
            return await self._passer.pass_on(exchange, answer, passage, key, Forward.BYPASS)
        match decision:
            case Fresh(_, ttl):
                assert stored is not None
                exchange.handling = Handling.HIT
                return await self._hit(exchange, answer, stored, cache_status.hit(self._name, ttl), ask)
            case StaleWhileRevalidate(_, ttl, refresh):
                assert stored is not None
                exchange.handling = Handling.STALE
                self._filler.refresh(ask(), stored, refresh)
                return await self._hit(exchange, answer, stored, cache_status.hit(self._name, ttl), ask)
            case Revalidate():
                return await self._fill(exchange, answer, ask(), stored, decision)
            case Miss(vary):
                if exchange.method == "HEAD" and not exchange.render:  # a head is not worth fetching a body for
                    why = Forward.VARY_MISS if vary else Forward.URI_MISS
                    return await self._passer.pass_on(exchange, answer, passage, key, why)
                if self._filler.passes(key):
                    return await self._passer.pass_on(exchange, answer, passage, key, Forward.BYPASS)
                return await self._fill(exchange, answer, ask(), None, decision)
            case _:
                assert_never(decision)

    async def _fill(
        self, exchange: Exchange, answer: Answer, question: Question, stored: Stored | None, why: Revalidate | Miss
    ) -> Sent:
        outcome, collapsed = await self._filler.fill(question, stored, why if isinstance(why, Revalidate) else None)
        forward = Forward.VARY_MISS if isinstance(why, Miss) and why.vary else Forward.URI_MISS
        if isinstance(why, Revalidate):
            forward = Forward.REQUEST if question.since and why.ttl > 0 else Forward.STALE
        return await self._deliver_outcome(exchange, answer, question, outcome, forward, collapsed)

    async def _deliver_outcome(
        self,
        exchange: Exchange,
        answer: Answer,
        question: Question,
        outcome: Outcome,
        forward: Forward,
        collapsed: bool,
    ) -> Sent:
        def ask() -> Question:
            return question

        match outcome:
            case Shared():
                exchange.handling = Handling.COLLAPSED if collapsed else Handling.MISS
                ours = cache_status.forwarded(
                    self._name, forward, status=outcome.upstream_status, stored=True, collapsed=collapsed
                )
                theirs = outcome.upstream_cache_status
                member = f"{theirs}, {ours}" if theirs else ours
                return await self._deliver(exchange, answer, outcome.meta, outcome.body, member, ask)
            case Revalidated(stored):
                exchange.handling = Handling.REVALIDATED
                ours = cache_status.forwarded(self._name, forward, status=304, collapsed=collapsed)
                return await self._deliver(exchange, answer, stored.meta, stored.body, ours, ask)
            case StaleOnError(stored, error):
                exchange.handling, exchange.reason = Handling.STALE, error
                left = freshness(stored.meta).lifetime - age(stored.meta, self._clock.wall())
                ours = cache_status.hit(self._name, left, detail="error")
                return await self._hit(exchange, answer, stored, ours, ask)
            case NotShared(response, reason):
                ours = cache_status.forwarded(self._name, forward, status=response.status, detail=str(reason))
                return await self._passer.relay(exchange, answer, response, ours)
            case _:
                assert_never(outcome)

    async def _hit(self, exchange: Exchange, answer: Answer, stored: Stored, member: str, ask: _Ask) -> Sent:
        return await self._deliver(exchange, answer, stored.meta, stored.body, member, ask)

    async def _deliver(
        self, exchange: Exchange, answer: Answer, meta: Meta, body: Body | SparseBody, member: str, ask: _Ask
    ) -> Sent:
        stated = int(age(meta, self._clock.wall()))
        common = self._common(exchange)
        try:
            if exchange.render is not None and meta.status == 200:
                whole = self._filler.reading(ask(), meta, body) if isinstance(body, SparseBody) else body
                meta, body = await rendered(exchange.render, meta, whole)
            fields = without(meta.fields, ("Age", "Cache-Status", *(name for name, _ in common)))
            made = deliver.plan(meta.status, fields, meta.validators, body.length, exchange.method, exchange.fields)
            if isinstance(body, SparseBody):
                body, member = await self._slices(exchange, made, meta, body, member, ask())
            extra = (("Age", str(stated)), ("Cache-Status", member), *common)
            return await deliver.send(answer, made, body, exchange.method, extra)
        except OSError as error:
            if isinstance(error, ConnectionError | TimeoutError):
                raise
            self._store.disk_error("read", error, self._store.home(meta.key))
            self._store.forget(meta.key)
            raise UpstreamFailed("the cache's disk failed during a read") from None

    async def _slices(
        self, exchange: Exchange, made: deliver.Plan, meta: Meta, body: SparseBody, member: str, question: Question
    ) -> tuple[Body, str]:
        """The body of an object that has slices missing, and what Cache-Status says of it: it was no hit when some that
        the plan needs were not there."""
        reading = self._filler.reading(question, meta, body)
        if exchange.method == "HEAD":
            return reading, member
        there = await reading.prepare((piece.start, piece.end or body.length) for piece in made.pieces)
        if not there and exchange.handling in (Handling.HIT, Handling.STALE):
            exchange.handling = Handling.PARTIAL
            member = cache_status.forwarded(self._name, Forward.PARTIAL, status=206, stored=True)
        return reading, member

    def _question(self, exchange: Exchange, answer: Answer, passage: Passage, key: str, found: Found) -> Question:
        ranged = tuple(
            (name, value)
            for name, value in exchange.fields
            if exchange.method == "GET" and not exchange.render and name.lower() in _LOWER_CONDITIONAL
        )
        target, fields = strip_cmcd(passage.target), self._asked(exchange)
        flight = since(found.flight, passage.since)
        return Question(key, target, fields, flight, answer.hint, ranged, found.led, passage.since)

    def _asked(self, exchange: Exchange) -> Fields:
        """The fields that a fill sends: what all viewers who wait for it have in common, but for the selecting ones."""
        return self._onward.fields(exchange, drop=_CONDITIONAL)

    async def _direct(self, exchange: Exchange, answer: Answer, direct: Direct) -> Sent:
        await answer.begin(direct.status, direct.fields + self._common(exchange), len(direct.body))
        if exchange.method != "HEAD" and direct.body:
            await answer.send(direct.body)
        return await answer.end()

    async def _take_in(self, exchange: Exchange, answer: Answer, intake: Intake) -> Sent:
        """Events of a player: taken, and no more said of them."""
        body = await taken_in(exchange.request, intake.limit, self._send_timeout_s)
        if self._watch is not None and self._watch.listens:
            self._watch.events(body, exchange.remote, intake.subject)
        exchange.handling = Handling.DIRECT
        return await self._direct(exchange, answer, Direct(204, ()))

    async def _refuse(self, exchange: Exchange, answer: Answer, error: HeadraceError) -> Sent:
        """The one place that renders errors: refusals are constant, others name their kind."""
        refused = isinstance(error, Refused)
        exchange.handling = Handling.REFUSED if error.side is Side.VIEWER else Handling.ERROR
        body = REFUSAL if refused else b'{"error":"%b"}\n' % error.kind.encode()
        fields: Fields = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
        if error.retry:
            fields += (("Retry-After", "1"),)
        if (why := _proxy_error(error)) is not None:
            fields += (("Proxy-Status", proxy_status.failed(self._name, why)),)
        unread = exchange.request.body_exists
        await answer.begin(error.status, fields + self._common(exchange), len(body), close=unread)
        if exchange.method != "HEAD":
            await answer.send(body)
        return await answer.end()

    def _common(self, exchange: Exchange) -> Fields:
        return (("X-Request-ID", exchange.request_id), *self._tier.answer_fields)


def _proxy_error(error: HeadraceError) -> ProxyError | None:
    """RFC 9209's word where the fault lies behind us."""
    if isinstance(error, LoopDetected):
        return ProxyError.PROXY_LOOP_DETECTED
    return failures.proxy_error(error) if isinstance(error, UpstreamFailed) else None


def _only_if_cached(request: Fields) -> bool:
    """The one directive of a request that costs the origin nothing to honour (RFC 9111 5.2.1.7)."""
    value = combined(request, "Cache-Control")
    return value is not None and "only-if-cached" in cache_control.parse(value)
