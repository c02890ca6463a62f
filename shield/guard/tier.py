"""Admission at a shield: whoever finds it gets nothing without a node credential (contracts.md)."""

from control.contract.credential import Credential, CredentialRefused
from origin.contract.headers import FORWARDED, NODE
from proxy.http import target as targets
from proxy.http.fields import Fields, single
from proxy.serve.account import safe
from proxy.serve.exchange import Exchange
from proxy.serve.tier import Direct, Passage

_REASON = "node_credential"


class ShieldTier:
    """Admits edges that sign their requests. See proxy.serve.tier.Tier."""

    answer_fields: Fields = ()
    grace = False
    reasons: tuple[str, ...] = (_REASON,)

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def logged(self, target: str) -> str:
        """See Tier."""
        return target

    def admit(self, exchange: Exchange, now: float) -> Passage | Direct:
        """See Tier."""
        exchange.reason = _REASON
        value = single(exchange.fields, NODE)
        if value is not None and not value.isascii():
            value = None
        node_id = self._credential.check(value, method=exchange.method, target=exchange.target, now=now)
        exchange.reason = ""
        targets.check_plain(exchange.path)
        if exchange.method not in ("GET", "HEAD"):
            return Direct(405, (("Allow", "GET, HEAD"),))
        return Passage(exchange.target, subject=node_id)

    def quick(self, target: str, fields: Fields, now: float) -> tuple[str, str] | None:
        """See Tier. Each request has a signature of its own, which is checked as `admit` does, every time: that is
        arithmetic, of nine microseconds."""
        value = single(fields, NODE)
        try:
            return target, safe(self._credential.check(value, method="GET", target=target, now=now))
        except CredentialRefused:
            return None

    def forwarded(self, fields: Fields) -> Fields:
        """See Tier."""
        return tuple((name, value) for name, value in fields if name.lower() in FORWARDED)
