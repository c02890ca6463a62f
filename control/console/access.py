"""Who may use the admin listener: whoever has the operators' token, or, without one, loopback alone."""

import hashlib
import hmac
import ipaddress
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from kit.errors import Refused, SettingsError

COOKIE = "headrace_console"
OPEN_PATHS = frozenset({"/health", "/ready", "/metrics", "/login", "/console.css", "/console.js"})
MIN_TOKEN = 16


class AdminRefused(Refused):
    """No operators' token, a wrong one, or a foreign Host."""

    kind = "admin_refused"


class Access:
    """Checks requests against one token; None stands for loopback without token."""

    def __init__(self, token: str | None) -> None:
        self.token = token
        self.ticket = hmac.new(token.encode(), b"console", hashlib.sha256).hexdigest() if token else ""

    @classmethod
    def from_file(cls, file: Path | None) -> "Access":
        """The token in `file`; SettingsError when it is unreadable or too short."""
        if file is None:
            return cls(None)
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise SettingsError(f"admin_token_file: {file}: {error}") from None
        if len(token) < MIN_TOKEN:
            raise SettingsError(f"admin_token_file: {file}: a token has at least {MIN_TOKEN} characters")
        return cls(token)

    def fits(self, token: str) -> bool:
        """Whether this is the operators' token."""
        return self.token is not None and hmac.compare_digest(_bytes(token), _bytes(self.token))

    def check(self, request: web.Request) -> None:
        """AdminRefused unless the request may see operators' figures."""
        if self.token is None:
            if not _loopback(_host(request)):  # a page elsewhere may have rebound its name to us
                raise AdminRefused(f"without a token only loopback is answered, not {request.host[:64]!r}")
            return
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.fits(bearer.strip()):
            return
        if not hmac.compare_digest(_bytes(request.cookies.get(COOKIE, "")), _bytes(self.ticket)):
            raise AdminRefused("no operators' token, or a wrong one")

    def middleware(self) -> Middleware:
        """Guards every path that is not open; a browser without a ticket is sent to `/login`."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path not in OPEN_PATHS:
                try:
                    self.check(request)
                except AdminRefused:
                    if request.path == "/" and self.token is not None:
                        raise web.HTTPSeeOther("/login") from None
                    raise
            return await handler(request)

        return guard


def _bytes(text: str) -> bytes:
    """Header fields may hold bytes that are no UTF-8; they are compared like all others."""
    return text.encode("utf-8", "surrogateescape")


def _host(request: web.Request) -> str:
    """The host that was asked for; empty where the Host field cannot be one."""
    try:
        return request.url.host or ""
    except ValueError:
        return ""


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
