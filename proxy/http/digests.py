"""Digests of a representation (RFC 9530)."""

import base64
import binascii
import re

from proxy.http.fields import Fields, single

_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):")


def stated_sha256(fields: Fields) -> bytes | None:
    """The SHA-256 that Repr-Digest states of the whole representation; None when it states none."""
    match = _SHA256.search(single(fields, "Repr-Digest") or "")
    if not match:
        return None
    try:
        return base64.b64decode(match[1], validate=True)
    except binascii.Error:
        return b""
