"""aiohttp's connection with the timers that it lacks: a head that does not come, too many connections.

Only public parts of RequestHandler are used: the server's one handler counts what it begins and ends, and a
connection is idle when both are equal (contracts.md, 'Workers of one node').
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.web import BaseRequest, RequestHandler, StreamResponse

from kit.clock import Clock
from kit.metrics import Row
from proxy.serve.exchange import request_id
from proxy.serve.wire import Sent, head

Handler = Callable[[BaseRequest], Awaitable[StreamResponse]]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, and connections of one worker."""

    header_timeout_s: float
    idle_timeout_s: float
    send_timeout_s: float
    connections: int


class Server(web.Server):
    """Makes connections; keeps count of them."""

    def __init__(self, handler: Handler, patience: Patience, row: Row, clock: Clock) -> None:
        super().__init__(_counted(handler))
        self.patience, self.row, self.clock = patience, row, clock
        self.empty = asyncio.Event()
        self.empty.set()
        self._open = 0
        self._options: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": patience.idle_timeout_s,
            "max_line_size": 16_384,
            "max_field_size": 16_384,
            "max_headers": 100,
            "lingering_time": 0.5,
            "auto_decompress": False,
        }

    def opened(self, count: int) -> int:
        """Count a connection that came (1) or went (-1); how many are open now."""
        self._open += count
        self.row.set("headrace_connections", self._open)
        if self._open:
            self.empty.clear()
        else:
            self.empty.set()
        return self._open

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)


class Connection(RequestHandler):
    """One viewer's connection."""

    __slots__ = ("_came_early", "_deadline", "_server", "begun", "ended")

    def __init__(self, server: Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(server, loop=loop, **options)
        self._server = server
        self._deadline: asyncio.TimerHandle | None = None
        self._came_early = False
        self.begun = self.ended = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse what is over the limit at once. The kernel lets go of a viewer that takes nothing: an answer that fits
        its buffers is waited for by nobody here."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            patience_ms = int(self._server.patience.send_timeout_s * 1000)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)
        if self._server.opened(1) > self._server.patience.connections:
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timer and the place."""
        self._disarm()
        self._server.opened(-1)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The first bytes of a request start the clock for its head."""
        super().data_received(data)
        self._came_early = self.begun != self.ended
        if not self._came_early:
            self._arm()

    def begins(self) -> None:
        """A head is complete and was handed to the handler."""
        self.begun += 1
        self._came_early = False
        self._disarm()

    def ends(self) -> None:
        """The handler is done with a request. What came meanwhile may be half of the next one."""
        self.ended += 1
        if self._came_early and self.begun == self.ended:
            self._arm()

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

    def _arm(self) -> None:
        if self._deadline is None and self.transport is not None:
            timeout = self._server.patience.header_timeout_s
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
        try:
            return await handler(request)
        finally:
            connection.ends()

    return handle
