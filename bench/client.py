"""Bare clients: GET requests with known answers, as little work a request as Python allows."""

import asyncio
import contextlib
import hashlib
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import cast

from kit.errors import UpstreamFailed

_AT_ONCE = 100
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from when each request was due until its last byte, in order of size."""

    seconds: "array[float]"

    def percentile(self, share: float) -> float:
        """The value that this part of the requests does not exceed."""
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


class Getter(asyncio.Protocol):
    """One connection that asks and waits for the whole answer; keeps head's status and the digest of the body."""

    def __init__(self) -> None:
        self._head = b""
        self._left = -1
        self._hash = hashlib.sha256()
        self._done: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes

    async def get(self, target: str) -> bytes:
        """The SHA-256 of the answer's body. UpstreamFailed when it is no 200 or is cut."""
        assert self._transport is not None
        self._head, self._left, self._hash = b"", -1, hashlib.sha256()
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        return await self._done

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._left < 0:
            self._head += data
            head, end, data = self._head.partition(_END)
            if not end:
                return
            self._left = _length(head)
            if self._left < 0:
                self._fail(f"not the answer that was wanted: {head[:100]!r}")
                return
        self._hash.update(data)
        self._left -= len(data)
        if self._left <= 0 and self._done and not self._done.done():
            self._done.set_result(self._hash.digest())

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._fail("the connection ended")

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.abort()

    def _fail(self, why: str) -> None:
        if self._done and not self._done.done():
            self._done.set_exception(UpstreamFailed(why))


@contextlib.asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Getter]]:
    """So many connections to a node on the loopback, a hundred at a time; closed on leaving."""
    loop = asyncio.get_running_loop()
    getters: list[Getter] = []
    try:
        while len(getters) < count:
            some = min(_AT_ONCE, count - len(getters))
            made = await asyncio.gather(*(loop.create_connection(Getter, "127.0.0.1", port) for _ in range(some)))
            getters += [getter for _, getter in made]
        yield getters
    finally:
        for getter in getters:
            getter.close()
        await asyncio.sleep(0)  # the loop closes in its next turn; a node must not wait for us to drain


async def at_rate(
    getters: Sequence[Getter], targets: Sequence[str], a_second: float
) -> "tuple[Latencies, list[bytes]]":
    """Ask for `targets` at a steady rate, whether earlier answers came or not: what waits for a free connection has its
    wait counted (no coordinated omission). The number of connections bounds what is under way. The answers'
    digests come with it."""
    free: asyncio.LifoQueue[Getter] = asyncio.LifoQueue()
    for getter in getters:
        free.put_nowait(getter)
    seconds = array("d", bytes(8 * len(targets)))
    digests = [b""] * len(targets)
    began = time.perf_counter() + 0.01

    async def one(number: int, getter: Getter) -> None:
        digests[number] = await getter.get(targets[number])
        seconds[number] = time.perf_counter() - began - number / a_second
        free.put_nowait(getter)

    async with asyncio.TaskGroup() as tasks:
        for number in range(len(targets)):
            await asyncio.sleep(max(0.0, began + number / a_second - time.perf_counter()))
            tasks.create_task(one(number, await free.get()))
    return Latencies(array("d", sorted(seconds))), digests


def _length(head: bytes) -> int:
    """The body's length, -1 unless it is a 200 that says it."""
    first, *lines = head.lower().split(b"\r\n")
    if first.split(b" ")[1:2] != [b"200"]:
        return -1
    found = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
    return found[0] if found else -1
