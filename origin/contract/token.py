"""The play token: a Common Access Token (CTA-5007; a CWT, RFC 8392, in COSE_Sign1 or COSE_Mac0, RFC 9052).

Origin mints, edges verify. With ES256 or EdDSA an edge can verify but not mint. Reasons of refusal are the words of
REASONS, the same in log, metric and test; viewers see none of them.
"""

import base64
import binascii
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import cbor2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cwt import COSE, COSEKey
from cwt.cose_key_interface import COSEKeyInterface

from kit.errors import Refused
from kit.memo import Memo
from kit.published import Reader

ISSUER = "headrace"
MEDIA = "media"
LICENCE = "licence"
MAX_TOKEN_CHARS = 2048
SKEW_S = 60.0
"""How far ahead of ours the minting clock may run (D-19). Applied to the start of validity only: a token never works
after its end."""

# CWT claim keys (RFC 8392) and Common Access Token keys (CTA-5007).
ISS, SUB, AUD, EXP, NBF, IAT, CTI = 1, 2, 3, 4, 5, 6, 7
CATU = 312
CATU_PATH = 3
MATCH_EXACT, MATCH_PREFIX = 0, 1
CAP_KBPS = -70001
"""Private claim: no rung above this many kbit/s (MAN-17)."""
PATHWAYS = -70002
"""Private claim: the digest of the session's pathways, which stand in the manifest URL's query (pathways)."""
_KNOWN = {ISS, SUB, AUD, EXP, NBF, IAT, CTI, CATU, CAP_KBPS, PATHWAYS}
_TEXT = re.compile(r"[A-Za-z0-9_-]+")


