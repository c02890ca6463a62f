"""The fast lane: the steps of the pipeline for a plain GET whose answer is stored, fresh and allowed, without a wait.

    recognise   a whole head in a strict grammar                    heads
    admit       a token verified before, looked at anew             tier.quick
    key         remembered a target
    look up     memory and open files                               store.peek
    decide      Fresh or nothing                                    ready
    deliver     a head made before, body or file                    fast, outbox
    account     the same counters, the same line                    account

Whatever needs more is aiohttp's: the lane says None and leaves no trace.
"""

import secrets
from dataclasses import dataclass
from typing import NamedTuple

from kit.clock import Clock
from kit.errors import BadRequest
from kit.memo import SecondChance
from proxy.http import target as targets
from proxy.http.fields import Fields
from proxy.rules.key import cache_key, report, strip_cmcd
from proxy.rules.meta import Meta
from proxy.rules.variants import Variants, from_meta, key_in
from proxy.serve.account import Account, safe
from proxy.serve.heads import Block, Heads
from proxy.serve.ready import Ready, ready
from proxy.serve.selections import Selections
from proxy.serve.tier import Tier
from proxy.store.bodies import FileBody, MemoryBody
from proxy.store.sparse import SparseBody
from proxy.store.store import Store

StoredBody = MemoryBody | FileBody | SparseBody
_CONDITIONED = 4
"""Answers to conditions (a range, a validator) kept ready a target."""
_DRAWN = 128
_LOGGED = 1024
"""A longer target is cut in the log."""


class Reply(NamedTuple):
    """What the lane answers: `head`, then of `body` what `ready` says."""

    head: bytes
    body: MemoryBody | FileBody
    ready: Ready
    request_id: str
    logged: str
    """The target as the log may have it, fit for a JSON string."""
    subject: str
    close: bool
    report: str
    """What the player says of itself."""


@dataclass(slots=True, eq=False)
class Route:
    """What is known of a target without token."""

    key: str
    logged: str
    whole: Ready | None
    conditioned: dict[Fields, Ready]
    vary: Fields = ()
    """The selecting fields of the variant that it leads to."""
    listed: Meta | None = None
    """What lay under the key where that was no answer to give, and the list of variants that it was."""
    variants: Variants | None = None
    report: str = ""
    """What the player says of itself in the query."""
    base: "Route | None" = None
    """Of a target with a report: that of the same target without it, which is kept."""
    used: bool = False
    """Whether it was asked for since the last look for one that can go."""


class Lane:
    """One worker's lane."""

    def __init__(self, *, name: str, tier: Tier, store: Store, account: Account, clock: Clock, authority: str) -> None:
        self._name, self._tier, self._store, self._clock, self._authority = name, tier, store, clock, authority
        self.account = account
        self.heads = Heads(name)
        self._routes: SecondChance[str, Route] = SecondChance(store.bounds.entries)
        self._selections = Selections(name, tier)
        self._ids: list[str] = []

    def reply(self, target: str, block: Block) -> Reply | None:
        """The answer to a recognised GET; None where it takes more than memory and an open file."""
        now = self._clock.wall()
        passage = self._tier.quick(target, block.fields, now)
        if passage is None:
            return None
        route = self._routes.get(passage[0]) or self._route(target, passage[0])
        if route is None:
            return None
        route.used = True
        stored = self._store.peek(route.key, now)
        if stored is None:
            return None
        meta, kept = stored
        known = self._ready(route, meta, kept, block.conditions)
        if known is None:
            variant = self._variant(route, meta, block, now)
            if variant is None:
                return None
            kept, known = variant
        body = kept.sound(*known.span) if isinstance(kept, SparseBody) else kept
        if body is None:
            return None
        number = block.request_id or self._new_id()
        head = known.head(number, now, close=block.close)
        if head is None:
            return None
        said = route.report or block.report
        return Reply(head, body, known, number, route.logged, passage[1], block.close, said)

    def drain(self) -> None:
        """Every answer from here on is its connection's last. What is remembered of heads goes, so that requests cost
        nothing more before."""
        self.heads = Heads(self._name, closing=True)

    def disk_failed(self, reply: Reply, error: OSError) -> str:
        """The file of an answer under way cannot be read: it is looked for again. The reason for the log."""
        key = reply.ready.meta.key
        self._store.disk_error("read", error, self._store.home(key))
        self._store.forget(key)
        return "the cache's disk failed during a read"

    def _new_id(self) -> str:
        """A request id as exchange.request_id makes it; drawn by the hundred, the kernel is asked less often."""
        if not self._ids:
            drawn = secrets.token_hex(8 * _DRAWN)
            self._ids = [drawn[at : at + 16] for at in range(0, len(drawn), 16)]
        return self._ids.pop()

    def _route(self, target: str, rest: str) -> Route | None:
        """A target looked at for the first time; None for one that could mean two things or would be cut in the log."""
        try:
            path, query = targets.check(rest)
            targets.check_plain(path)
        except BadRequest:
            return None
        if len(target) > _LOGGED or ("?" in rest and not query):
            return None
        logged = safe(self._tier.logged(target))
        if said := report(query):  # what players report is said once; the target without it is everybody's
            plain = strip_cmcd(rest)
            base = self._routes.get(plain) or self._route(strip_cmcd(target), plain)
            if base is None:
                return None
            base.used = True
            return Route(base.key, logged, base.whole, base.conditioned, report=said, base=base)
        route = Route(cache_key(self._authority, rest), logged, None, {})
        self._routes.put(rest, route)
        return route

    def _variant(self, route: Route, listed: Meta, block: Block, now: float) -> tuple[StoredBody, Ready] | None:
        """What fill.variants finds first for this request, where it is at hand; `listed` is what lies under the key. It
        is kept ready as other answers are, under a key that no target can have."""
        route = route.base or route
        if route.listed is not listed:
            route.listed, route.variants = listed, from_meta(listed)
        variants = route.variants
        if variants is None or not variants.sets:
            return None
        selection = self._selections.of(block, variants.sets[0])
        key = key_in(route.key, variants, selection.slot)
        chosen = self._routes.get(key)
        if chosen is None or chosen.vary != selection.forms:
            chosen = Route(key, "", None, {}, selection.forms)
            self._routes.put(key, chosen)
        chosen.used = True
        stored = self._store.peek(chosen.key, now)
        if stored is None:
            return None
        meta, body = stored
        known = self._ready(chosen, meta, body, block.conditions)
        return None if known is None else (body, known)

    def _ready(self, route: Route, meta: Meta, body: StoredBody, conditions: Fields) -> Ready | None:
        """The answer made before from this very `meta`, or made now."""
        known = route.conditioned.get(conditions) if conditions else route.whole
        if known is not None and known.meta is meta and known.size == body.length:
            return known
        return self._prepare(route, meta, body, conditions)

    def _prepare(self, route: Route, meta: Meta, body: StoredBody, conditions: Fields) -> Ready | None:
        """The answer made now, to be found ready the next time; None for what is no answer to this request, or not the
        lane's to give."""
        route = route.base or route
        if route.key == meta.key:
            route.key = meta.key  # the store's own text: equal by identity, which is seen without reading it
        if not meta.status or meta.vary != route.vary:  # a list of variants, or not the one that was asked for
            return None
        common = self._tier.answer_fields
        made = ready(self._name, meta, body.length, conditions, common)
        if made is not None and conditions:
            if len(route.conditioned) >= _CONDITIONED:
                route.conditioned.clear()
            route.conditioned[conditions] = made
        elif made is not None:
            route.whole = made
        return made
