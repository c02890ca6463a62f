"""How the admin API says no. Unlike viewers, operators are told why."""

import math

from kit.errors import Conflict, HeadraceError, Overloaded, Side, Unprocessable


class NoCredential(HeadraceError):
    """No bearer token, or one that is unknown, wrong or past its end (RFC 9110 15.5.2)."""

    kind = "no_credential"
    side = Side.VIEWER
    status = 401


class TokenExpired(NoCredential):
    """The token was good until its end."""

    kind = "token_expired"


class Forbidden(HeadraceError):
    """A good credential whose role or areas do not reach so far."""

    kind = "forbidden"
    side = Side.VIEWER
    status = 403


class TooMany(HeadraceError):
    """More calls than the rate allows (RAT-11). `after_s`: when the next one fits."""

    kind = "too_many_requests"
    side = Side.VIEWER
    retry = True
    status = 429

    def __init__(self, after_s: float) -> None:
        self.after_s = max(1, math.ceil(after_s))
        super().__init__(f"too many requests; the next fits in {self.after_s} s")


class TooManyAtOnce(TooMany):
    """As many as may be are under way, or wait: the caller has to let them end. Its own fault, so no 5xx."""

    kind = "too_many_at_once"

    def __init__(self, why: str, after_s: float) -> None:
        super().__init__(after_s)
        self.args = (why,)


class KeyReused(Unprocessable):
    """The idempotency key belongs to another request (IDM-02)."""

    kind = "idempotency_key_reused"


class InProgress(Conflict):
    """The request with this idempotency key is still under way (IDM-03)."""

    kind = "request_in_progress"


class StoreAway(Overloaded):
    """Redis, or the state directory, cannot be asked now."""

    kind = "admin_store_away"


class AuditFull(Overloaded):
    """Nothing that cannot be put on record is done."""

    kind = "audit_full"
