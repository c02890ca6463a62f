"""A scripted upstream on a raw socket: what it says, byte by byte, is the test's to decide.

A script gets one Call a request. It may wait on barriers of the test, so that a scenario's order is fixed without
sleeping. Connections stay open between calls unless the script ends them.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Script = Callable[["Call"], Awaitable[None]]
DEADLINE_S = 5.0


@dataclass
class Call:
    """One request as the upstream got it, and the way to answer it."""

    number: int
    """Counts the upstream's requests from 0."""
    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes
    reader: asyncio.StreamReader = field(repr=False)
    writer: asyncio.StreamWriter = field(repr=False)
    over: bool = False

    def field(self, name: str) -> str | None:
        """A field's value; None when absent."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)

    async def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"", status: int = 200, **fields: str) -> None:
        """A whole answer with its length; `Cache_Control="no-store"` becomes a field."""
        await self.send(head(status, length=len(body), **fields) + (b"" if self.method == "HEAD" else body))

    def end(self) -> None:
        """Close in good order: the other side sees the end of the stream."""
        self.over = True
        self.writer.close()

    def die(self) -> None:
        """Reset the connection."""
        self.over = True
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def head(status: int = 200, *, length: int | None = None, **fields: str) -> bytes:
    """Status line and fields; without `length` no Content-Length."""
    lines = [f"HTTP/1.1 {status} Scripted"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Upstream:
    """Listens on a free loopback port and plays `script`, which may be changed while it runs."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls: list[Call] = []
        self.failures: list[BaseException] = []
        self.open = 0
        self.port = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    async def called(self, count: int) -> Call:
        """Wait until there were `count` requests; the last of them."""
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.calls) >= count)
        return self.calls[count - 1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        try:
            while call := await self._next(reader, writer):
                await self.script(call)
                if call.over:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except BaseException as error:  # a fault of the script must not pass for a dead upstream
            self.failures.append(error)
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call | None:
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = raw.decode("latin-1")[:-4].split("\r\n")
        method, target, _ = first.split(" ")
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        call = Call(len(self.calls), method, target, fields, b"", reader, writer)
        call.body = await _body(call)
        async with self._changed:
            call.number = len(self.calls)
            self.calls.append(call)
            self._changed.notify_all()
        return call

    async def close(self) -> None:
        """End every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _body(call: Call) -> bytes:
    if call.field("Transfer-Encoding") == "chunked":
        return await read_chunked(call.reader)
    return await call.reader.readexactly(int(call.field("Content-Length") or 0))


async def read_chunked(reader: asyncio.StreamReader) -> bytes:
    """A chunked body to its end; IncompleteReadError when it is cut."""
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


@contextlib.asynccontextmanager
async def upstream(script: Script) -> AsyncIterator[Upstream]:
    """A running upstream. A script that failed fails the test."""
    playing = Upstream(script)
    server = await asyncio.start_server(playing.serve, "127.0.0.1", 0)
    playing.port = server.sockets[0].getsockname()[1]
    try:
        yield playing
    finally:
        server.close()
        await playing.close()
        await server.wait_closed()
    assert not playing.failures, playing.failures


def says(body: bytes = b"", status: int = 200, **fields: str) -> Script:
    """A script that gives every call the same answer."""

    async def script(call: Call) -> None:
        await call.answer(body, status, **fields)

    return script


def in_turn(*scripts: Script) -> Script:
    """The first call gets the first script, and so on; the last one stays."""

    async def script(call: Call) -> None:
        await scripts[min(call.number, len(scripts) - 1)](call)

    return script
