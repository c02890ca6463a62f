"""Viewers on raw sockets, and what every wire script needs to wait without sleeping."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from tests.support.upstream import DEADLINE_S, read_chunked


class CutOff(Exception):
    """The answer ended before it was whole."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    version: str
    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def field(self, name: str) -> str | None:
        """A field's only value; None when absent. A field that stands twice is an error of the test's subject."""
        found = self.all(name)
        assert len(found) <= 1, f"{name} stands {len(found)} times: {found}"
        return found[0] if found else None

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    @property
    def names(self) -> list[str]:
        """The names of all fields, sorted."""
        return sorted(name.lower() for name, _ in self.fields)

    @property
    def cache(self) -> str:
        """The last member of Cache-Status: the tier nearest to the viewer."""
        return (self.field("Cache-Status") or "").rsplit(", ", 1)[-1]


class Viewer:
    """One connection of a viewer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, target: str, method: str = "GET", body: bytes | None = None, **fields: str) -> None:
        """A plain request; `If_None_Match='"a"'` becomes a field."""
        await self.send(request(target, method, body, **fields))

    async def head(self) -> Answer:
        """The next final or interim head, its body unread. CutOff when the connection ends first."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                raw = await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise CutOff(getattr(error, "partial", b"")) from None
        first, *lines = raw.decode("latin-1")[:-4].split("\r\n")
        version, status, _ = first.split(" ", 2)
        fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        return Answer(version, int(status), fields, b"")

    async def answer(self, method: str = "GET") -> Answer:
        """The next answer, whole; CutOff otherwise."""
        got = await self.head()
        while got.status < 200:
            got = await self.head()
        body = await self._body(got, method)
        return Answer(got.version, got.status, got.fields, body)

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes; CutOff otherwise."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise CutOff(getattr(error, "partial", b"")) from None

    async def rest(self) -> bytes:
        """Everything until the other side ends the stream; CutOff on a reset."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                raise CutOff(b"") from None

    def leave(self) -> None:
        """Reset the connection, as a player does that is closed."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def _body(self, got: Answer, method: str) -> bytes:
        if method == "HEAD" or got.status in (204, 304):
            return b""
        if got.field("Transfer-Encoding") == "chunked":
            async with asyncio.timeout(DEADLINE_S):
                try:
                    return await read_chunked(self.reader)
                except (asyncio.IncompleteReadError, ConnectionError) as error:
                    raise CutOff(getattr(error, "partial", b"")) from None
        length = got.field("Content-Length")
        return await self.rest() if length is None else await self.read(int(length))


def request(target: str, method: str = "GET", body: bytes | None = None, **fields: str) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", *(() if "Host" in fields else ("Host: edge.test",))]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


@contextlib.asynccontextmanager
async def viewer(port: int, **options: Any) -> AsyncIterator[Viewer]:
    """A viewer connected to loopback; gone without a trace at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20, **options)
    try:
        yield Viewer(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def get(port: int, target: str, method: str = "GET", body: bytes | None = None, **fields: str) -> Answer:
    """One request on a connection of its own, its whole answer."""
    async with viewer(port) as each:
        await each.ask(target, method, body, **fields)
        return await each.answer(method)


async def until(condition: Callable[[], object], what: str = "condition") -> None:
    """Wait for a condition of this process, at most the deadline."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"never came true: {what}") from None
