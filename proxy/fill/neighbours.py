"""The workers of one node tell one another what they are bringing in, so that the node asks upstream once.

Whoever leads a flight (leases) answers the others over a Unix socket: the outcome as soon as it is known, then how far
the body has come; a body in a file is read there, one in memory is sent along. The end of the connection without the
end of the flight means that the leader is lost. A message is a line of JSON, `data` bytes follow one that announces
them.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from kit.errors import UpstreamFailed
from kit.tasks import Owner
from proxy.fill.flight import Flight, Going, NotShared, Outcome, Revalidated, Shared, StaleOnError
from proxy.fill.leases import Leases
from proxy.rules.meta import Meta
from proxy.store import format as file_format
from proxy.store.bodies import Body, FileBody, GrowingBody
from proxy.store.descriptors import Lease
from proxy.store.sparse import SparseBody
from proxy.upstream import failures

_MOST = 4_096
"""Flights that this worker tells neighbours of at a time; one more is told to ask by itself."""
_LINE = 1 << 20
_CREDENTIALS = struct.Struct("3i")
_ASK_S = 5.0

Find = Callable[[str, int], Flight | None]
"""(flight, epoch) -> the flight of that name that this worker leads since that epoch."""


class Gone(Exception):
    """The neighbour knows no such flight, or was lost before it told of it: look again."""


class Alone(Exception):
    """What the neighbour got is not for us: ask upstream ourselves."""


@dataclass(frozen=True, slots=True)
class Growing:
    """A neighbour's answer for all who wait; see Neighbours.follow."""

    meta: Meta
    body: GrowingBody
    status: int
    cache_status: str | None
    wire: "_Wire"


@dataclass(frozen=True, slots=True)
class Fresh:
    """What was stored is fresh again, with this metadata."""

    meta: Meta


@dataclass(frozen=True, slots=True)
class Stale:
    """Upstream failed; what was stored may serve."""

    error: str


@dataclass(frozen=True, slots=True)
class Sliced:
    """The object is in the store; its slices come as they are asked for."""


Told = Growing | Fresh | Stale | Sliced


class Neighbours:
    """One worker's side of it, from `start` to `close`."""

    def __init__(self, leases: Leases, led: Callable[[], int], patience_s: float, silence_s: float) -> None:
        """`led`: how many flights the others have led to their end, each counted before its lease is given back. How
        long another may leave us without a word: `patience_s` before a head, `silence_s` in a body, which is more than
        its upstream may leave it."""
        self.leases, self.led = leases, led
        self._patience_s, self._silence_s = patience_s, silence_s
        self._find: Find = lambda _flight, _epoch: None
        self._server: asyncio.Server | None = None
        self._owner = Owner("neighbours")

    async def start(self, find: Find) -> None:
        """Tell neighbours of the flights that `find` finds."""
        self._find = find
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listening.bind(self._address(self.leases.number))
        self._server = await asyncio.start_unix_server(self._accept, sock=listening, backlog=4096, limit=_LINE)

    async def close(self) -> None:
        """Leave the neighbours alone: who follows us asks by itself."""
        if self._server:
            self._server.close()
        await self._owner.close()
        self.leases.close()

    async def ask(self, leader: int, flight: Flight) -> Told:
        """What `leader` says of a flight, once its head is known. Gone, Alone, or the UpstreamFailed that it got."""
        wire, told = None, None
        try:
            async with asyncio.timeout(self._patience_s):
                wire = await self._connect(leader)
                wire.say(flight=flight.question.flight, epoch=flight.epoch)
                told = _understood(await wire.hear(), wire)
        except TimeoutError:
            raise Alone from None
        except (OSError, EOFError, ValueError):
            raise Gone from None
        finally:
            if wire and not isinstance(told, Growing):
                wire.close()
        return told

    async def follow(self, told: Growing) -> None:
        """Let the readers of a body have what the leader has, to its end. UpstreamFailed, theirs too, when that will
        not come."""
        body, wire = told.body, told.wire
        why = "the fill was given up"
        try:
            while not body.whole:
                async with asyncio.timeout(self._silence_s):
                    await _hear_of(body, wire)
        except TimeoutError:
            why = "the worker that brought it in fell silent"
            raise UpstreamFailed(why) from None
        except (OSError, EOFError, ValueError):
            why = "the worker that brought it in is gone"
            raise UpstreamFailed(why) from None
        except UpstreamFailed as error:
            why = str(error)
            raise
        finally:
            wire.close()
            if not body.whole:
                body.failed(why)

    async def _connect(self, leader: int) -> "_Wire":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(self._address(leader))
            if not _ours(sock):
                raise Gone
            return _Wire(*await asyncio.open_unix_connection(sock=sock, limit=_LINE))
        except BaseException:
            sock.close()
            raise

    def _address(self, number: int) -> bytes:
        """In Linux's abstract namespace: no file to leave behind."""
        return f"\0headrace-{self.leases.node}-{number}".encode()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = _Wire(reader, writer)
        if len(self._owner) >= _MOST or not _ours(writer.get_extra_info("socket")):
            wire.close()
            return
        self._owner.spawn("tell", self._tell(wire))

    async def _tell(self, wire: "_Wire") -> None:
        """Answer one question, whole; a neighbour that left, or asks what we do not understand, is let go."""
        with contextlib.suppress(OSError, EOFError, ValueError, KeyError, TimeoutError):
            try:
                async with asyncio.timeout(_ASK_S):
                    asked = await wire.hear()
                flight = self._find(asked["flight"], asked["epoch"])
                if flight is None:
                    wire.say(kind="gone")
                else:
                    await self._tell_of(flight, wire)
                await wire.flush()
            finally:
                wire.close()

    async def _tell_of(self, flight: Flight, wire: "_Wire") -> None:
        try:
            outcome = await asyncio.shield(flight.outcome)
        except Going:
            wire.say(kind="gone")
            return
        except UpstreamFailed as error:
            wire.say(kind="failed", error=failures.encode(error))
            return
        wire.say(**_told(outcome))
        if isinstance(outcome, Shared) and not isinstance(outcome.body, SparseBody):
            await _follow_body(outcome.body, wire)


