"""Interim answers (RFC 9110 15.2, RFC 8297): aiohttp reads past them, so they are overheard on the way to it.

A request that wants them is sent within `listening`; its response class looks over the connection's shoulder while the
head of the final answer is awaited.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, cast

import aiohttp
from aiohttp.connector import Connection

from proxy.http.fields import Fields, end_to_end, without

Listener = Callable[[int, Fields], None]
"""(status, fields) of an interim answer to be passed on."""

MOST = 16
"""Interim answers passed on for one request; an upstream that sends more is not heard out."""
_OURS = frozenset({100, 101})
"""Continue answers an expectation, which we do not pass on; Switching Protocols is final."""
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Requests begun within tell `listener` of their interim answers."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class Overhearing(aiohttp.ClientResponse):
    """A response that tells of the interim answers before it."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """See aiohttp.ClientResponse."""
        listener = _listener.get()
        if listener is None:
            return await super().start(connection)
        return await super().start(cast(Connection, _Overheard(connection, listener)))


class _Overheard:
    """A connection whose protocol is listened to; in all else the connection itself."""

    def __init__(self, connection: Connection, listener: Listener) -> None:
        self._connection = connection
        self._protocol = _OverheardProtocol(connection.protocol, listener)

    @property
    def protocol(self) -> Any:
        return self._protocol if self._connection.protocol is not None else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _OverheardProtocol:
    def __init__(self, protocol: Any, listener: Listener) -> None:
        self._wrapped, self._listener = protocol, listener
        self._heard = 0

    async def read(self) -> Any:
        message, payload = await self._wrapped.read()
        if 100 <= message.code < 200 and message.code not in _OURS and self._heard < MOST:
            self._heard += 1
            raw = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in message.raw_headers)
            self._listener(message.code, without(end_to_end(raw), ("Content-Length",)))
        return message, payload

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)
