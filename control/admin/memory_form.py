"""The Store in one process. With a Journal, tokens and the audit log outlive it."""

import asyncio
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass

from configs.schema.administration import AdministrationSettings
from control.admin.journal import Journal
from control.admin.limit import Taken, Windows
from control.admin.store import LOCK_S, MOST_KEPT_BYTES, Claim, Claimed, Kept, Running
from control.admin.tokens import Token
from control.admin.trail import FIRST, Entry, Record, chained
from kit.clock import Clock
from kit.errors import Conflict


@dataclass(slots=True)
class _Held:
    """A key: under way while `kept` is None."""

    owner: str
    until: float
    kept: Kept | None = None


class MemoryStore:
    """See Store."""

    def __init__(self, settings: AdministrationSettings, clock: Clock, journal: Journal | None = None) -> None:
        """Reads the journal. SettingsError when that cannot be read."""
        self.kind = "files" if journal else "memory"
        self._settings, self._clock, self._journal = settings, clock, journal
        self._windows = Windows()
        self._keys: dict[str, OrderedDict[str, _Held]] = {}
        self._lock = asyncio.Lock()
        tokens, entries = journal.read() if journal else ([], [])
        self._tokens = {token.id: token for token in tokens}
        self._entries: deque[Entry] = deque(entries, maxlen=settings.audit_entries)

    async def tokens(self) -> list[Token]:
        """See Store."""
        return sorted(self._tokens.values(), key=lambda token: (token.name, token.id))

    async def token(self, token_id: str) -> Token | None:
        """See Store."""
        return self._tokens.get(token_id)

    async def put_token(self, token: Token) -> None:
        """See Store."""
        async with self._lock:
            if len(self._tokens) >= self._settings.max_tokens:
                raise Conflict(f"there are {self._settings.max_tokens} tokens; remove one first")
            await self._keep_tokens(self._tokens | {token.id: token})

    async def drop_token(self, token_id: str) -> bool:
        """See Store."""
        async with self._lock:
            if token_id not in self._tokens:
                return False
            await self._keep_tokens({id_: token for id_, token in self._tokens.items() if id_ != token_id})
            self._keys.pop(token_id, None)
            return True

    async def take(self, caller: str, limit: int) -> Taken:
        """See Store."""
        return self._windows.take(caller, limit, self._clock.monotonic())

    async def claim(self, caller: str, key: str, digest: str) -> Claim:
        """See Store."""
        now = self._clock.monotonic()
        keys = self._keys.setdefault(caller, OrderedDict())
        held = keys.get(key)
        if held and now < held.until:
            return held.kept or Running()
        keys.pop(key, None)
        mine = _Held(secrets.token_hex(8), now + LOCK_S)
        keys[key] = mine
        if len(keys) > self._settings.max_keys:
            keys.popitem(last=False)
        return Claimed(mine.owner)

    async def settle(self, caller: str, key: str, owner: str, kept: Kept) -> None:
        """See Store."""
        held = self._mine(caller, key, owner)
        if held and len(kept.body) <= MOST_KEPT_BYTES:
            held.kept, held.until = kept, self._clock.monotonic() + self._settings.idempotency_s

    async def release(self, caller: str, key: str, owner: str) -> None:
        """See Store."""
        if self._mine(caller, key, owner):
            del self._keys[caller][key]

    async def append(self, record: Record) -> Entry:
        """See Store."""
        async with self._lock:
            last = self._entries[-1] if self._entries else None
            entry = chained(record, last.seq + 1 if last else 1, last.hash if last else FIRST)
            if self._journal:
                await asyncio.to_thread(self._journal.append, entry)
            self._entries.append(entry)
            return entry

    async def entries(self, before: int | None, count: int) -> list[Entry]:
        """See Store."""
        if not self._entries:
            return []
        first = self._entries[0].seq
        end = len(self._entries) if before is None else min(len(self._entries), max(0, before - first))
        return [self._entries[index] for index in range(end - 1, max(-1, end - 1 - count), -1)]

    async def close(self) -> None:
        """See Store."""

    async def _keep_tokens(self, tokens: dict[str, Token]) -> None:
        if self._journal:
            await asyncio.to_thread(self._journal.keep_tokens, list(tokens.values()))
        self._tokens = tokens

    def _mine(self, caller: str, key: str, owner: str) -> _Held | None:
        held = self._keys.get(caller, OrderedDict()).get(key)
        return held if held and held.owner == owner and held.kept is None else None
