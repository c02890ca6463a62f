"""A connection with the fast lane in front of aiohttp: who gets which bytes, in order.

The lane looks at a request only while aiohttp is idle, and aiohttp gets one request at a time, byte for byte. What
cannot be told apart (a body, an odd field, a torn head that stays odd) makes the rest of the connection aiohttp's.
"""

import asyncio
import os
import time
from enum import Enum, auto
from typing import Any

from kit.clock import Clock
from kit.metrics import Row
from proxy.serve.connection import Connection, Handler, Patience, Server
from proxy.serve.encrypted import EncryptedOutbox
from proxy.serve.heads import MOST_BYTES, sound
from proxy.serve.lane import Lane, Reply
from proxy.serve.outbox import Outbox
from proxy.serve.pacing import Pacing
from proxy.serve.wire import reset
from proxy.serve.writable import Writable
from proxy.store.bodies import FileBody, MemoryBody

_LEFT = "viewer left"
_TURN = 32
"""Pipelined requests answered before the loop serves somebody else."""
_EARLY_BYTES = 65_536
"""So much may come before its turn; then the viewer is not read until it is."""
_JOINED = 16_384
"""A body up to this is copied behind its head: cheaper than two buffers."""


class Turn(Enum):
    """Whose the next bytes are."""

    LANE = auto()
    """Nobody is busy."""
    ANSWERING = auto()
    """An answer of the lane is under way, or others have their turn: bytes wait."""
    ASKED = auto()
    """aiohttp has exactly one request without body: bytes wait."""
    PART = auto()
    """aiohttp has a part of a head."""
    AIOHTTP = auto()
    """All is aiohttp's."""


_LANES = Turn.LANE
"""Looked up once: a member of an enum costs 0.08 us."""


class FastServer(Server):
    """Makes connections that have the lane."""

    def __init__(
        self, lane: Lane, handler: Handler, patience: Patience, row: Row, clock: Clock, pacing: Pacing | None = None
    ) -> None:
        """Made, as its connections are, under the running loop."""
        super().__init__(handler, patience, row, clock, pacing)
        self._lane, self._writable = lane, Writable()

    def drain(self) -> None:
        """See Server."""
        super().drain()
        self._lane.drain()

    def __call__(self) -> "FastConnection":
        loop = asyncio.get_running_loop()
        kind = FastConnection if self.pacing is None else PacedConnection
        return kind(self, self._lane, self._writable, loop=loop, **self._options)


