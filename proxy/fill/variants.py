"""Finding and placing variants in the store; the rules stand in rules.variants."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from kit.clock import Clock
from proxy.http.fields import Fields
from proxy.rules import variants as rules
from proxy.rules.meta import Meta, matches
from proxy.rules.selecting import Names
from proxy.rules.variants import Variants
from proxy.store.store import Store, Stored
from proxy.store.writer import NoRoom, Writer

_NEVER = -1
"""An epoch that no store has: what is written with it is not published."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is stored for a request. `others`: only variants for other requests are. `names` select among the variants,
    and are among the fields of `request`; both are () where nothing varies."""

    key: str
    stored: Stored | None
    others: bool = False
    names: Names = ()
    request: Fields = ()
    led: int = 0
    """How many flights the node's other workers had led when it was looked for."""

    @property
    def flight(self) -> str:
        """Requests of the same flight may wait for one another."""
        return rules.flight_key(self.key, self.names, self.request)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new answer goes, and the epoch that it must still be there to be published."""

    meta: Meta
    epoch: int


class Shelf:
    """Variants in one worker's store."""

    def __init__(self, store: Store, clock: Clock, led: Callable[[], int]) -> None:
        """`led`: how many flights the node's other workers have led."""
        self._store, self._clock, self._led = store, clock, led
        self._listing = asyncio.Lock()

    async def lookup(self, key: str, asked: Callable[[], Fields]) -> Found:
        """The stored answer for a request, of all under `key`. `asked` gives the fields that upstream would get of it:
        what upstream does not see selects nothing."""
        led = self._led()
        under = await self._store.lookup(key, self._clock.wall())
        if under is None:
            return Found(key, None, led=led)
        variants = rules.from_meta(under.meta)
        if variants is None:
            return Found(key, under, request=asked() if under.meta.vary else (), led=led)
        request = asked()
        stored = await self._variant(key, variants, request)
        if stored is None and under.entry.layout is not None:
            variants, stored = await self._again(key, variants, request)
        names = variants.sets[0] if variants.sets else ()
        return Found(key, stored, stored is None, names, request, led)

    async def _variant(self, key: str, variants: Variants, request: Fields) -> Stored | None:
        for names in variants.sets:
            stored = await self._store.lookup(rules.slot_key(key, variants, names, request), self._clock.wall())
            if stored is not None and matches(stored.meta, request):
                return stored
        return None

    async def _again(self, key: str, known: Variants, request: Fields) -> tuple[Variants, Stored | None]:
        """Another worker may have listed more since this one read the list."""
        variants = await self._read(key)
        if variants is None or variants == known:
            return known, None
        return variants, await self._variant(key, variants, request)

    async def _read(self, key: str) -> Variants | None:
        """The list as it lies on disk, where it does."""
        under = await self._store.lookup(key, self._clock.wall())
        if under is not None and under.entry.layout is not None:
            self._store.forget(key)
            under = await self._store.lookup(key, self._clock.wall())
        return rules.from_meta(under.meta) if under else None

    async def place(self, meta: Meta, request: Fields, epoch: int) -> Place:
        """Where an answer goes, which `meta.key` and the selecting fields of `request` were asked for when that key's
        epoch was `epoch`; lists it, where it varies. After an invalidation it goes nowhere."""
        if not meta.vary:
            return Place(meta, epoch)
        names = tuple(name for name, _ in meta.vary)
        async with self._listing:
            variants = await self._listed(meta.key, names, epoch)
        slot = rules.slot_key(meta.key, variants, names, request)
        current = self._store.epoch(meta.key) == epoch
        return Place(replace(meta, key=slot), self._store.epoch(slot) if current else _NEVER)

    async def _listed(self, key: str, names: Names, epoch: int) -> Variants:
        """The list under `key` with `names` as its latest set, written where it was not so."""
        known = await self._read(key) or Variants(secrets.token_hex(8), ())
        wanted = known.with_set(names)
        if wanted != known:
            await self._write(rules.to_meta(key, wanted, self._clock.wall()), epoch)
        return wanted

    async def _write(self, meta: Meta, epoch: int) -> None:
        try:
            writer = await Writer.open(self._store, meta, 0, epoch)
        except NoRoom:
            return
        writer.checked()
        await writer.publish(self._clock.wall())
