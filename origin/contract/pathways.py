"""The pathways of a session, as origin hands them to the edge: in the query of the manifest URL, bound by the token.

The play token holds the digest of the query's value, so nobody but origin can say where a master playlist sends a
player and its token; and media URLs, which repeat the token, do not grow. The edge needs no map for it.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

import orjson

QUERY = "steer"
"""The parameter's name; it goes no further than the edge and is in no cache key."""
DIGEST_BYTES = 16
_MAX_CHARS = 6000
_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(?:/[A-Za-z0-9._~/-]*)?")


@dataclass(frozen=True, slots=True)
class Pathways:
    """Base URLs of edges, best first, the first being where the manifest is; where the player asks for their order,
    None where nobody answers that."""

    bases: tuple[str, ...]
    steering: str | None


def encode(pathways: Pathways) -> str:
    """The query's value: base64url."""
    told = orjson.dumps([pathways.steering, *pathways.bases])
    return base64.urlsafe_b64encode(told).rstrip(b"=").decode()


def digest(value: str) -> bytes:
    """What the play token says of a query's value."""
    return hashlib.sha256(value.encode("ascii", "replace")).digest()[:DIGEST_BYTES]


def decode(value: str) -> Pathways:
    """The pathways in a query's value whose digest fits. ValueError when it is none."""
    if len(value) > _MAX_CHARS:
        raise ValueError("too long")
    try:
        steering, *bases = orjson.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    except (binascii.Error, ValueError, TypeError):
        raise ValueError("not a list in JSON, base64url") from None
    told = [*bases, steering] if steering is not None else bases
    if not bases or not all(isinstance(each, str) and _URL.fullmatch(each) for each in told):
        raise ValueError("not base URLs")
    return Pathways(tuple(bases), steering)


def split(query: str) -> tuple[str | None, str]:
    """(value of the parameter, None where it is missing; the query without it)."""
    parts = query.split("&")
    found = [part for part in parts if part.startswith(f"{QUERY}=")]
    rest = "&".join(part for part in parts if part not in found)
    return (found[-1].partition("=")[2] if found else None), rest
