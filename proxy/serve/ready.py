"""Heads of answers ready to send: made once by the code that writes every head, with places left for what changes."""

from proxy.http import cache_status
from proxy.http.fields import Fields, single, values, without
from proxy.rules.freshness import age, freshness
from proxy.rules.meta import Meta
from proxy.serve import deliver
from proxy.serve.account import hit_of
from proxy.serve.classes import class_of
from proxy.serve.wire import head

_PLACE = "\0"
"""Where a changing value goes; no field value can hold it."""


class Ready:
    """What a stored answer gives to requests with the same conditions: the head but for Age, ttl and request id, and
    the bytes `start` to `end` of the body, () for none."""

    __slots__ = (
        "_after",
        "_arrived",
        "_at_arrival",
        "_began",
        "_lifetime",
        "_places",
        "_since",
        "_until",
        "carries",
        "counted",
        "meta",
        "size",
        "span",
        "status",
    )

    def __init__(self, meta: Meta, size: int, made: deliver.Plan, places: tuple[bytes, ...]) -> None:
        self.meta, self.size, self.status, self.span = meta, size, made.status, _span(made)
        self.carries = class_of(single(made.fields, "Content-Type"))
        self.counted = hit_of(self.carries, made.status)
        self._at_arrival, self._arrived = age(meta, meta.response_time), meta.response_time
        self._lifetime = freshness(meta).lifetime
        *self._places, self._after = places
        self._since = self._until = 0.0
        self._began = b""

    def head(self, request_id: str, now: float, *, close: bool) -> bytes | None:
        """The head at `now`; None when the answer is not fresh any more (RFC 9111 4.2)."""
        if not self._since <= now < self._until and not self._begin(now):
            return None
        after = self._after[:-2] + b"Connection: close\r\n\r\n" if close else self._after
        return self._began + request_id.encode() + after

    def _begin(self, now: float) -> bool:
        """Write the part with Age and ttl, and find out from when to when it is true; False when not fresh."""
        passed = now - self._arrived
        current = self._at_arrival + passed if passed > 0 else self._at_arrival
        left = self._lifetime - current
        if left <= 0:
            return False
        before, between, behind = self._places
        self._began = b"%b%d%b%d%b" % (before, int(current), between, int(left), behind)
        self._since, self._until = now, now + min(1 - current % 1, left % 1)
        return True


def ready(name: str, meta: Meta, size: int, conditions: Fields, common: Fields) -> Ready | None:
    """What the cache `name` answers to a GET with these conditions, of a body of `size` bytes; `common` stands on every
    answer. None for what is not one run of bytes behind a head that a place can be left in."""
    member = cache_status.hit(name, 0).removesuffix("0") + _PLACE
    extra = (("Age", _PLACE), ("Cache-Status", member), ("X-Request-ID", _PLACE), *common)
    fields = without(meta.fields, (each for each, _ in extra))
    made = deliver.plan(meta.status, fields, meta.validators, size, "GET", conditions)
    if len(made.pieces) > 1 or made.after or not values(made.fields, "Date"):
        return None
    places = tuple(head(made.status, made.fields + extra, made.length, 0.0, chunked=False, close=False).split(b"\0"))
    if len(places) != 4:
        return None
    return Ready(meta, size, made, places)


def _span(made: deliver.Plan) -> tuple[int, int]:
    """The bytes of the body that are sent."""
    if not made.pieces or not made.length:
        return 0, 0
    piece = made.pieces[0]
    assert piece.end is not None
    return piece.start, piece.end
