"""The Store that all control processes share, in Redis.

Keys: `admin:tokens` hash of id -> JSON; `ratelimit:admin:<caller>` sorted set of calls; `idempotency:<caller>:<key>`
string, with `idempotency:<caller>` naming the caller's keys by age; `admin:audit` stream whose ids are
`<seq>-0`, with `admin:audit:head` as `<seq> <hash>`.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from configs.schema.administration import AdministrationSettings
from control.admin.errors import StoreAway
from control.admin.limit import WINDOW_S, Taken
from control.admin.scripts import APPEND, CLAIM, PUT_TOKEN, SETTLE, TAKE
from control.admin.store import LOCK_S, MOST_KEPT_BYTES, Claim, Claimed, Kept, Running
from control.admin.tokens import Token
from control.admin.trail import FIRST, Entry, Record, chained
from control.connected import connected
from kit.errors import Conflict

CONNECTIONS = 16
APPENDS = 32
"""Other processes may put an entry at the end between our look and our append; so often we look again."""


class RedisStore:
    """See Store."""

    kind = "redis"

    def __init__(self, redis: Redis, settings: AdministrationSettings) -> None:
        self._redis, self._settings = redis, settings
        self._appending = asyncio.Lock()
        self._kept_ms = int(settings.idempotency_s * 1000)
        self._put, self._take, self._claim, self._settle, self._append = (
            redis.register_script(text) for text in (PUT_TOKEN, TAKE, CLAIM, SETTLE, APPEND)
        )

    @classmethod
    def connect(cls, url: str, settings: AdministrationSettings) -> "RedisStore":
        """A store at `url`; nothing is sent yet."""
        return cls(connected(url, connections=CONNECTIONS), settings)

    async def tokens(self) -> list[Token]:
        """See Store."""
        with _translated():
            rows = await self._redis.hvals("admin:tokens")
        return sorted((_token(row) for row in rows), key=lambda token: (token.name, token.id))

    async def token(self, token_id: str) -> Token | None:
        """See Store."""
        with _translated():
            row = await self._redis.hget("admin:tokens", token_id)
        return _token(row) if row else None

    async def put_token(self, token: Token) -> None:
        """See Store."""
        with _translated():
            kept = await self._put(args=[token.id, token.encode(), self._settings.max_tokens])
        if not kept:
            raise Conflict(f"there are {self._settings.max_tokens} tokens; remove one first")

    async def drop_token(self, token_id: str) -> bool:
        """See Store."""
        with _translated():
            return bool(await self._redis.hdel("admin:tokens", token_id))

    async def take(self, caller: str, limit: int) -> Taken:
        """See Store."""
        with _translated():
            allowed, count, reset_ms = await self._take(
                args=[f"ratelimit:admin:{caller}", limit, int(WINDOW_S * 1000), secrets.token_hex(6)]
            )
        return Taken(bool(allowed), limit, limit - int(count), int(reset_ms) / 1000)

    async def claim(self, caller: str, key: str, digest: str) -> Claim:
        """See Store."""
        owner = secrets.token_hex(8)
        with _translated():
            found = await self._claim(
                args=[caller, key, owner, int(LOCK_S * 1000), self._settings.max_keys, self._kept_ms]
            )
        if not found:
            return Claimed(owner)
        what, digest, status, body = (*found.split("\n", 3), "", "", "")[:4]
        return Kept(digest, int(status), body.encode()) if what == "kept" else Running()

    async def settle(self, caller: str, key: str, owner: str, kept: Kept) -> None:
        """See Store."""
        if len(kept.body) > MOST_KEPT_BYTES:
            return
        text = f"kept\n{kept.digest}\n{kept.status}\n{kept.body.decode()}"
        with _translated():
            await self._settle(args=[caller, key, owner, text, self._kept_ms])

    async def release(self, caller: str, key: str, owner: str) -> None:
        """See Store."""
        with _translated():
            await self._settle(args=[caller, key, owner, "", 0])

    async def append(self, record: Record) -> Entry:
        """See Store."""
        with _translated():
            async with self._appending:
                return await self._append_after(await self._redis.get("admin:audit:head"), record)

    async def entries(self, before: int | None, count: int) -> list[Entry]:
        """See Store."""
        if before is not None and before < 2:
            return []
        newest = "+" if before is None else f"{before - 1}-0"
        with _translated():
            rows: Any = await self._redis.xrevrange("admin:audit", max=newest, count=count)
        return [Entry.model_validate(orjson.loads(fields["e"]), strict=False) for _, fields in rows]

    async def _append_after(self, head: Any, record: Record) -> Entry:
        for _ in range(APPENDS):
            seq, _, last = (head or f"0 {FIRST}").partition(" ")
            entry = chained(record, int(seq) + 1, last)
            head = await self._append(
                args=[head or "", entry.seq, entry.hash, entry.encode(), self._settings.audit_entries]
            )
            if not head:
                return entry
        raise StoreAway("the audit log is too busy")

    async def close(self) -> None:
        """See Store."""
        await self._redis.aclose()


def _token(row: bytes | str) -> Token:
    return Token.model_validate_json(row)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreAway(f"Redis: {type(error).__name__}: {error}") from None
