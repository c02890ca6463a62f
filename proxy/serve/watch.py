"""What a tier may look at while its viewers are served: told of things, it changes nothing."""

import socket
from typing import Protocol


class Watch(Protocol):
    """Called in the loop of a worker; must be quick, keep within bounds and never raise."""

    def met(self, client: str, raw: socket.socket) -> None:
        """The open socket of a connection of `client`, once: when it ends, and under TLS, whose end leaves no socket to
        look at, after the handshake."""
        ...

    def note(self) -> bytes | None:
        """What was seen since the last note, for the supervisor; None when that is nothing."""
        ...
