"""What the admin API must not forget, and what keeping it means. Two forms: memory_form (a process, with files if it
is given a directory) and redis_form (all control processes)."""

from dataclasses import dataclass
from typing import Protocol

from control.admin.limit import Taken
from control.admin.tokens import Token
from control.admin.trail import Entry, Record

LOCK_S = 30.0
"""A claim that nobody settled is free again after this (IDM-03); no handler takes so long."""
MOST_KEPT_BYTES = 256 * 1024
"""Larger answers are not kept (D-33)."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The key is ours until `settle` or `release`; `owner` proves it."""

    owner: str


@dataclass(frozen=True, slots=True)
class Running:
    """Another request with this key is under way."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer that this key's request got; `digest` says which request that was."""

    digest: str
    status: int
    body: bytes


Claim = Claimed | Running | Kept


class Store(Protocol):
    """Every call may raise StoreAway."""

    kind: str
    """memory, files or redis."""

    async def tokens(self) -> list[Token]:
        """All tokens, those past their end too, by name."""
        ...

    async def token(self, token_id: str) -> Token | None:
        """One token."""
        ...

    async def put_token(self, token: Token) -> None:
        """Keep a new token. Conflict when there are as many as the settings allow."""
        ...

    async def drop_token(self, token_id: str) -> bool:
        """Forget a token; whether it was there."""
        ...

    async def take(self, caller: str, limit: int) -> Taken:
        """Count a call in the caller's window."""
        ...

    async def claim(self, caller: str, key: str, digest: str) -> Claim:
        """Reserve an idempotency key for LOCK_S, or what stands there."""
        ...

    async def settle(self, caller: str, key: str, owner: str, kept: Kept) -> None:
        """Keep the answer of a claimed key; nothing happens when the claim was lost meanwhile."""
        ...

    async def release(self, caller: str, key: str, owner: str) -> None:
        """Give a claimed key back."""
        ...

    async def append(self, record: Record) -> Entry:
        """Put a record at the end of the audit log."""
        ...

    async def entries(self, before: int | None, count: int) -> list[Entry]:
        """Up to `count` entries, newest first, those before `before` where it is given."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
