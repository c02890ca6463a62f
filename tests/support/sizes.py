"""Bodies for a file, for memory and for nobody to keep, and viewers that take them slowly."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from tests.support.nodes import Node
from tests.support.upstream import Call

DAY = "public, max-age=86400"
HUGE = os.urandom(8 * 2**20)
KEPT = {"/huge": HUGE, "/small": b"small", "/other": b"other"}


async def bodies(call: Call) -> None:
    """A script: what is not among KEPT may not be stored."""
    body = KEPT.get(call.target, b"no-store")
    await call.answer(body, Cache_Control=DAY if call.target in KEPT else "no-store", ETag='"1"')


async def fill(edge: Node, get: Callable[[str], Awaitable[object]]) -> None:
    """Bring in all of KEPT."""
    for number, target in enumerate(KEPT, 1):
        await get(target)
        await edge.ended("filled", number)


async def narrow(edge: Node) -> socket.socket:
    """A socket whose buffer holds little."""
    each = socket.socket()
    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    each.setblocking(False)
    await asyncio.get_running_loop().sock_connect(each, ("127.0.0.1", edge.port))
    return each
