"""One request and its answer, from recognition to accounting."""

import re
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp.web import BaseRequest

from kit.errors import BadRequest
from proxy.http import target as targets
from proxy.http.fields import Fields, single
from proxy.serve.rendering import Rendering

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Handling(StrEnum):
    """How an answer came about; one word in metric, log and Cache-Status detail."""

    HIT = "hit"
    STALE = "stale"
    PARTIAL = "partial"
    REVALIDATED = "revalidated"
    MISS = "miss"
    COLLAPSED = "collapsed"
    PASS = "pass"
    DIRECT = "direct"
    REFUSED = "refused"
    ERROR = "error"


@dataclass(slots=True)
class Exchange:
    """What was asked, and what became of it. `seconds` run from `began`, a monotonic time."""

    request: BaseRequest
    method: str
    target: str
    fields: Fields
    remote: str
    request_id: str
    began: float = field(default_factory=time.perf_counter)
    path: str = ""
    query: str = ""
    logged_target: str = ""
    """The target without what must not be logged (a token)."""
    subject: str = ""
    """Whose token it was: the token's id, never the token."""
    handling: Handling = Handling.ERROR
    reason: str = ""
    """Why it was refused or failed."""
    status: int = 0
    sent: int = 0
    """Body bytes handed to the connection."""
    carries: str = "other"
    """The class of the answer's content (classes)."""
    head_sent: bool = False
    render: Rendering | None = None
    """Makes this viewer's answer from the stored one (tier.Passage)."""


def recognise(request: BaseRequest) -> Exchange:
    """The exchange of a request that aiohttp has parsed; its target is not looked at yet."""
    fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
    return Exchange(
        request=request,
        method=request.method,
        target=request.raw_path,
        fields=fields,
        remote=request.remote or "",
        request_id=request_id(single(fields, "X-Request-ID")),
    )


def check_target(exchange: Exchange) -> None:
    """Split the target; BadRequest unless it is in origin form and the request of HTTP/1. A lone `?` goes: the tier
    behind would not see it."""
    if exchange.request.version < (1, 0):
        raise BadRequest("HTTP/0.9 is not served")
    exchange.path, exchange.query = targets.check(exchange.target)
    if not exchange.query:
        exchange.target = exchange.path


def request_id(stated: str | None) -> str:
    """The caller's id when it is 1-64 of `[A-Za-z0-9._-]`, else a new one (T-035)."""
    return stated if stated and valid_id(stated) else secrets.token_hex(8)


def valid_id(stated: str) -> bool:
    """Whether a caller's id is taken over (T-035)."""
    return _REQUEST_ID.fullmatch(stated) is not None
