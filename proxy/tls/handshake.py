"""What a TLS listener makes first of a connection: the handshake, bounded and counted; then the server's connection.

uvloop can do handshakes by itself (create_server with a context), but tells nobody of those that fail, and counts no
connection before they end. Here half a handshake has a place among the connections of its client from the first packet.
"""

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Iterator
from typing import Any, cast

from kit.metrics import Family, Row
from kit.tasks import Owner
from proxy.serve.connection import Server
from proxy.tls.certificates import Certificates

METRICS = (
    Family(
        "headrace_tls_handshakes_total",
        "TLS handshakes by outcome: done, failed (no TLS, or none that we speak), late, left, refused (no room)",
        label="outcome",
        values=("done", "failed", "late", "left", "refused"),
    ),
    Family(
        "headrace_tls_connections_total",
        "Connections whose handshake was done, by version",
        label="version",
        values=("TLSv1.2", "TLSv1.3"),
    ),
)


class Handshakes:
    """The entrance of a server on a TLS listener: makes the protocols, ends those under way at a drain."""

    def __init__(self, server: Server, certificates: Certificates, row: Row) -> None:
        self.server, self.certificates, self.row = server, certificates, row
        self.owner = Owner("handshakes")
        self.under_way: set[asyncio.Transport] = set()

    def __call__(self) -> "Handshake":
        return Handshake(self)

    def close(self) -> None:
        """End the handshakes under way: nobody has asked for anything yet."""
        for transport in self.under_way:
            transport.abort()


class Handshake(asyncio.Protocol):
    """One connection until TLS stands."""

    def __init__(self, entrance: Handshakes) -> None:
        self._entrance = entrance
        self._transport: asyncio.Transport | None = None
        self._early = b""

    def connection_made(self, made: asyncio.BaseTransport) -> None:
        """Take a place, begin."""
        transport = cast(asyncio.Transport, made)
        server = self._entrance.server
        peer = transport.get_extra_info("peername")
        client = str(peer[0]) if isinstance(peer, tuple) else ""
        if server.opened(client):
            self._transport = transport
            self._entrance.under_way.add(transport)
            self._entrance.owner.spawn("handshake", self._run(transport, client))
            asyncio.get_running_loop().call_soon(self._begun)
        else:
            server.closed(client)
            self._count("refused")
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """What came in the turn of the loop before TLS took over the transport."""
        self._early += data

    def _begun(self) -> None:
        """TLS has the transport, paused; it begins in the next turn, and reads there after what came early."""
        if self._early:
            asyncio.get_running_loop().call_soon(self._feed)

    def _feed(self) -> None:
        protocol: Any = self._transport.get_protocol() if self._transport is not None else self
        while self._early and protocol is not self:  # uvloop's, an asyncio.BufferedProtocol in all but name
            buffer = memoryview(protocol.get_buffer(len(self._early)))
            size = min(len(buffer), len(self._early))
            buffer[:size] = self._early[:size]
            self._early = self._early[size:]
            protocol.buffer_updated(size)

    async def _run(self, transport: asyncio.Transport, client: str) -> None:
        handed_over = False
        try:
            outcome, encrypted = await self._encrypt(transport)
            self._count(outcome)
            if encrypted is not None:
                self._hand_over(transport, encrypted)
                handed_over = True
        finally:
            self._entrance.under_way.discard(transport)
            if not handed_over:
                transport.abort()
                self._entrance.server.closed(client)

    async def _encrypt(self, transport: asyncio.Transport) -> tuple[str, asyncio.Transport | None]:
        """How the handshake came out, and the transport that it gave."""
        patience = self._entrance.server.patience
        if transport.is_closing():
            return "left", None
        try:
            async with asyncio.timeout(patience.header_timeout_s):
                encrypted = await asyncio.get_running_loop().start_tls(
                    transport,
                    self,
                    self._entrance.certificates.context,
                    server_side=True,
                    ssl_handshake_timeout=patience.header_timeout_s + 1,
                    ssl_shutdown_timeout=patience.send_timeout_s,
                )
        except TimeoutError:
            return "late", None
        except ssl.SSLError:
            return "failed", None
        except OSError:
            return "left", None
        if encrypted is None or transport.is_closing():
            return "left", None
        return "done", encrypted

    def _hand_over(self, transport: asyncio.Transport, encrypted: asyncio.Transport) -> None:
        """The server's connection has the place from here on. The loop reads on only after this turn, so nothing that
        the viewer sent is lost."""
        version = encrypted.get_extra_info("ssl_object").version()
        self._entrance.row.add("headrace_tls_connections_total", version)
        connection = self._entrance.server()
        connection.beneath = transport
        encrypted.set_protocol(connection)
        connection.connection_made(encrypted)
        if connection.client and self._entrance.server.watch is not None:
            self._entrance.server.watch.met(connection.client, transport.get_extra_info("socket"))

    def _count(self, outcome: str) -> None:
        self._entrance.row.add("headrace_tls_handshakes_total", outcome)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep one thing out of the error output: the ssl module writes a traceback for every server name that is not
    ASCII, which any stranger can send. The handshake fails, and is counted."""
    before = sys.unraisablehook

    def hook(what: Any) -> None:
        if not (isinstance(what.exc_value, UnicodeDecodeError) and isinstance(what.object, bytes)):
            before(what)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
