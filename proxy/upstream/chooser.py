"""Which server of the next tier is asked for a key: bounded-load rendezvous hash among those that are well."""

import sys

from kit.hashing import bound, rank, within
from kit.resilience import Breaker, Limits, State

DOWN_S = 2.0
"""A server that could not be connected to is asked last for this long."""
SILENT = 3
"""A server that let so many probes in a row go unanswered is asked last until it answers one."""
SLACK = 16
"""Requests under way that a server may always have: with few, a bound on load would only scatter keys."""
LIMITS = Limits(failures=sys.maxsize, ratio=0.5, volume=20, window_s=10.0, reset_s=2.0, probes=3)
"""A server that fails half of at least 20 requests in 10 s is left alone for 2 s. No count of failures alone does it:
at a hundred thousand requests a minute a handful fail on a good day."""
RETRIES_SAVED = 10.0
RETRY_SHARE = 0.1
"""Requests sent again: one in ten, and ten at once after a quiet time."""


class Server:
    """One server of the tier and how it does."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.load = 0
        """Requests under way: from the question to the end of the answer's body."""
        self.breaker = Breaker(LIMITS)
        self.down_until = 0.0
        self.silent = 0
        """Probes in a row that it did not answer."""

    def last(self, now: float) -> bool:
        """Whether it is asked behind all others."""
        return self.down_until > now or self.silent >= SILENT

    def well(self, now: float) -> bool:
        """Whether it is asked like any other."""
        return not self.last(now) and self.breaker.state(now) is State.CLOSED

    def __repr__(self) -> str:
        return f"<Server {self.base} load={self.load} {self.breaker!r}>"


class Chooser:
    """The servers of one tier. Handed the time; does no I/O."""

    def __init__(self, bases: tuple[str, ...]) -> None:
        if not bases:
            raise ValueError("no upstream")
        self.bases = bases
        self._servers = {base: Server(base) for base in bases}
        self._retries = RETRIES_SAVED

    @property
    def loads(self) -> dict[str, int]:
        """Requests under way at each server."""
        return {base: server.load for base, server in self._servers.items()}

    def order(self, key: str, now: float) -> list[Server]:
        """The servers that may be asked, the best for `key` first; those above the bound on load behind, then those
        that could not be connected to. Empty when all are left alone."""
        self._retries = min(RETRIES_SAVED, self._retries + RETRY_SHARE)
        if len(self.bases) == 1:
            ranked = list(self.bases)
        else:
            loads = self.loads
            ranked = list(within(rank(key, self.bases), loads, max(SLACK, bound(loads.values()))))
        well = [self._servers[base] for base in ranked if self._servers[base].breaker.state(now) is not State.OPEN]
        return sorted(well, key=lambda server: server.last(now))

    def probed(self, base: str, *, answered: bool) -> None:
        """A probe's verdict: whether a server answered at all, and not as one that is broken."""
        server = self._servers[base]
        server.silent = 0 if answered else server.silent + 1
        if answered:
            server.down_until = 0.0

    def unwell(self, now: float) -> int:
        """How many servers are asked last, or not at all."""
        return sum(not server.well(now) for server in self._servers.values())

    def may_retry(self) -> bool:
        """Whether one more request may be sent again; takes it from the budget. A tier that fails must not get its
        load twice."""
        if self._retries < 1.0:
            return False
        self._retries -= 1.0
        return True

    def begins(self, server: Server, now: float) -> "Attempt | None":
        """A request is about to be sent; None when this server may not have it (its breaker is half open and probing
        already)."""
        ticket = server.breaker.allow(now)
        if ticket is None:
            return None
        server.load += 1
        return Attempt(server, ticket)


class Attempt:
    """One request to one server. Tell how it went once, and `over` once, in any order."""

    def __init__(self, server: Server, ticket: int) -> None:
        self._server, self._ticket = server, ticket
        self._told = self._over = False

    def answered(self, now: float) -> None:
        """A head came: the server is well, whatever it says."""
        self._server.down_until = 0.0
        self._server.breaker.succeeded(self._tell(), now)

    def failed(self, now: float, *, unreachable: bool = False) -> None:
        """The server's fault; `unreachable`: no connection came about."""
        if unreachable:
            self._server.down_until = now + DOWN_S
        self._server.breaker.failed(self._tell(), now)

    def abandoned(self, now: float) -> None:
        """It ended by the viewer's doing: no verdict. A probe without a verdict proved nothing, so the server stays
        alone for a while longer."""
        ticket = self._tell()
        if self._server.breaker.state(now) is State.HALF_OPEN:
            self._server.breaker.failed(ticket, now)

    def over(self) -> None:
        """Nothing of it is under way any more."""
        if not self._over:
            self._over = True
            self._server.load -= 1

    def _tell(self) -> int:
        assert not self._told
        self._told = True
        return self._ticket
