"""A running session as its steering token tells it: any control process of the installation can read it, nobody else
can make one.

The token is in the URL that the player polls. It names nothing that opens media.
"""

import base64
import binascii
import hmac
import re
from dataclasses import dataclass
from typing import ClassVar

import orjson
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kit.errors import Refused

PATHWAYS = "ABCDEFGH"
"""Names of pathways (PATHWAY-ID, serviceLocation), in the order at the session's start."""
MAX_CHARS = 1500
_MAC = 16
_TEXT = re.compile(rf"[A-Za-z0-9_-]{{24,{MAX_CHARS}}}")


class SteeringTokenRefused(Refused):
    """No steering token of this installation."""

    kind: ClassVar[str] = "steering_token_refused"


@dataclass(frozen=True, slots=True)
class Session:
    """One viewing. `network`: the client's prefix; `edges`: its pathways A, B, C, in their order at the start."""

    id: str
    content_id: str
    region: str
    network: str
    edges: tuple[str, ...]


def steering_key(fleet_key: bytes) -> bytes:
    """The key of steering tokens; control alone has it."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"headrace steering token").derive(fleet_key)


def seal(key: bytes, session: Session) -> str:
    """The token, base64url. A player may poll as long as it plays, so a token does not end: it opens nothing."""
    told = orjson.dumps([session.id, session.content_id, session.region, session.network, session.edges])
    return base64.urlsafe_b64encode(told + _mac(key, told)).rstrip(b"=").decode()


def unseal(key: bytes, token: str) -> Session:
    """The session of a genuine token; SteeringTokenRefused otherwise."""
    if not _TEXT.fullmatch(token):
        raise SteeringTokenRefused("not a steering token")
    try:
        blob = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise SteeringTokenRefused("not base64url") from None
    told, mac = blob[:-_MAC], blob[-_MAC:]
    canonical = base64.urlsafe_b64encode(blob).rstrip(b"=").decode() == token
    if not canonical or not hmac.compare_digest(mac, _mac(key, told)):
        raise SteeringTokenRefused("wrong signature")
    id_, content_id, region, network, edges = orjson.loads(told)
    return Session(id_, content_id, region, network, tuple(edges))


def _mac(key: bytes, told: bytes) -> bytes:
    return hmac.digest(key, told, "sha256")[:_MAC]
