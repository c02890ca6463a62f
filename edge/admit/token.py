"""Media against a play token in the path (CDN-09); every refusal looks the same, whatever exists behind it."""

import hmac
import re
from functools import partial

from edge.render.masters import Masters, Session, is_master
from origin.contract import headers, pathways, urls
from origin.contract.token import Grant, Reason, TokenRefused, Verifier
from proxy.http import target as targets
from proxy.http.fields import Fields
from proxy.serve.exchange import Exchange
from proxy.serve.tier import Direct, Intake, Passage

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
_EVENTS_PREFLIGHT: Fields = (
    ("Access-Control-Allow-Methods", "OPTIONS, POST"),
    ("Access-Control-Allow-Headers", "Content-Type"),
    ("Access-Control-Max-Age", "86400"),
)
_MOST_EVENTS = 32 * 1024
"""Bytes of one POST of events."""


_SECRET = re.compile(r"(?:~|%7[eE])[^/?&]*|[A-Za-z0-9_.=%-]{100,}")
"""What may be a token: all behind its mark, however the mark was written, and runs longer than any name of ours."""


_MARK = len(urls.TOKEN_MARK)


class TokenTier:
    """Admits bearers of a genuine token for the path. See proxy.serve.tier.Tier."""

    answer_fields: Fields = CORS
    grace = True
    reasons: tuple[str, ...] = tuple(Reason)

    def __init__(self, verifier: Verifier, *, events: bool = False) -> None:
        """`events`: players may POST what they see (CTA-5004-B) to `urls.EVENTS`."""
        self._verifier, self._masters, self._events = verifier, Masters(), events

    def logged(self, target: str) -> str:
        """See Tier. No token reaches the log, wherever a viewer put it, and no text as long as one."""
        _, rest = urls.split_token(target)
        return _SECRET.sub("~", rest) if rest.startswith("/") else "/"

    def admit(self, exchange: Exchange, now: float) -> Passage | Direct | Intake:
        """See Tier."""
        token, path = urls.split_token(exchange.path)
        if exchange.method == "OPTIONS":
            return Direct(204, _EVENTS_PREFLIGHT if path == urls.EVENTS else _PREFLIGHT)
        targets.check_plain(path)
        if path == urls.EVENTS and self._events:
            return self._take_events(exchange.method, token, now)
        grant = self._verifier.check(token, path=path, now=now)
        if exchange.method not in ("GET", "HEAD"):
            return Direct(405, (("Allow", "GET, HEAD, OPTIONS"),))
        if is_master(path):
            return self._master(token or "", path, exchange.query, grant)
        return Passage(f"{path}?{exchange.query}" if exchange.query else path, subject=grant.token_id)

    def _take_events(self, method: str, token: str | None, now: float) -> Direct | Intake:
        """Only a session that origin began has a voice."""
        grant = self._verifier.session(token, now=now)
        if method != "POST":
            return Direct(405, (("Allow", "OPTIONS, POST"),))
        return Intake(grant.token_id, _MOST_EVENTS)

    def _master(self, token: str, path: str, query: str, grant: Grant) -> Passage:
        """The session's own form of a master. Pathways that the token does not vouch for would send the player, and its
        token, to wherever somebody likes."""
        value, query = pathways.split(query)
        ways = None
        if value is not None:
            if grant.pathways is None or not hmac.compare_digest(pathways.digest(value), grant.pathways):
                raise TokenRefused(Reason.PATHWAYS)
            try:
                ways = pathways.decode(value)
            except ValueError:
                raise TokenRefused(Reason.PATHWAYS) from None
        render = None
        if ways is not None or grant.cap_kbps is not None:
            render = partial(self._masters.render, session=Session(token, path, grant.cap_kbps, ways))
        return Passage(f"{path}?{query}" if query else path, subject=grant.token_id, render=render)

    def quick(self, target: str, fields: Fields, now: float) -> tuple[str, str] | None:
        """See Tier. The token was verified before; its times and its path are looked at each time. A master may be
        another for each session."""
        slash = target.find("/", _MARK)
        if slash < 0 or not target.startswith(urls.TOKEN_MARK):
            return None
        rest = target[slash:]
        path = rest.partition("?")[0] if "?" in rest else rest
        grant = self._verifier.recall(target[_MARK:slash], path, now)
        return None if grant is None or is_master(path) else (rest, grant.token_id)

    def forwarded(self, fields: Fields) -> Fields:
        """See Tier."""
        return tuple((name, value) for name, value in fields if name.lower() in headers.FORWARDED)
