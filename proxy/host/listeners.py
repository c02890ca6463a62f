"""The sockets that a node listens on: the supervisor's, so that they outlive the workers.

Each place of a worker has its own (SO_REUSEPORT: the kernel deals connections out). What waits in the queue of a worker
that dies, or is replaced, is served by the next one in its place; nobody is refused meanwhile.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

from kit.errors import SettingsError

BACKLOG = 4096
"""Connections of a place that may wait to be accepted."""
_NAME = "listen-"


class Listeners:
    """Listening sockets, some (one an address of the host) for each place."""

    def __init__(self, places: list[list[socket.socket]]) -> None:
        self._places = places
        self.port: int = places[0][0].getsockname()[1]
        """Where all of them listen."""

    def fds(self, place: int) -> dict[str, int]:
        """The descriptors for the worker of a place, by name."""
        return {f"{_NAME}{number}": each.fileno() for number, each in enumerate(self._places[place])}

    def close(self) -> None:
        """Accept no more, once the workers have closed theirs."""
        for place in self._places:
            for each in place:
                each.close()


@contextlib.contextmanager
def opened(host: str, port: int, places: int) -> Iterator[Listeners]:
    """Listen on every address of `host`; port 0 is one that is free. Connections wait until a worker accepts them.
    SettingsError when the address cannot be had."""
    with contextlib.ExitStack() as stack:
        try:
            made = _listening(host, port, places, stack)
        except OSError as error:
            raise SettingsError(f"`listen`: cannot listen on {host}:{port}: {_why(error)}") from None
        yield made


def given(fds: dict[str, int]) -> list[socket.socket]:
    """In a worker: the sockets among what the supervisor gave it."""
    return [socket.socket(fileno=fd) for name, fd in fds.items() if name.startswith(_NAME)]


def _listening(host: str, port: int, places: int, stack: contextlib.ExitStack) -> Listeners:
    families = _ours(host, port)
    rows: list[list[socket.socket]] = []
    for _ in range(places):
        row = []
        for family, address in families:
            listener = stack.enter_context(_socket(family))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((address, port))
            listener.listen(BACKLOG)
            port = listener.getsockname()[1]
            row.append(listener)
        rows.append(row)
    return Listeners(rows)


def _ours(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """The addresses of `host` that this machine has, each once; OSError when it has none, or one is taken."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    named = dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found)
    have: list[tuple[socket.AddressFamily, str]] = []
    missing = OSError("no address")
    for family, address in named:
        try:
            _probe(family, address, port)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):  # `localhost` without IPv6
                raise
            missing = error
        else:
            have.append((family, address))
    if not have:
        raise missing
    return have


def _probe(family: socket.AddressFamily, address: str, port: int) -> None:
    """SO_REUSEPORT would let us share the port with a stranger of the same user: try without it first."""
    with _socket(family) as probe:
        probe.bind((address, port))
        probe.listen(1)


def _socket(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error.strerror or error)
