"""The node credential: how tiers prove to each other who they are (a signed header with a time window).

One fleet key stays with control. From it come, by HKDF, one key per direction of trust (edge->shield, shield->origin,
node->control ...), and from that key one secret per node. A node holds only its own secrets; the tier that it speaks
to holds the direction's key and derives. So an edge can reach a shield and control and nothing else, and a lost
shield cannot speak as a node towards control.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kit.errors import Refused

WINDOW_S = 60.0
"""A signature is good for this long before and after its time (D-19)."""
_VALUE = re.compile(r"([a-z]{1,16}) ([!-~]{1,96}) ([0-9]{1,12}) ([!-~]{43})")
"""The field: role, name, seconds since the epoch, signature."""
SPEAKS_TO = {
    "edge": ("shield", "control"),
    "shield": ("origin", "control"),
    "origin": ("control",),
    "control": (),
}
"""Which tiers a role may speak to."""


class CredentialRefused(Refused):
    """The signature of a node is missing, wrong or out of its time window."""

    kind: ClassVar[str] = "credential_refused"


@dataclass(frozen=True)
class Credential:
    """A node's file. `secrets`: for the tiers it speaks to; `accepts`: keys to check those who speak to it
    (role -> key). Values are base64url."""

    id: str
    role: str
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    accepts: dict[str, str] = field(default_factory=dict, repr=False)
    serial: str = ""
    """Tells credentials of one id apart, so that one can be revoked and the node enrolled anew; empty in those that
    were not enrolled."""

    @property
    def name(self) -> str:
        """What signs: `id:serial`, or the id alone."""
        return f"{self.id}:{self.serial}" if self.serial else self.id

    @classmethod
    def load(cls, file: Path) -> "Credential":
        """Read it; ValueError when it is not one, OSError when unreadable."""
        try:
            return cls(**json.loads(file.read_text()))
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{file}: not a node credential: {error}") from None

    def save(self, file: Path) -> None:
        """Write it with mode 600, whole or not at all."""
        part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        part.touch(mode=0o600)
        told = {name: value for name, value in asdict(self).items() if name != "serial" or value}
        part.write_text(json.dumps(told))  # one without a serial is read by nodes that know of none
        part.replace(file)

    def sign(self, audience: str, *, method: str, target: str, now: float, body: bytes = b"") -> str:
        """The Headrace-Node field value for one request to a tier of role `audience`."""
        mac = _mac(_decode(self.secrets[audience]), self.name, method, target, int(now), body)
        return f"{self.role} {self.name} {int(now)} {mac}"

    def check(self, value: str | None, *, method: str, target: str, now: float, body: bytes = b"") -> str:
        """The name of the node that signed; CredentialRefused otherwise."""
        given = _VALUE.fullmatch(value or "")
        if given is None:
            raise CredentialRefused("no node credential")
        role, node_id, signed_at, mac = given.groups()
        moment = int(signed_at)
        if role not in self.accepts:
            raise CredentialRefused(f"role {role[:16]!r} may not speak to {self.role}")
        secret = node_secret(_decode(self.accepts[role]), node_id)
        if not hmac.compare_digest(mac, _mac(secret, node_id, method, target, moment, body)):
            raise CredentialRefused(f"wrong signature of {node_id[:64]!r}")
        if abs(now - moment) > WINDOW_S:
            raise CredentialRefused(f"signature of {node_id!r} is {now - moment:.0f} s old")
        return node_id


def issue(fleet_key: bytes, node_id: str, role: str, serial: str = "") -> Credential:
    """The credential of one node, made where the fleet key is."""
    name = f"{node_id}:{serial}" if serial else node_id
    return Credential(
        id=node_id,
        role=role,
        serial=serial,
        secrets={to: _encode(node_secret(direction_key(fleet_key, role, to), name)) for to in SPEAKS_TO[role]},
        accepts={
            speaker: _encode(direction_key(fleet_key, speaker, role))
            for speaker, tiers in SPEAKS_TO.items()
            if role in tiers
        },
    )


def direction_key(fleet_key: bytes, speaker: str, audience: str) -> bytes:
    """The key from which the secrets of all `speaker` nodes towards `audience` come."""
    info = f"headrace {speaker}->{audience}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(fleet_key)


def node_secret(key: bytes, node_id: str) -> bytes:
    """One node's secret under a direction key."""
    return hmac.digest(key, node_id.encode(), "sha256")


def _mac(secret: bytes, node_id: str, method: str, target: str, moment: int, body: bytes) -> str:
    digest = hashlib.sha256(body).hexdigest()
    text = "\n".join((node_id, method, target, str(moment), digest))
    return _encode(hmac.digest(secret, text.encode("utf-8", "surrogateescape"), "sha256"))


def _encode(blob: bytes) -> str:
    return base64.urlsafe_b64encode(blob).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
