"""Media against a play token in the path (CDN-09); every refusal looks the same, whatever exists behind it."""

import re

from origin.contract import headers, urls
from origin.contract.token import Reason, Verifier
from proxy.http import target as targets
from proxy.http.fields import Fields
from proxy.serve.exchange import Exchange
from proxy.serve.tier import Direct, Passage

CORS: Fields = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", headers.EXPOSED),
    ("Timing-Allow-Origin", "*"),
)
_PREFLIGHT: Fields = (
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", f"Range, {headers.CMCD_REQUEST}"),
    ("Access-Control-Max-Age", "86400"),
)


_SECRET = re.compile(r"(?:~|%7[eE])[^/?&]*|[A-Za-z0-9_.=%-]{100,}")
"""What may be a token: all behind its mark, however the mark was written, and runs longer than any name of ours."""


_MARK = len(urls.TOKEN_MARK)


class TokenTier:
    """Admits bearers of a genuine token for the path. See proxy.serve.tier.Tier."""

    answer_fields: Fields = CORS
    grace = True
    reasons: tuple[str, ...] = tuple(Reason)

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def logged(self, target: str) -> str:
        """See Tier. No token reaches the log, wherever a viewer put it, and no text as long as one."""
        _, rest = urls.split_token(target)
        return _SECRET.sub("~", rest) if rest.startswith("/") else "/"

    def admit(self, exchange: Exchange, now: float) -> Passage | Direct:
        """See Tier."""
        if exchange.method == "OPTIONS":
            return Direct(204, _PREFLIGHT)
        token, path = urls.split_token(exchange.path)
        targets.check_plain(path)
        grant = self._verifier.check(token, path=path, now=now)
        if exchange.method not in ("GET", "HEAD"):
            return Direct(405, (("Allow", "GET, HEAD, OPTIONS"),))
        return Passage(f"{path}?{exchange.query}" if exchange.query else path, subject=grant.token_id)

    def quick(self, target: str, fields: Fields, now: float) -> tuple[str, str] | None:
        """See Tier. The token was verified before; its times and its path are looked at each time."""
        slash = target.find("/", _MARK)
        if slash < 0 or not target.startswith(urls.TOKEN_MARK):
            return None
        rest = target[slash:]
        grant = self._verifier.recall(target[_MARK:slash], rest.partition("?")[0] if "?" in rest else rest, now)
        return None if grant is None else (rest, grant.token_id)

    def forwarded(self, fields: Fields) -> Fields:
        """See Tier."""
        return tuple((name, value) for name, value in fields if name.lower() in headers.FORWARDED)
