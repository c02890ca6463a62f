"""Who is calling: the bearer of the operators' token or of an API token; without a token file, loopback may look."""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from control.admin.errors import NoCredential, StoreAway
from control.admin.roles import Principal, Role
from control.admin.store import Store
from control.admin.tokens import Token, check, split
from kit.clock import Clock
from kit.errors import SettingsError
from kit.memo import Memo

MIN_TOKEN = 16
REMEMBERED = 4096
FRESH_S = 1.0
"""A token removed elsewhere is refused here after this at most."""
OPERATORS = Principal("operators", "operators' token", Role.ADMIN)
"""Whoever has the token of `admin_token_file`: the first credential, with which others are made."""
LOOPBACK = Principal("loopback", "loopback", Role.VIEWER)


class Access:
    """Tells callers from their credentials. `token` None: no operators' token is configured."""

    def __init__(self, token: str | None, store: Store, clock: Clock) -> None:
        self.token = token
        self._store, self._clock = store, clock
        self._seen: Memo[str, tuple[float, Token | None]] = Memo(REMEMBERED)

    async def bearer(self, headers: Mapping[str, str]) -> Principal:
        """Whoever the Authorization field names. NoCredential, TokenExpired."""
        scheme, _, text = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise NoCredential("no bearer token")
        return await self.principal(text.strip())

    async def principal(self, text: str) -> Principal:
        """Whose token this is. NoCredential, TokenExpired."""
        if self.token is not None and hmac.compare_digest(_bytes(text), _bytes(self.token)):
            return OPERATORS
        parts = split(text)
        if parts is None:
            raise NoCredential("unknown token")
        return check(await self._token(parts[0]), parts[1], self._clock.wall())

    async def known(self, principal_id: str) -> Principal:
        """Who has this id now, for a session that was opened with its token. NoCredential when it is gone or over."""
        if principal_id == OPERATORS.id and self.token is not None:
            return OPERATORS
        token = await self._token(principal_id)
        if token is None or self._clock.wall() >= token.expires:
            raise NoCredential("the token is gone")
        return token.principal()

    def digest(self, principal_id: str) -> str:
        """What a session is bound to beside the id: another operators' token ends the sessions of the one before."""
        bound = self.token if principal_id == OPERATORS.id else principal_id
        return hashlib.sha256(_bytes(bound or "")).hexdigest()

    def learn(self, token_id: str, token: Token | None) -> None:
        """The token was made or (None) removed here: that counts at once."""
        self._seen.put(token_id, (self._clock.monotonic(), token))

    async def _token(self, token_id: str) -> Token | None:
        """As the store has it, at most FRESH_S old; with the store away, as it was last known."""
        now, seen = self._clock.monotonic(), self._seen.get(token_id)
        if seen and now - seen[0] < FRESH_S:
            return seen[1]
        try:
            token = await self._store.token(token_id)
        except StoreAway:
            if seen is None:
                raise
            return seen[1]
        self._seen.put(token_id, (now, token))
        return token


def read_token(file: Path | None) -> str | None:
    """The operators' token in `file`; SettingsError when it is unreadable or too short."""
    if file is None:
        return None
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"admin_token_file: {file}: {error}") from None
    if len(token) < MIN_TOKEN:
        raise SettingsError(f"admin_token_file: {file}: a token has at least {MIN_TOKEN} characters")
    return token


def _bytes(text: str) -> bytes:
    """Header fields may hold bytes that are no UTF-8; they are compared like all others."""
    return text.encode("utf-8", "surrogateescape")
