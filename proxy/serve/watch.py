"""What a tier may look at while its viewers are served: told of things, it changes nothing."""

import socket
from collections.abc import Callable
from typing import Protocol

DYNAMIC = "CMSD-Dynamic"
Busy = Callable[[], tuple[int, int]]
"""(connections that a worker has open, how many it may have)."""


class Watch(Protocol):
    """Called in the loop of a worker; must be quick, keep within bounds and never raise."""

    listens: bool
    """Whether players' reports are wanted: `told` and `events`."""

    speaks: bool
    """Whether every answer says how its connection is: `dynamic`."""

    def met(self, client: str, raw: socket.socket) -> None:
        """The open socket of a connection of `client`, once: when it ends, and under TLS, whose end leaves no socket to
        look at, after the handshake."""
        ...

    def told(self, report: str, client: str, session: str) -> None:
        """A player's report came with a request of `client` that was answered (rules.key.report). `session` is the
        subject of its Passage."""
        ...

    def events(self, body: bytes, client: str, session: str) -> None:
        """Reports that a player sent by themselves, as its tier let it: see Intake."""
        ...

    def dynamic(self, raw: socket.socket) -> str:
        """What an answer on this open socket says of it: the value of CMSD-Dynamic (CTA-5006)."""
        ...

    async def digest(self) -> None:
        """Work through what was told, in portions that hold up nobody; called before every note."""
        ...

    def note(self) -> bytes | None:
        """What was seen since the last note, for the supervisor; None when that is nothing (more)."""
        ...
