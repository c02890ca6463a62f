"""The way of every admin call, the same from the API and from the console (CTL-15):

who calls, how often, may they, was this asked before, what does it say, do it, put it on record.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from configs.schema.administration import AdministrationSettings
from control.admin.audit import Audit
from control.admin.endpoint import Ask, Endpoint, Error
from control.admin.errors import InProgress, KeyReused, NoCredential, StoreAway, TooMany, TooManyAtOnce
from control.admin.limit import Taken, Windows
from control.admin.reading import from_body, from_names, idempotency_key
from control.admin.roles import Principal
from control.admin.store import Claimed, Kept, Running, Store
from control.admin.trail import DETAIL_CHARS, Outcome, Record, when
from control.api.metrics import Metrics
from control.enrolment.model import TooManyTokens
from control.orders.model import TooManyOrders
from kit import log
from kit.clock import Clock
from kit.errors import HeadraceError, Overloaded

HANDLER_S = 20.0
"""A call is given up after this; less than the claim on its idempotency key lasts."""
AGAIN_S = 5.0
"""Orders in flight are acknowledged in less, or count no longer after a minute."""
_REFUSED = (401, 403, 429)


@dataclass(frozen=True)
class Come:
    """A call as it came. `client` is the address it came from."""

    target: str
    path: Mapping[str, str]
    query: list[tuple[str, str]]
    body: bytes
    headers: Mapping[str, str]
    request_id: str
    client: str


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class _Story:
    """What is learnt of a call on its way, for the record."""

    principal: Principal | None = None
    taken: Taken | None = None
    detail: str = ""
    outcome: Outcome = Outcome.DONE
    reason: str = ""


class Gate:
    """One per process."""

    def __init__(
        self, settings: AdministrationSettings, store: Store, audit: Audit, clock: Clock, metrics: Metrics
    ) -> None:
        self._settings, self._store, self._audit = settings, store, audit
        self._clock, self._metrics = clock, metrics
        self._strangers, self._local = Windows(), Windows()

    async def answer(self, endpoint: Endpoint, come: Come, who: Callable[[], Awaitable[Principal]]) -> Reply:
        """Do what was asked, or say why not. Raises only what is a fault of ours."""
        story = _Story()
        try:
            reply = await self._through(endpoint, come, who, story)
        except HeadraceError as error:
            reply = self._failed(error, story)
        except Exception:
            story.outcome, story.reason = Outcome.FAILED, "error"
            await self._put_on_record(endpoint, come, story, 500)
            raise
        if story.taken:
            reply.headers.update(story.taken.fields(self._clock.wall()))
        await self._put_on_record(endpoint, come, story, reply.status)
        return reply

    async def _through(
        self, endpoint: Endpoint, come: Come, who: Callable[[], Awaitable[Principal]], story: _Story
    ) -> Reply:
        story.principal = await self._known(come, who)
        story.taken = await self._take(story.principal)
        if not story.taken.allowed:
            raise TooMany(story.taken.reset_s)
        story.principal.demand(endpoint.role, endpoint.area)
        if endpoint.acts:
            self._audit.demand_room()
        key = idempotency_key(come.headers) if endpoint.acts else None
        if key is None:
            return await self._do(endpoint, come, story)
        return await self._once(endpoint, come, story, hashlib.sha256(key.encode()).hexdigest())

    async def _known(self, come: Come, who: Callable[[], Awaitable[Principal]]) -> Principal:
        """Whoever guesses credentials is slowed down by address."""
        try:
            return await who()
        except NoCredential:
            taken = self._strangers.take(come.client, self._settings.failures_per_min, self._clock.monotonic())
            if not taken.allowed:
                raise TooMany(taken.reset_s) from None
            raise

    async def _take(self, principal: Principal) -> Taken:
        """With the store away this process counts alone (RAT-15)."""
        limit = self._settings.rate_per_min + self._settings.burst
        try:
            return await self._store.take(principal.id, limit)
        except StoreAway:
            return self._local.take(principal.id, limit, self._clock.monotonic())

    async def _once(self, endpoint: Endpoint, come: Come, story: _Story, key: str) -> Reply:
        """At most one doing for one key (IDM-02, IDM-03). 4xx answers of the doing are kept, 5xx are not (IDM-10)."""
        assert story.principal
        caller, digest = story.principal.id, _digest(endpoint, come)
        match await self._store.claim(caller, key, digest):
            case Kept(known, status, body):
                if known != digest:
                    raise KeyReused("this idempotency key belongs to another request")
                story.outcome = Outcome.REPLAYED
                return Reply(status, body, {"Idempotent-Replayed": "true"})
            case Running():
                raise InProgress("the request with this idempotency key is still under way")
            case Claimed(owner):
                return await self._claimed(endpoint, come, story, _Claim(caller, key, owner, digest))

    async def _claimed(self, endpoint: Endpoint, come: Come, story: _Story, claim: "_Claim") -> Reply:
        kept: Kept | None = None
        try:
            reply = await self._do(endpoint, come, story, claim)
            kept = claim.kept
            return reply
        except HeadraceError:
            kept = claim.kept
            raise
        finally:
            await self._settle(claim, kept)

    async def _settle(self, claim: "_Claim", kept: Kept | None) -> None:
        """What was done was done, whether or not its answer can be kept."""
        try:
            if kept:
                await self._store.settle(claim.caller, claim.key, claim.owner, kept)
            else:
                await self._store.release(claim.caller, claim.key, claim.owner)
        except StoreAway as error:
            log.get("admin").warning("the answer to an idempotency key is not kept", error=str(error))

    async def _do(self, endpoint: Endpoint, come: Come, story: _Story, claim: "_Claim | None" = None) -> Reply:
        assert story.principal
        ask = Ask(
            principal=story.principal,
            path=from_names(endpoint.in_path, come.path.items(), "path"),
            query=from_names(endpoint.in_query, come.query, "query"),
            body=from_body(endpoint.in_body, come.body),
            request_id=come.request_id,
            key=f"{claim.caller}:{claim.key}" if claim else "",
        )
        if isinstance(ask.body, BaseModel):
            story.detail = ask.body.model_dump_json(exclude_defaults=True)[:DETAIL_CHARS]
        try:
            async with asyncio.timeout(HANDLER_S):
                answer = await endpoint.handle(ask)
        except (TooManyOrders, TooManyTokens) as error:
            raise TooManyAtOnce(str(error), AGAIN_S) from None
        except TimeoutError:
            raise Overloaded(f"this was not done within {HANDLER_S:.0f} s") from None
        except HeadraceError as error:
            if claim and 400 <= error.status < 500 and error.status != 429:
                claim.keep(error.status, _document(error))
            raise
        if claim:
            claim.keep(endpoint.status, _written(endpoint.kept(answer) if endpoint.kept else answer))
        return Reply(endpoint.status, _written(answer))

    def _failed(self, error: HeadraceError, story: _Story) -> Reply:
        refused = error.status in _REFUSED or isinstance(error, KeyReused | InProgress)
        story.outcome, story.reason = (Outcome.REFUSED if refused else Outcome.FAILED), error.kind
        headers = {}
        if isinstance(error, NoCredential):
            headers["WWW-Authenticate"] = 'Bearer realm="headrace"'
        if isinstance(error, TooMany):
            headers["Retry-After"] = str(error.after_s)
        elif isinstance(error, Overloaded):
            headers["Retry-After"] = "2"
        return Reply(error.status, _document(error), headers)

    async def _put_on_record(self, endpoint: Endpoint, come: Come, story: _Story, status: int) -> None:
        self._metrics.admin.labels(endpoint.id, story.outcome).inc()
        if not endpoint.acts and story.outcome is not Outcome.REFUSED:
            return
        who = story.principal
        record = Record(
            at=when(self._clock.wall()),
            actor=who.id if who else "-",
            actor_name=who.name if who else "-",
            role=who.role if who else "-",
            action=endpoint.id,
            target=f"{endpoint.method} {come.target}"[:DETAIL_CHARS],
            outcome=story.outcome,
            status=status,
            reason=story.reason,
            request_id=come.request_id,
            client=come.client,
            detail=story.detail,
        )
        await self._audit.note(record, caller=who.id if who else come.client)


@dataclass
class _Claim:
    caller: str
    key: str
    owner: str
    digest: str
    kept: Kept | None = None

    def keep(self, status: int, body: bytes) -> None:
        self.kept = Kept(self.digest, status, body)


def _digest(endpoint: Endpoint, come: Come) -> str:
    """What must be the same for two requests to be one."""
    parts = (endpoint.method.encode(), come.target.encode("utf-8", "surrogateescape"), come.body)
    return hashlib.sha256(b"\n".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _written(answer: BaseModel) -> bytes:
    return answer.model_dump_json().encode()


def _document(error: HeadraceError) -> bytes:
    after = error.after_s if isinstance(error, TooMany) else None
    return Error(error=error.kind, message=str(error), retry_after=after).model_dump_json(exclude_none=True).encode()
