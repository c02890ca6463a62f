"""Writing an answer: head as bytes, body with a deadline a piece, cut when it cannot be finished.

aiohttp's own response adds fields that a proxy must not invent (Server, Content-Type), so the head is written here,
through the request's public writer.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Protocol

from aiohttp import web
from aiohttp.web import BaseRequest

from proxy.http import dates
from proxy.http.fields import Fields, single, values
from proxy.serve.classes import class_of
from proxy.serve.exchange import Exchange

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({204, 304})
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on, no time: closing drops what is unsent and resets."""


class Sent(web.StreamResponse):
    """What the handler gives back to aiohttp: the answer is on the wire already."""

    def __init__(self, keep_alive: bool) -> None:
        super().__init__()
        self._stays = keep_alive

    async def prepare(self, request: BaseRequest) -> None:
        """Nothing is left to prepare."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open."""
        return self._stays


class Cut(ConnectionError):
    """The body could not be finished: the connection must end so that the viewer sees it."""


class Host(Protocol):
    """The connection that answers go out on."""

    def answers(self, carries: str) -> bool:
        """The head of an answer is about to be written, of content of this class; whether it must be the connection's
        last and say so (RFC 9112 9.6)."""
        ...


class Answer:
    """One answer on its way. `begin` once, `send` any number of times, `end` once; or `cut`."""

    def __init__(self, exchange: Exchange, host: Host, *, now: float, send_timeout_s: float) -> None:
        self._exchange, self._host, self._now, self._timeout_s = exchange, host, now, send_timeout_s
        self._chunked = False
        self.until_close = False
        """The end of the connection is the end of the body."""
        self._closing = not exchange.request.keep_alive

    def hint(self, status: int, fields: Fields) -> None:
        """Pass on an interim answer (RFC 9110 15.2), unless the final one has begun or the viewer speaks HTTP/1.0."""
        request = self._exchange.request
        transport = request.transport
        if self._exchange.head_sent or request.version < (1, 1) or transport is None or transport.is_closing():
            return
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}", *(f"{name}: {value}" for name, value in fields)]
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))

    async def begin(self, status: int, fields: Fields, length: int | None, *, close: bool = False) -> None:
        """Write the head. `length` None: the body's end is not known yet (chunked, or until close for HTTP/1.0)."""
        exchange = self._exchange
        bodiless = exchange.method == "HEAD" or status in _BODILESS
        self._chunked = length is None and not bodiless and exchange.request.version >= (1, 1)
        self.until_close = length is None and not bodiless and not self._chunked
        exchange.status = status
        exchange.carries = class_of(single(fields, "Content-Type"))
        self._closing |= close or self.until_close
        self._closing |= self._host.answers(exchange.carries)
        exchange.head_sent = True
        if exchange.request.version < (1, 1) and not self._closing:
            fields += (("Connection", "keep-alive"),)
        await self._write(head(status, fields, length, self._now, chunked=self._chunked, close=self._closing))

    async def send(self, piece: bytes) -> None:
        """Body bytes. TimeoutError when the viewer takes none for too long, ConnectionError when it left."""
        self._exchange.sent += len(piece)
        await self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)

    async def body(self, pieces: AsyncIterator[bytes]) -> None:
        """Send all pieces."""
        async for piece in pieces:
            await self.send(piece)

    async def end(self) -> Sent:
        """The answer is complete."""
        if self._chunked:
            await self._write(b"0\r\n\r\n")
        return Sent(not self._closing)

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(self._timeout_s):
            await self._exchange.request.writer.write(data)


def cut(request: BaseRequest, *, at_once: bool = False) -> Cut:
    """End the connection with what was written so far: a viewer must never take a part for the whole. `at_once` resets
    it: for a viewer that takes nothing, and where a clean end would mean the end of the body (RFC 9112 6.3)."""
    transport = request.transport
    if transport is not None and at_once:
        reset(transport)
    elif transport is not None:
        transport.close()
    return Cut("answer cut")


def reset(transport: asyncio.Transport) -> None:
    """End a connection at once, whatever is unsent."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def head(status: int, fields: Fields, length: int | None, now: float, *, chunked: bool, close: bool) -> bytes:
    """Status line and fields as bytes. Text of fields is Latin-1 throughout the engine, a byte a character: what is not
    ASCII arrives as it was sent."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in fields]
    if not values(fields, "Date"):
        lines.append(f"Date: {dates.render(now)}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif length is not None and status not in _BODILESS:
        lines.append(f"Content-Length: {length}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
