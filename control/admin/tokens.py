"""API tokens: made once, shown once, kept as a digest. Pure rules, handed the time.

A token's text is `hra_<id>_<secret>`. The secret has 256 random bits, so that a plain SHA-256 of it is safe at rest:
there is nothing to guess that a slow hash would protect.
"""

import hashlib
import hmac
import re
import secrets

from control.admin.errors import NoCredential, TokenExpired
from control.admin.roles import Area, Principal, Role
from control.contract.messages import Message

_TEXT = re.compile(r"hra_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Token(Message):
    """One token as it is kept. Times in seconds since the epoch."""

    id: str
    name: str
    role: Role
    areas: tuple[Area, ...]
    digest: str
    created: float
    expires: float
    created_by: str

    def principal(self) -> Principal:
        """Whom it stands for."""
        return Principal(self.id, self.name, self.role, frozenset(self.areas))


def mint(
    name: str, role: Role, areas: tuple[Area, ...], *, now: float, lifetime_s: float, by: str
) -> tuple[Token, str]:
    """A new token, and the text that its holder gets; the text is kept nowhere."""
    token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = Token(
        id=token_id,
        name=name,
        role=role,
        areas=tuple(sorted(set(areas))),
        digest=_digest(secret),
        created=now,
        expires=now + lifetime_s,
        created_by=by,
    )
    return token, f"hra_{token_id}_{secret}"


def split(text: str) -> tuple[str, str] | None:
    """(id, secret) of a token's text; None when it cannot be one."""
    match = _TEXT.fullmatch(text)
    return (match[1], match[2]) if match else None


def check(token: Token | None, secret: str, now: float) -> Principal:
    """Whom the secret stands for. NoCredential when it is not this token's, TokenExpired at and after its end."""
    if token is None or not hmac.compare_digest(token.digest, _digest(secret)):
        raise NoCredential("unknown token")
    if now >= token.expires:
        raise TokenExpired(f"token {token.id} is past its end")
    return token.principal()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
