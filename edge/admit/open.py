"""A standalone edge before an origin that does its own access control: every path and method goes on."""

from proxy.http.fields import Fields, without
from proxy.serve.exchange import Exchange
from proxy.serve.tier import Direct, Passage


class OpenTier:
    """Admits all; adds nothing. See proxy.serve.tier.Tier."""

    answer_fields: Fields = ()
    grace = True
    reasons: tuple[str, ...] = ()

    def logged(self, target: str) -> str:
        """See Tier."""
        return target

    def admit(self, exchange: Exchange, now: float) -> Passage | Direct:
        """See Tier."""
        return Passage(exchange.target)

    def quick(self, target: str, fields: Fields, now: float) -> tuple[str, str] | None:
        """See Tier."""
        return target, ""

    def forwarded(self, fields: Fields) -> Fields:
        """See Tier. A caller cannot pose as a node."""
        return without(fields, ("Headrace-Node",))
