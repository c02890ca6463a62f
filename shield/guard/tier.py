"""Admission at a shield: whoever finds it gets nothing without a node credential (contracts.md)."""

from collections.abc import Callable

from control.contract.credential import Credential, CredentialRefused
from control.contract.generation import FIELD, Generations, behind
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

    def __init__(
        self,
        credential: Credential,
        revoked: Callable[[str], bool] = lambda _: False,
        purges: Generations | None = None,
    ) -> None:
        """`revoked`: whether a node's name was revoked; asked for each request. `purges`: how far this shield is with
        them; None where it follows no orders."""
        self._credential, self._revoked, self._purges = credential, revoked, purges

    def logged(self, target: str) -> str:
        """See Tier."""
        return target

    def admit(self, exchange: Exchange, now: float) -> Passage | Direct:
        """See Tier."""
        exchange.reason = _REASON
        value = single(exchange.fields, NODE)
        if value is not None and not value.isascii():
            value = None
        name = self._check(value, exchange.method, exchange.target, now)
        exchange.reason = ""
        targets.check_plain(exchange.path)
        if exchange.method not in ("GET", "HEAD"):
            return Direct(405, (("Allow", "GET, HEAD"),))
        return Passage(exchange.target, subject=name, since=self._missed(exchange.fields))

    def quick(self, target: str, fields: Fields, now: float) -> tuple[str, str] | None:
        """See Tier. Each request has a signature of its own, which is checked as `admit` does, every time: that is
        arithmetic, of nine microseconds."""
        value = single(fields, NODE)
        if self._missed(fields):
            return None
        try:
            return target, safe(self._check(value, "GET", target, now))
        except CredentialRefused:
            return None

    def _check(self, value: str | None, method: str, target: str, now: float) -> str:
        name = self._credential.check(value, method=method, target=target, now=now)
        if self._revoked(name):
            raise CredentialRefused(f"{name!r} was revoked")
        return name

    def _missed(self, fields: Fields) -> str:
        """The purge that who asks has heard of and this shield may not have done; "" when there is none."""
        if self._purges is None:
            return ""
        heard = single(fields, FIELD)
        return heard[:64] if heard and behind(self._purges.done, heard) else ""

    def forwarded(self, fields: Fields) -> Fields:
        """See Tier."""
        return tuple((name, value) for name, value in fields if name.lower() in FORWARDED)
