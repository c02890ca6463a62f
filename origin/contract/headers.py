"""Header field names and constant answers that origin, its shields and edges agree on."""

NODE = "Headrace-Node"
"""The node credential's signature on a request between tiers (control.contract.credential)."""
REQUEST_ID = "X-Request-ID"
"""Accepted from a caller when it is 1-64 of `[A-Za-z0-9._-]`, else made (T-035)."""
GROUPS = "Cache-Groups"
"""Tags of a stored answer (RFC 9875)."""
REFUSAL_STATUS = 403
REFUSAL_BODY = b'{"error":"refused"}\n'
"""The one answer of every refusal: whether the object exists must not show."""
EXPOSED = "Age, Cache-Status, CMSD-Dynamic"
"""Answer fields that a page's script may read at an edge (contracts.md, CORS)."""
CMCD_REQUEST = "CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status"
"""CMCD request fields that a player may send cross-origin (CTA-5004)."""
FORWARDED = frozenset({"accept", "accept-encoding", "traceparent", "tracestate"})
"""All that a media request may tell the tiers behind, lower case: what is not in the key must not change the answer."""
