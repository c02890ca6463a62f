"""An origin that counts what it is asked and holds its answers back until told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Origin:
    """Gives every GET the same body; `open` lets answers go. `asked` counts requests."""

    def __init__(self, body: bytes) -> None:
        self.asked = 0
        self.open = asyncio.Event()
        self.url = ""
        self._answer = (
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nCache-Control: max-age=1000\r\n\r\n".encode() + body
        )
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection until its end."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                await self.open.wait()
                writer.write(self._answer)
                await writer.drain()
        self._connections.discard(task)
        writer.close()

    async def close(self) -> None:
        """End all connections."""
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


@contextlib.asynccontextmanager
async def origin(body: bytes) -> AsyncIterator[Origin]:
    """A running origin on a free port of the loopback."""
    playing = Origin(body)
    server = await asyncio.start_server(playing.serve, "127.0.0.1", 0)
    playing.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield playing
    finally:
        server.close()
        await playing.close()
        await server.wait_closed()
