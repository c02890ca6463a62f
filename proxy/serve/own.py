"""Requests of the node to itself: a prefetch passes the tier's admission, which has no token for it.

The secret is made when the node starts and known to its processes alone.
"""

import hmac
import secrets

from proxy.http import target as targets
from proxy.http.fields import Fields, single, without
from proxy.serve.exchange import Exchange
from proxy.serve.tier import Direct, Intake, Passage, Tier

OWN = "Headrace-Own"
"""The field with the secret; it goes no further."""
SUBJECT = "prefetch"
"""Whose such a request is, in the log."""


def new_secret() -> str:
    """A secret between the processes of one node."""
    return secrets.token_urlsafe(32)


class OwnTier:
    """A tier, and the node itself. See proxy.serve.tier.Tier."""

    def __init__(self, tier: Tier, secret: str) -> None:
        self._tier, self._secret = tier, secret.encode()
        self.answer_fields, self.grace, self.reasons = tier.answer_fields, tier.grace, tier.reasons
        self.logged, self.quick = tier.logged, tier.quick

    def admit(self, exchange: Exchange, now: float) -> Passage | Direct | Intake:
        """See Tier."""
        given = single(exchange.fields, OWN)
        if given is None or not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._secret):
            return self._tier.admit(exchange, now)
        targets.check_plain(exchange.path)
        return Passage(exchange.target, SUBJECT) if exchange.method == "GET" else Direct(405, (("Allow", "GET"),))

    def forwarded(self, fields: Fields) -> Fields:
        """See Tier."""
        return self._tier.forwarded(without(fields, (OWN,)))
