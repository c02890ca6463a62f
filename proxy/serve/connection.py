"""aiohttp's connection with what it lacks: timers for a head that does not come and for silence, bounds on connections.

Only public parts of RequestHandler are used: the server's one handler counts what it begins and ends, and a
connection is idle when both are equal (contracts.md, 'Workers of one node').
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from aiohttp.web import BaseRequest, RequestHandler, StreamResponse

from kit.clock import Clock
from kit.metrics import Row
from proxy.serve.exchange import request_id
from proxy.serve.pacing import UNPACED, Pacing
from proxy.serve.wire import Sent, head

_NEVER_S = 1e9
"""For aiohttp's own timer: it would close a connection that only the fast lane serves. Connection has its own."""
Handler = Callable[[BaseRequest], Awaitable[StreamResponse]]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, and connections of one worker."""

    header_timeout_s: float
    idle_timeout_s: float
    send_timeout_s: float
    connections: int
    connections_per_client: int


class Entrance(Protocol):
    """Makes what a listener needs for each connection that comes."""

    def __call__(self) -> asyncio.BaseProtocol: ...
    def close(self) -> None: ...


class Server(web.Server):
    """Makes connections; keeps count of them."""

    def __init__(
        self, handler: Handler, patience: Patience, row: Row, clock: Clock, pacing: Pacing | None = None
    ) -> None:
        super().__init__(_counted(handler))
        self.patience, self.row, self.clock, self.pacing = patience, row, clock, pacing
        self.entrance: Entrance | None = None
        """What stands before the server on a TLS listener."""
        self.draining = False
        """Every answer is the last of its connection."""
        self.empty = asyncio.Event()
        self.empty.set()
        self._open: dict[str, int] = {}
        self._total = 0
        self._options: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": _NEVER_S,
            "max_line_size": 16_384,
            "max_field_size": 16_384,
            "max_headers": 100,
            "lingering_time": 0.5,
            "auto_decompress": False,
        }

    def opened(self, client: str) -> bool:
        """Count a connection that came; whether there is room for it, among all and among those of its client."""
        self._open[client] = self._open.get(client, 0) + 1
        self._total += 1
        self._told()
        bounds = self.patience
        return self._total <= bounds.connections and self._open[client] <= bounds.connections_per_client

    def closed(self, client: str) -> None:
        """Count a connection that went."""
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]
        self._total -= 1
        self._told()

    def drain(self) -> None:
        """From here on an answer says that its connection ends behind it (RFC 9112 9.6): its viewer comes back to
        another worker, and loses no request on its way to a connection that closes."""
        self.draining = True

    def pre_shutdown(self) -> None:
        """Drain: what has not asked for anything ends here."""
        self.drain()
        if self.entrance is not None:
            self.entrance.close()
        super().pre_shutdown()

    def _told(self) -> None:
        self.row.set("headrace_connections", self._total)
        if self._total:
            self.empty.clear()
        else:
            self.empty.set()

    def __call__(self) -> "Connection":
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)


class Connection(RequestHandler):
    """One viewer's connection."""

    __slots__ = (
        "_came_early",
        "_deadline",
        "_idle_timer",
        "_pace",
        "_server",
        "active",
        "begun",
        "beneath",
        "client",
        "ended",
    )

    def __init__(self, server: Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(server, loop=loop, **options)
        self._server = server
        self._deadline: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._came_early = False
        self._pace = UNPACED
        self.begun = self.ended = 0
        self.beneath: asyncio.Transport | None = None
        """The TCP transport under TLS. Its handshake took the place of this connection among all."""
        self.client = ""
        """The viewer's address."""
        self.active = 0.0
        """When a request last ended, by time.perf_counter."""

    @property
    def patience(self) -> Patience:
        """What a viewer may take."""
        return self._server.patience

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse what is over the limit at once. The kernel lets go of a viewer that takes nothing: an answer that fits
        its buffers is waited for by nobody here."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            patience_ms = int(self.patience.send_timeout_s * 1000)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)
        self.active = time.perf_counter()
        self._watch_idle(self.patience.idle_timeout_s)
        peer = transport.get_extra_info("peername")
        self.client = str(peer[0]) if isinstance(peer, tuple) else ""
        if self.beneath is None and not self._server.opened(self.client):
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timers and the place."""
        self._disarm()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._server.closed(self.client)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The first bytes of a request start the clock for its head. aiohttp calls without bytes to go on parsing."""
        super().data_received(data)
        self._came_early = self.begun != self.ended
        if not self._came_early and data:
            self._arm()

    def force_close(self) -> None:
        """Close; what was written still goes out. Under TLS a viewer that stays silent is not waited for."""
        transport = self.transport
        super().force_close()
        if self.beneath is not None and transport is not None and not transport.get_write_buffer_size():
            self.beneath.close()

    def idle(self) -> bool:
        """Whether no request is under way, and none has begun to come."""
        return self.begun == self.ended and self._deadline is None

    def close(self) -> None:
        """Drain: an idle connection closes at once, a busy one after its answer; so does one whose head has begun to
        come, whose answer says so."""
        if self.idle():
            self.force_close()
        elif self.begun != self.ended:
            super().close()

    def begins(self) -> None:
        """A head is complete and was handed to the handler."""
        self.begun += 1
        self._came_early = False
        self._disarm()

    def ends(self, stays: bool) -> None:
        """The handler is done with a request; `stays`: the connection is kept. What came meanwhile may be half of the
        next request."""
        self.ended += 1
        self.active = time.perf_counter()
        if self._came_early and self.begun == self.ended:
            self._arm()

    def answers(self, carries: str) -> bool:
        """See wire.Host."""
        if self._server.pacing is not None:
            self.pace(self._server.pacing, carries)
        return self._server.draining

    def pace(self, pacing: Pacing, carries: str) -> None:
        """An answer of this class follows: the kernel is told where the one before had another pace."""
        rate = pacing.rates[carries]
        if rate != self._pace and self.transport is not None:
            self._pace = rate
            pacing.change(self.transport, carries)

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> StreamResponse:
        """What aiohttp could not parse: a constant 400 without a word about this server, then close."""
        transport = request.transport
        if request.writer.output_size == 0 and transport is not None:
            body = b'{"error":"bad_request"}\n'
            fields = (("Content-Type", "application/json"), ("X-Request-ID", request_id(None)))
            self._server.row.add("headrace_status_total", "4xx")
            now = self._server.clock.wall()
            transport.write(head(min(status, 499), fields, len(body), now, chunked=False, close=True) + body)
        return Sent(keep_alive=False)

    def _too_slow(self) -> None:
        self._deadline = None
        if self.begun == self.ended:
            self.force_close()

    def _watch_idle(self, seconds: float) -> None:
        self._idle_timer = asyncio.get_running_loop().call_later(seconds, self._was_idle)

    def _was_idle(self) -> None:
        """One timer a connection, not one a request: it looks when the last request ended."""
        left = self.active + self.patience.idle_timeout_s - time.perf_counter()
        if not self.idle():
            self._watch_idle(self.patience.idle_timeout_s)
        elif left > 0:
            self._watch_idle(left)
        else:
            self.force_close()

    def _arm(self) -> None:
        if self._deadline is None and self.transport is not None:
            timeout = self.patience.header_timeout_s
            self._deadline = asyncio.get_running_loop().call_later(timeout, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _counted(handler: Handler) -> Handler:
    async def handle(request: BaseRequest) -> StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.begins()
        stays = False
        try:
            response = await handler(request)
            stays = bool(response.keep_alive)
            return response
        finally:
            connection.ends(stays)

    return handle