class Reason(StrEnum):
    """Why a request was refused."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    UNSUPPORTED = "unsupported_claim"
    NOT_YET = "not_yet_valid"
    EXPIRED = "expired"
    PATH = "path"
    AUDIENCE = "audience"
    REVOKED = "revoked"
    PATHWAYS = "pathways"


class TokenRefused(Refused):
    """A token that does not open what was asked; `reason` says why, for log and metric only."""

    kind: ClassVar[str] = "token_refused"

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Grant:
    """What a genuine token says. Times are seconds since the epoch."""

    token_id: str
    subject: str
    audience: str
    path: str
    exact: bool
    not_before: float
    expires: float
    cap_kbps: int | None
    key_id: str
    pathways: bytes | None = None

    def check(self, *, path: str, audience: str, now: float) -> None:
        """Raise TokenRefused unless this grant opens `path` (without token) for `audience` at `now`."""
        if (reason := self.refusal(path, audience, now)) is not None:
            raise TokenRefused(reason)

    def refusal(self, path: str, audience: str, now: float) -> Reason | None:
        """Why this grant does not open `path` for `audience` at `now`; None when it does."""
        if now >= self.expires:
            return Reason.EXPIRED
        if now < self.not_before - SKEW_S:
            return Reason.NOT_YET
        if self.audience != audience:
            return Reason.AUDIENCE
        return None if (path == self.path if self.exact else path.startswith(self.path)) else Reason.PATH


class Keys:
    """Token keys by id. Files in a directory: `<kid>.private.pem`, `<kid>.public.pem`, `<kid>.secret` (HMAC)."""

    def __init__(self, verifying: dict[bytes, COSEKeyInterface], signing: COSEKeyInterface | None) -> None:
        self._verifying = verifying
        self._signing = signing

    @classmethod
    def load(cls, directory: Path) -> "Keys":
        """Every key of `directory`; the newest private one signs. OSError or ValueError when unreadable."""
        verifying: dict[bytes, COSEKeyInterface] = {}
        signing: COSEKeyInterface | None = None
        for file in sorted(directory.iterdir()):
            kid, _, kind = file.name.partition(".")
            name = kid.encode()
            if kind == "private.pem":
                signing = COSEKey.from_pem(file.read_bytes(), kid=name)
                public = serialization.load_pem_private_key(file.read_bytes(), None).public_key()
                verifying[name] = COSEKey.from_pem(_public_pem(public), kid=name)
            elif kind == "public.pem":
                verifying[name] = COSEKey.from_pem(file.read_bytes(), kid=name)
            elif kind == "secret":
                secret = base64.urlsafe_b64decode(file.read_bytes().strip())
                signing = verifying[name] = COSEKey.from_symmetric_key(key=secret, alg="HS256", kid=name)
        if not verifying:
            raise ValueError(f"no token key in {directory}: run `headrace keys new --out {directory}`")
        return cls(verifying, signing)

    def beside(self, public: Mapping[str, str]) -> "Keys":
        """These and more that verify, by id (PEM). ValueError names one that is none, or whose id has another key."""
        more: dict[bytes, COSEKeyInterface] = {}
        for kid, pem in public.items():
            name = kid.encode()
            try:
                more[name] = COSEKey.from_pem(pem, kid=name)
            except Exception as error:
                raise ValueError(f"token key {kid!r} cannot be used: {error}") from None
            known = self._verifying.get(name)
            if known is not None and known.to_dict() != more[name].to_dict():
                raise ValueError(f"token key {kid!r} is another key in the keys' directory")
        return Keys(more | self._verifying, self._signing)

    def by_id(self, key_id: bytes) -> COSEKeyInterface | None:
        """The verifying key of that id."""
        return self._verifying.get(key_id)

    @property
    def signing(self) -> COSEKeyInterface:
        """The key that signs; ValueError where this side can only verify."""
        if self._signing is None:
            raise ValueError("these keys can verify but not mint: no private key here")
        return self._signing


def new_key(directory: Path, algorithm: str = "ES256") -> str:
    """Write a new key to `directory` (700; private files 600) and return its id.

    `algorithm` is ES256, EdDSA or HS256. Ids sort by time of making, so that the newest signs.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
    if algorithm == "HS256":
        _write_secret(directory / f"{key_id}.secret", base64.urlsafe_b64encode(secrets.token_bytes(32)))
        return key_id
    makers: dict[str, Callable[[], Any]] = {
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    if algorithm not in makers:
        raise ValueError(f"unknown algorithm {algorithm}: one of ES256, EdDSA, HS256")
    private = makers[algorithm]()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write_secret(directory / f"{key_id}.private.pem", pem)
    (directory / f"{key_id}.public.pem").write_bytes(_public_pem(private.public_key()))
    return key_id


def mint(
    keys: Keys,
    *,
    path: str,
    now: float,
    ttl_s: float,
    subject: str = "",
    audience: str = MEDIA,
    cap_kbps: int | None = None,
    pathways: bytes | None = None,
) -> str:
    """A token for every path that begins with `path` (exactly `path` unless it ends with `/`), valid for `ttl_s`."""
    match = MATCH_PREFIX if path.endswith("/") else MATCH_EXACT
    claims: dict[int, Any] = {
        ISS: ISSUER,
        AUD: audience,
        EXP: int(now + ttl_s),
        NBF: int(now),
        IAT: int(now),
        CTI: secrets.token_bytes(12),
        CATU: {CATU_PATH: {match: path}},
    }
    if subject:
        claims[SUB] = subject
    if cap_kbps is not None:
        claims[CAP_KBPS] = cap_kbps
    if pathways is not None:
        claims[PATHWAYS] = pathways
    cose = COSE.new(alg_auto_inclusion=True, kid_auto_inclusion=True)
    key = keys.signing
    encode = cose.encode_and_mac if key.alg == 5 else cose.encode_and_sign
    return base64.urlsafe_b64encode(encode(cbor2.dumps(claims), key)).rstrip(b"=").decode()


def verify(token: str, keys: Keys) -> Grant:
    """The grant of a genuine token. TokenRefused otherwise; times and path are the caller's to check (Grant.check)."""
    blob = decode_strict(token)
    try:
        message = cbor2.loads(blob)
        key = keys.by_id(message.value[1][4] if 4 in message.value[1] else cbor2.loads(message.value[0])[4])
    except Exception:
        raise TokenRefused(Reason.MALFORMED) from None
    if key is None:
        raise TokenRefused(Reason.UNKNOWN_KEY)
    try:
        payload = COSE.new().decode(blob, key)
    except Exception:
        raise TokenRefused(Reason.BAD_SIGNATURE) from None
    return _grant(payload, (key.kid or b"").decode())


def decode_strict(token: str) -> bytes:
    """Canonical unpadded base64url or refused: one token has one spelling."""
    if not token or len(token) > MAX_TOKEN_CHARS or not _TEXT.fullmatch(token):
        raise TokenRefused(Reason.MALFORMED)
    try:
        blob = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise TokenRefused(Reason.MALFORMED) from None
    if base64.urlsafe_b64encode(blob).rstrip(b"=").decode() != token:
        raise TokenRefused(Reason.MALFORMED)
    return blob


class Verifier:
    """Verifies once and remembers: a later request costs a look-up and a comparison of times.

    Bounded: `remembered` tokens; only genuine ones are kept, so that junk cannot push them out.
    """

    def __init__(self, keys: Keys, *, remembered: int = 100_000, revoked: Reader | None = None) -> None:
        """`revoked` has `token:<cti>`, `subject:<sub>`, `key:<kid>`; it is looked at each time, remembered or not."""
        self._keys = keys
        self._memo: Memo[str, Grant] = Memo(remembered)
        self._revoked = revoked
        self._changes: Sequence[int] = (0,) if revoked is None else revoked.changes
        self._seen = 0
        self._words: frozenset[str] = frozenset()

    def check(self, token: str | None, *, path: str, now: float, audience: str = MEDIA) -> Grant:
        """The grant, or TokenRefused with its reason."""
        grant = self._genuine(token)
        grant.check(path=path, audience=audience, now=now)
        return self._standing(grant)

    def session(self, token: str | None, *, now: float) -> Grant:
        """The grant of a token that opens any media at all now: for what belongs to a session, not to a path."""
        grant = self._genuine(token)
        grant.check(path=grant.path, audience=MEDIA, now=now)
        return self._standing(grant)

    def recall(self, token: str, path: str, now: float) -> Grant | None:
        """The grant of a token that was verified before, when it opens `path` as media at `now`; None: ask `check`."""
        if self._changes[0] != self._seen:
            self._look()
        grant = self._memo.get(token)
        if grant is None or grant.refusal(path, MEDIA, now) is not None or (self._words and self._refused(grant)):
            return None
        return grant

    def _genuine(self, token: str | None) -> Grant:
        if token is None:
            raise TokenRefused(Reason.MISSING)
        grant = self._memo.get(token)
        if grant is None:
            grant = verify(token, self._keys)
            self._memo.put(token, grant)
        return grant

    def _standing(self, grant: Grant) -> Grant:
        if self._changes[0] != self._seen:
            self._look()
        if self._words and self._refused(grant):
            raise TokenRefused(Reason.REVOKED)
        return grant

    def _look(self) -> None:
        if self._revoked is not None:
            self._words, self._seen = self._revoked.words(), self._revoked.seen

    def _refused(self, grant: Grant) -> bool:
        words = self._words
        return (
            f"token:{grant.token_id}" in words or f"subject:{grant.subject}" in words or f"key:{grant.key_id}" in words
        )


def _grant(payload: bytes, key_id: str) -> Grant:
    try:
        claims = cbor2.loads(payload)
        if set(claims) - _KNOWN:
            raise TokenRefused(Reason.UNSUPPORTED)
        ((component, match),) = claims[CATU].items()
        ((how, path),) = match.items()
        if component != CATU_PATH or how not in (MATCH_EXACT, MATCH_PREFIX):
            raise TokenRefused(Reason.UNSUPPORTED)
        cap, pathways = claims.get(CAP_KBPS), claims.get(PATHWAYS)
        return Grant(
            token_id=bytes(claims[CTI]).hex(),
            subject=str(claims.get(SUB, "")),
            audience=str(claims[AUD]),
            path=str(path),
            exact=how == MATCH_EXACT,
            not_before=float(claims.get(NBF, 0)),
            expires=float(claims[EXP]),
            cap_kbps=None if cap is None else int(cap),
            key_id=key_id,
            pathways=None if pathways is None else bytes(pathways),
        )
    except (KeyError, TypeError, ValueError, AttributeError, cbor2.CBORDecodeError):
        raise TokenRefused(Reason.MALFORMED) from None


def _public_pem(public: Any) -> bytes:
    pem: bytes = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem


def _write_secret(file: Path, content: bytes) -> None:
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(content)
