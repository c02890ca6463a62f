"""Edges that speak TLS, and viewers that verify them."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.certificates import Authority, Files
from tests.support.nodes import Node, node
from tests.support.upstream import Call, upstream
from tests.support.wire import Answer, Viewer, viewer

DAY = "public, max-age=86400"
HUGE = os.urandom(4 * 2**20)
NAME = "edge.test"


async def _bodies(call: Call) -> None:
    body = {"/huge": HUGE, "/small": b"small", "/other": b"other"}.get(call.target, b"no-store")
    await call.answer(body, Cache_Control="no-store" if body == b"no-store" else DAY, ETag='"1"')


@contextlib.asynccontextmanager
async def secure(
    tmp_path: Path, *pairs: Files, send_buffer: int | None = 65_536, **changes: object
) -> AsyncIterator[Node]:
    """An edge that speaks TLS with `pairs`, before an upstream that has /huge, /small and /other."""
    given = [each.setting for each in pairs]
    async with (
        upstream(_bodies) as origin,
        node(tmp_path / "cache", origin.url, tls=given, send_buffer=send_buffer, **changes) as edge,  # type: ignore[arg-type]
    ):
        yield edge


@contextlib.asynccontextmanager
async def warm(tmp_path: Path, authority: Authority, pair: Files, **changes: object) -> AsyncIterator[Node]:
    """The same, its cache filled."""
    async with secure(tmp_path, pair, **changes) as edge:
        for number, target in enumerate(("/huge", "/small", "/other"), 1):
            await get(edge, authority, target)
            await edge.ended("filled", number)
        yield edge


@contextlib.asynccontextmanager
async def speaks(
    edge: Node, authority: Authority, name: str = NAME, version: ssl.TLSVersion | None = None
) -> AsyncIterator[Viewer]:
    """A viewer that verified the certificate of `name`."""
    async with viewer(edge.port, ssl=authority.client(version), server_hostname=name) as each:
        yield each


async def get(edge: Node, authority: Authority, target: str, **fields: str) -> Answer:
    """One request on a connection of its own."""
    async with speaks(edge, authority) as each:
        await each.ask(target, **fields)
        return await each.answer()


async def shown(edge: Node, authority: Authority, name: str | None) -> set[str]:
    """The names of the certificate that a viewer asking for `name` gets, whether it fits or not."""
    context = authority.client()
    context.check_hostname = False
    async with viewer(edge.port, ssl=context, server_hostname=name or "") as each:
        certificate = each.writer.get_extra_info("peercert")
        return {value for _, value in certificate["subjectAltName"]}


def handshakes(edge: Node, outcome: str) -> int:
    """How many ended so."""
    return edge.count("tls_handshakes_total", outcome)


async def narrow(edge: Node) -> socket.socket:
    """A socket whose buffer holds little."""
    each = socket.socket()
    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    each.setblocking(False)
    await asyncio.get_running_loop().sock_connect(each, ("127.0.0.1", edge.port))
    return each