class FastConnection(Connection):
    """One viewer's connection."""

    __slots__ = (
        "_began",
        "_early",
        "_fd",
        "_flushed",
        "_held",
        "_lane",
        "_leaving",
        "_outbox",
        "_part",
        "_reply",
        "_turn",
        "_writable",
    )

    def __init__(
        self, server: Server, lane: Lane, writable: Writable, *, loop: asyncio.AbstractEventLoop, **options: Any
    ) -> None:
        super().__init__(server, loop=loop, **options)
        self._lane, self._writable = lane, writable
        self._turn = Turn.AIOHTTP
        self._fd = -1
        self._early = self._part = b""
        self._flushed = True
        self._held = self._leaving = False
        self._outbox: Outbox | EncryptedOutbox | None = None
        self._reply: Reply | None = None
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The lane writes to the socket itself, but never under TLS: nothing may pass it by."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is None or not self.client or self.transport is None:
            return
        self._turn = Turn.LANE
        if transport.get_extra_info("ssl_object") is None:
            self._fd = raw.fileno()
        else:
            self.transport.set_write_buffer_limits(high=1, low=0)

    def connection_lost(self, exc: BaseException | None) -> None:
        """What is under way ends here."""
        self._turn = Turn.AIOHTTP
        self._early = b""
        if self._outbox is not None:
            if self._reply is not None:
                self._account(self._reply, self._outbox.sent, _LEFT)
            self._outbox.close()
            self._outbox = self._reply = None
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # aiohttp never keeps the other half open
        """A viewer that says no more still gets its answer."""
        if self._turn is Turn.ANSWERING and self._reply is not None and self._fd >= 0:
            self._leaving = True
            return True
        super().eof_received()
        return None

    def data_received(self, data: bytes) -> None:
        """The lane's, to be kept, or aiohttp's. aiohttp itself calls with no bytes to make its parser go on."""
        turn = self._turn
        if turn is _LANES and data:
            self._take(data)
        elif turn is Turn.AIOHTTP or not data:
            super().data_received(data)
        elif turn is Turn.PART:
            self._add(data)
        else:
            self._keep(data)

    def resume_writing(self) -> None:
        """TLS takes more."""
        super().resume_writing()
        if isinstance(self._outbox, EncryptedOutbox):
            self._outbox.resume()

    def close(self) -> None:
        """Drain: what is under way is finished first. aiohttp closes behind its answer: the lane begins none there."""
        self._leaving = True
        if self._reply is None:
            super().close()

    def ends(self, stays: bool) -> None:
        """aiohttp is done with a request; what came meanwhile has its turn."""
        super().ends(stays)
        if self._turn is not Turn.ASKED:
            return
        if stays and self.transport is not None and not self._leaving:
            self._flushed = False
            self._turn = Turn.ANSWERING
            self._go_on()
        else:
            self._turn = Turn.AIOHTTP

    def idle(self) -> bool:
        """Whether no request is under way, and none waits for its turn."""
        return self._reply is None and not self._early and super().idle()

    def _take(self, data: bytes) -> None:
        """Answer what the lane can, in order; pass on what it cannot."""
        lane = self._lane
        for _ in range(_TURN):
            self._began = time.perf_counter()
            head = lane.heads.read(data)
            if head is None:
                self._pass_on(data)
                return
            target, block, size = head
            reply = lane.reply(target, block) if target and (self._flushed or self._is_flushed()) else None
            if reply is None:
                self._ask_or_pass_on(data, size)
                return
            rest = data[size:]
            if not self._send(reply):
                self._early = rest
                return
            if not rest:
                return
            data = rest
        self._early = data
        self._turn = Turn.ANSWERING
        self._go_on()

    def _is_flushed(self) -> bool:
        """Whether nothing of aiohttp's, or under TLS of anybody's, is still to be sent."""
        self._flushed = self.transport is not None and not self.transport.get_write_buffer_size()
        return self._flushed

    def _ask_or_pass_on(self, data: bytes, size: int) -> None:
        """What begins with a head of `size` bytes, if its first line is in the grammar as well."""
        if sound(data):
            self._early = data[size:]
            self._ask(data[:size])
        else:
            self._pass_on(data)

    def _ask(self, head: bytes) -> None:
        """aiohttp gets exactly one request."""
        self._turn = Turn.ASKED
        super().data_received(head)

    def _pass_on(self, data: bytes) -> None:
        """What is no whole, plain head: the beginning of one, or nothing that the lane understands."""
        if b"\r\n\r\n" in data or len(data) > MOST_BYTES:
            self._turn = Turn.AIOHTTP
        else:
            self._turn, self._part = Turn.PART, data
        super().data_received(data)

    def _add(self, data: bytes) -> None:
        """More of a torn head. Once it is whole and plain, the lane may have the request behind it."""
        known = len(self._part)
        self._part += data
        head = self._lane.heads.read(self._part)
        if head is not None and sound(self._part):
            size = head[2] - known
            self._early, self._part = data[size:], b""
            self._ask(data[:size])
        elif b"\r\n\r\n" in self._part or len(self._part) > MOST_BYTES:
            self._turn, self._part = Turn.AIOHTTP, b""
            super().data_received(data)
        else:
            super().data_received(data)

    def _keep(self, data: bytes) -> None:
        """Bytes that came before their turn."""
        self._early += data
        if len(self._early) > _EARLY_BYTES and not self._held and self.transport is not None:
            self._held = True
            self.transport.pause_reading()

    def _go_on(self) -> None:
        """Turn to what was kept, in a later turn of the loop."""
        if self._early:
            asyncio.get_running_loop().call_soon(self._resume)
        else:
            self._turn = Turn.LANE

    def _resume(self) -> None:
        if self._turn is not Turn.ANSWERING or self.transport is None:
            return
        if self._held:
            self._held = False
            self.transport.resume_reading()
        data, self._early = self._early, b""
        self._turn = Turn.LANE
        self._take(data)

    def _send(self, reply: Reply) -> bool:
        """Send at once what the socket takes. False when the rest is on its way, or the connection ends."""
        body, (start, end) = reply.body, reply.ready.span
        if type(body) is MemoryBody:
            data = body.data
        elif start == end:
            data = b""
        else:
            return self._send_file(reply, body, start, end)
        head = reply.head
        if self._fd < 0:
            return self._encrypt(reply, head + data[start:end])
        try:
            if end - start <= _JOINED:
                sent = os.write(self._fd, head + (data if end - start == len(data) else data[start:end]))
            else:
                sent = os.writev(self._fd, (head, memoryview(data)[start:end]))
        except BlockingIOError:
            sent = 0
        except OSError:
            self._account(reply, 0, _LEFT)
            return self._leave()
        size = len(head)
        if sent == size + end - start:
            return self._sent(reply, sent)
        rest = memoryview(data)[start + max(0, sent - size) : end]
        outbox = self._begin(reply)
        assert isinstance(outbox, Outbox)
        outbox.send(rest if sent >= size else head[sent:] + rest, sent)
        return self._turn is Turn.LANE

    def _send_file(self, reply: Reply, file: FileBody, start: int, end: int) -> bool:
        """`_send` for a part of a file."""
        outbox, head = self._outbox, reply.head
        if type(outbox) is Outbox and (sent := outbox.at_once(head, file, start, end)):
            if sent == len(head) + end - start:
                return self._sent(reply, sent)
            self._begin(reply)
            outbox.send_file(head, file, start, end, sent)
        else:
            self._begin(reply).send_file(head, file, start, end)
        return self._turn is Turn.LANE

    def _sent(self, reply: Reply, sent: int) -> bool:
        """All was sent in one go; whether the connection stays."""
        self._account(reply, sent, "")
        return self._leave() if reply.close else True

    def _encrypt(self, reply: Reply, data: bytes) -> bool:
        """Give all to TLS, which keeps what the socket does not take. The kernel lets go of who takes nothing."""
        if self.transport is None or self.transport.is_closing():
            self._account(reply, 0, _LEFT)
            return self._leave()
        self.transport.write(data)
        self._flushed = False
        self._account(reply, len(data), "")
        return self._leave() if reply.close else True

    def _begin(self, reply: Reply) -> Outbox | EncryptedOutbox:
        """An answer that may take a while."""
        if self._outbox is None:
            patience_s = self.patience.send_timeout_s
            if self._fd >= 0:
                self._outbox = Outbox(self._fd, self._writable, patience_s, self._ended)
            else:
                assert self.transport is not None
                self._outbox = EncryptedOutbox(self.transport, patience_s, self._ended)
        self._flushed = self._fd >= 0
        self._reply, self._turn = reply, Turn.ANSWERING
        return self._outbox

    def _ended(self, sent: int, error: OSError | None) -> None:
        """All was sent, or never will be: a viewer must see that it has only a part."""
        reply, self._reply = self._reply, None
        assert reply is not None
        if error is None:
            self._account(reply, sent, "")
            if reply.close or self._leaving:
                self._leave()
            else:
                self._go_on()
            return
        if isinstance(error, TimeoutError):
            reason = "viewer too slow"
            if self.transport is not None:
                reset(self.transport)
        elif isinstance(error, ConnectionError):
            reason = _LEFT
        else:
            reason = self._lane.disk_failed(reply, error)
        self._account(reply, sent, reason)
        self._leave()

    def _leave(self) -> bool:
        """Close the connection; nothing that came meanwhile is answered."""
        self._turn, self._early = Turn.AIOHTTP, b""
        self.force_close()
        return False

    def _account(self, reply: Reply, sent: int, reason: str) -> None:
        self.active = now = time.perf_counter()
        body = sent - len(reply.head)
        self._lane.account.fast(reply, self.client, body if body > 0 else 0, reason, now - self._began)


class PacedConnection(FastConnection):
    """One whose answers have a pace each: where none is set, the lane does not even ask."""

    __slots__ = ()

    def _send(self, reply: Reply) -> bool:
        if self._server.pacing is not None:
            self.pace(self._server.pacing, reply.ready.carries)
        return super()._send(reply)
