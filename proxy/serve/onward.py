"""What a request looks like when it goes on to the next tier."""

from collections.abc import Iterable
from typing import ClassVar

from kit.errors import HeadraceError, Side
from proxy.http import loop
from proxy.http.fields import Fields, combined, end_to_end, without
from proxy.serve.exchange import Exchange
from proxy.serve.tier import Tier

_LOOPS = 2
"""A request that has been through caches of our name so often is in a loop (RFC 8586). Once may be a neighbour of the
same name; see Onward.came_back."""


class LoopDetected(HeadraceError):
    """The request has been here before, and will be here again."""

    kind: ClassVar[str] = "loop"
    side: ClassVar[Side] = Side.UPSTREAM
    status: ClassVar[int] = 508


class NotCached(HeadraceError):
    """The viewer wanted a stored answer or none (RFC 9111 5.2.1.7)."""

    kind: ClassVar[str] = "not_cached"
    side: ClassVar[Side] = Side.VIEWER
    status: ClassVar[int] = 504


class Onward:
    """Writes the fields of requests that go on, for one node."""

    def __init__(self, name: str, tier: Tier) -> None:
        self._name, self._tier = name, tier

    def came_back(self, exchange: Exchange) -> bool:
        """Whether the request was at a cache of our name before: it must not wait for a fill, which may be waiting for
        it. LoopDetected when it came back too often."""
        passes = loop.passes(exchange.fields, self._name)
        if passes >= _LOOPS:
            raise LoopDetected("the request went round in a loop")
        return passes > 0

    def fields(self, exchange: Exchange, *, drop: tuple[str, ...] = ()) -> Fields:
        """What the tier lets through less `drop`, with our Via (RFC 9110 7.6.3), our CDN-Loop, and the request's id. No
        tier drops what tells of loops."""
        return self.of(exchange.fields, exchange.request_id, drop)

    def of(self, given: Fields, request_id: str, drop: Iterable[str]) -> Fields:
        """The same, of a request with the fields `given`."""
        kept = self._tier.forwarded(without(end_to_end(given), drop))
        via = combined(kept, "Via")
        return (
            *without(kept, ("Via", "CDN-Loop", "X-Request-ID")),
            ("Via", f"{via}, 1.1 {self._name}" if via else f"1.1 {self._name}"),
            loop.appended(given, self._name),
            ("X-Request-ID", request_id),
        )
