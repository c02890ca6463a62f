"""Edges that speak TLS, and viewers that verify them."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from tests.support.certificates import Authority, Files
from tests.support.nodes import Node, node
from tests.support.sizes import bodies, fill
from tests.support.upstream import upstream
from tests.support.wire import Answer, Viewer, viewer

NAME = "edge.test"


@contextlib.asynccontextmanager
async def secure(
    tmp_path: Path, *pairs: Files, send_buffer: int | None = 65_536, **changes: object
) -> AsyncIterator[Node]:
    """An edge that speaks TLS with `pairs`, before an upstream that has /huge, /small and /other."""
    given = [each.setting for each in pairs]
    async with (
        upstream(bodies) as origin,
        node(tmp_path / "cache", origin.url, tls=given, send_buffer=send_buffer, **changes) as edge,  # type: ignore[arg-type]
    ):
        yield edge


@contextlib.asynccontextmanager
async def warm(tmp_path: Path, authority: Authority, pair: Files, **changes: object) -> AsyncIterator[Node]:
    """The same, its cache filled."""
    async with secure(tmp_path, pair, **changes) as edge:
        await fill(edge, partial(get, edge, authority))
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
