"""The short path for players that poll: a connection is the door's until it asks for anything but steering.

What the door recognises is one plain GET of /steer/ in a strict grammar with a genuine token; its answer is polls'. The
first request that is anything else, and all that comes behind it on its connection, is aiohttp's.
"""

import asyncio
import re
import secrets
import time
from email.utils import formatdate
from typing import cast

from aiohttp import web

from control.api.polls import FIELDS
from control.steering.live import PATH, Live
from control.steering.session import SteeringTokenRefused
from kit.clock import Clock
from kit.memo import Memo
from kit.service import IDLE_S
from origin.contract.headers import REQUEST_ID

CONNECTIONS = 20_000
"""Open at the door at once; more are closed."""
MOST_BYTES = 8_000
"""Of a head."""
UNREAD_BYTES = 65_536
"""Answers that a client leaves unread; then it is let go."""
_SWEEP_S = 1.0
_LINE = re.compile(rb"GET %b([A-Za-z0-9_-]+)(?:\?([!-~]*))? HTTP/1\.1" % PATH.encode())
_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n){1,64}")
_NOT_OURS = re.compile(
    rb"(?im)^(?:content-length|transfer-encoding|expect|upgrade|trailer|te|connection|x-request-id)[ \t]*:"
)
_KEEP_ALIVE = re.compile(rb"(?im)^connection:[ \t]*keep-alive[ \t]*\r\n")
_HOST = re.compile(rb"(?im)^host:")
_FIELDS = "".join(f"{name}: {value}\r\n" for name, value in FIELDS.items())


class Doors:
    """Makes the doors of one listener, and closes those where nobody asks."""

    def __init__(self, server: web.Server, live: Live, clock: Clock, *, connections: int = CONNECTIONS) -> None:
        """Made under the running loop."""
        self._server, self._live, self._clock, self._connections = server, live, clock, connections
        self._open: set[Door] = set()
        self._blocks: Memo[bytes, bool] = Memo(1024)
        self._dated = (0, "")
        self._timer = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def __call__(self) -> "Door":
        return Door(self)

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """No door stays."""
        self._timer.cancel()
        for door in list(self._open):
            door.close()

    def enter(self, door: "Door") -> bool:
        """Whether there is room for another."""
        self._open.add(door)
        return len(self._open) <= self._connections

    def leave(self, door: "Door") -> None:
        """A connection ended or went on to aiohttp."""
        self._open.discard(door)

    def aiohttp(self) -> asyncio.Protocol:
        """Who takes what is not ours."""
        return cast(asyncio.Protocol, self._server())

    def answer(self, head: bytes) -> bytes | None:
        """The whole answer to a head (with its empty line); None where it is not ours."""
        line, _, lines = head.partition(b"\r\n")
        found = _LINE.fullmatch(line)
        if found is None or not self._plain(lines[:-2]):
            return None
        token, query = found.groups()
        try:
            body = self._live.answer(token.decode(), (query or b"").decode(), self._clock.monotonic())
        except SteeringTokenRefused:
            return None
        before = f"HTTP/1.1 200 OK\r\n{_FIELDS}Content-Length: {len(body)}\r\nDate: {self._date()}\r\n"
        return f"{before}{REQUEST_ID}: {secrets.token_hex(16)}\r\n\r\n".encode() + body

    def _plain(self, lines: bytes) -> bool:
        """Whether field lines change nothing about how a connection is read, or the answer. Most come again."""
        known = self._blocks.get(lines)
        if known is None:
            rest = _KEEP_ALIVE.sub(b"", lines)
            once = len(_HOST.findall(lines)) == 1
            known = bool(_LINES.fullmatch(lines)) and once and not _NOT_OURS.search(rest)
            self._blocks.put(lines, known)
        return known

    def _date(self) -> str:
        now = int(self._clock.wall())
        if self._dated[0] != now:
            self._dated = now, formatdate(now, usegmt=True)
        return self._dated[1]

    def _sweep(self) -> None:
        oldest = time.monotonic() - IDLE_S
        for door in [door for door in self._open if door.active < oldest]:
            door.close()
        self._timer = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)


class Door(asyncio.Protocol):
    """One connection, as long as it polls."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._transport: asyncio.Transport | None = None
        self._part = b""
        self.active = time.monotonic()
        """When it last had an answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes
        if not self._doors.enter(self):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        self._doors.leave(self)

    def data_received(self, data: bytes) -> None:
        """Answer what is ours, in order; at the first thing that is not, let aiohttp have it and all behind it."""
        data, self._part = self._part + data, b""
        while data and self._transport is not None:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4 and len(data) <= MOST_BYTES and _may_be_ours(data):
                self._part = data
                return
            answer = self._doors.answer(data[:end]) if 4 <= end <= MOST_BYTES else None
            if answer is None:
                self._hand_over(data)
                return
            self._transport.write(answer)
            self.active = time.monotonic()
            if self._transport.get_write_buffer_size() > UNREAD_BYTES:
                self._transport.abort()
                return
            data = data[end:]

    def close(self) -> None:
        """End the connection; what was written is sent."""
        if self._transport is not None:
            self._transport.close()
        self._doors.leave(self)

    def _hand_over(self, data: bytes) -> None:
        assert self._transport is not None
        transport, self._transport = self._transport, None
        self._doors.leave(self)
        theirs = self._doors.aiohttp()
        transport.set_protocol(theirs)
        theirs.connection_made(transport)
        theirs.data_received(data)


def _may_be_ours(data: bytes) -> bool:
    """Whether the beginning of a head may become one of a poll."""
    wanted = b"GET " + PATH.encode()
    return data.startswith(wanted) or wanted.startswith(data)
