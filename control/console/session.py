"""A browser's session: opened with a token, held in a cookie, over when the token is.

The cookie names the token's id and an end, signed with a key that all control processes derive from the fleet key.
The token itself is not in the browser. Forms carry a second signature (`form_token`), so that no other site's page can
send one; the cookie is SameSite=Strict besides.
"""

import hashlib
import hmac

from control.admin.access import Access
from control.admin.errors import NoCredential
from control.admin.roles import Principal
from kit.clock import Clock

COOKIE = "headrace_console"
LASTS_S = 12 * 3600


class Sessions:
    """Opens and checks sessions. `key` is secret."""

    def __init__(self, key: bytes, access: Access, clock: Clock) -> None:
        self._key, self._access, self._clock = key, access, clock

    def open(self, principal: Principal) -> str:
        """The cookie of a new session."""
        head = f"{principal.id}.{int(self._clock.wall()) + LASTS_S}"
        return f"{head}.{self._mac('session', head, self._access.digest(principal.id))}"

    async def who(self, cookie: str) -> Principal:
        """Whose session this is. NoCredential when it is none, or it or its token is over."""
        head, _, mac = cookie.rpartition(".")
        principal_id, _, end = head.partition(".")
        expected = self._mac("session", head, self._access.digest(principal_id))
        if not hmac.compare_digest(mac.encode("utf-8", "surrogateescape"), expected.encode()):
            raise NoCredential("no session")
        if self._clock.wall() >= int(end):
            raise NoCredential("the session is over")
        return await self._access.known(principal_id)

    def form_token(self, cookie: str) -> str:
        """What a form of this session's pages carries."""
        return self._mac("form", cookie)

    def fits(self, cookie: str, form_token: str) -> bool:
        """Whether the form came from a page of this session."""
        given = form_token.encode("utf-8", "surrogateescape")
        return bool(cookie) and hmac.compare_digest(given, self.form_token(cookie).encode())

    def _mac(self, *parts: str) -> str:
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()
