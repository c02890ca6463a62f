"""Who may operate origin over HTTP: whoever holds the bearer token of the token file."""

import hashlib
import hmac
from pathlib import Path
from typing import ClassVar

from aiohttp import web

from kit.errors import Refused, SettingsError

MIN_CHARS = 16


class OperatorRefused(Refused):
    """No bearer token, or not the right one."""

    kind: ClassVar[str] = "operator_refused"


class Operators:
    """Checks requests against one token; compares digests, in constant time and whatever the lengths."""

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode()).digest()

    @classmethod
    def load(cls, file: Path) -> "Operators":
        """From the token file; SettingsError when it is unreadable or its token too short to be one."""
        try:
            token = file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"{file}: the operator token cannot be read: {error}") from None
        if len(token) < MIN_CHARS:
            raise SettingsError(f"{file}: an operator token has at least {MIN_CHARS} characters")
        return cls(token)

    def check(self, request: web.Request) -> None:
        """OperatorRefused unless the request bears the token (RFC 6750 2.1)."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given, self._digest):
            raise OperatorRefused("no valid operator token")