def _told(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Shared(_, SparseBody()):
            return {"kind": "sliced"}
        case Shared(meta, body, _, status, cache_status):
            place = body.place if isinstance(body, GrowingBody | FileBody) else None
            return {
                "kind": "shared",
                "meta": file_format.encode(meta).decode(),
                "status": status,
                "cache_status": cache_status,
                "length": body.length,
                "place": [os.getpid(), *place] if place else None,
            }
        case Revalidated(stored):
            return {"kind": "revalidated", "meta": file_format.encode(stored.meta).decode()}
        case StaleOnError(_, error):
            return {"kind": "stale", "error": error}
        case NotShared():
            return {"kind": "alone"}


async def _follow_body(body: Body, wire: "_Wire") -> None:
    """Tell how far it has come, until its end or its failure."""
    try:
        if isinstance(body, GrowingBody) and body.place:
            async for ready in body.progress():
                wire.say(ready=ready)
                await wire.flush()
        elif isinstance(body, FileBody):
            wire.say(ready=body.length)
        else:
            async for piece in body.pieces(0, None):
                wire.say(data=len(piece))
                wire.send(piece)
                await wire.flush()
    except UpstreamFailed as error:
        wire.say(failed=str(error))
    else:
        wire.say(ended=True)


async def _hear_of(body: GrowingBody, wire: "_Wire") -> None:
    message = await wire.hear()
    if "ready" in message:
        body.reached(message["ready"])
    elif "data" in message:
        body.grown(await wire.receive(message["data"]))
    elif "ended" in message:
        body.ended()
    else:
        raise UpstreamFailed(str(message.get("failed", "unknown")))


def _understood(message: dict[str, Any], wire: "_Wire") -> Told:
    match message["kind"]:
        case "gone":
            raise Gone
        case "alone":
            raise Alone
        case "failed":
            raise failures.decode(message["error"])
        case "shared":
            meta, body = file_format.decode(message["meta"]), _body(message["length"], message["place"])
            return Growing(meta, body, message["status"], message["cache_status"], wire)
        case "sliced":
            return Sliced()
        case "revalidated":
            return Fresh(file_format.decode(message["meta"]))
        case _:
            return Stale(str(message["error"]))


def _body(length: int | None, place: list[int] | None) -> GrowingBody:
    """A body to be followed; its file is the leader's, by way of its open descriptor: the name may have changed."""
    if place is None:
        return GrowingBody(length)
    pid, fd, offset = place
    return GrowingBody(length, lease=Lease(os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)), offset=offset)


def _ours(sock: Any) -> bool:
    """Whether the other end is a process of our own user: an abstract address has no permissions."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(credentials)[1] == os.geteuid())


class _Wire:
    """Messages over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, **message: Any) -> None:
        self._writer.write(orjson.dumps(message) + b"\n")

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def flush(self) -> None:
        await self._writer.drain()

    async def hear(self) -> dict[str, Any]:
        """EOFError at the end, ValueError for what is no message."""
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        message = orjson.loads(line)
        if not isinstance(message, dict):
            raise ValueError("not a message")
        return message

    async def receive(self, size: int) -> bytes:
        return await self._reader.readexactly(size)

    def close(self) -> None:
        self._writer.close()
