"""Pacing: the kernel lets the answers of a connection go no faster than what its class of content may.

A segment then leaves as an even stream, not as a burst that fills a router's queue and loses packets there. The rate
is the socket's (SO_MAX_PACING_RATE, socket(7)), kept by TCP itself, so it holds for every path that bytes take to the
socket: the lane's writes, sendfile, TLS. Nothing is slowed down here.
"""

import socket
import struct
from asyncio import Transport
from collections.abc import Mapping

from kit.metrics import Family, Row
from proxy.serve.classes import CLASSES

UNPACED = 2**32 - 1
"""The kernel's word for no bound."""
_MAX_PACING_RATE = 47
"""SO_MAX_PACING_RATE; the standard library has no name for it."""
_RATE = struct.Struct("I")
METRICS = (
    Family(
        "headrace_pace_changes_total",
        "Times that a connection got another pace, by the class of the answer that wanted it",
        label="class",
        values=CLASSES,
    ),
)


class Pacing:
    """The pace of each class on one worker."""

    def __init__(self, rates: Mapping[str, int], row: Row) -> None:
        """`rates`: bits a second by class; a class without one is not paced."""
        self.rates = {each: rates[each] // 8 if each in rates else UNPACED for each in CLASSES}
        """Bytes a second, or UNPACED, for every class."""
        self._row = row

    def change(self, transport: Transport, carries: str) -> None:
        """From here on `transport` sends at the pace of this class. One that has gone is let be."""
        raw = transport.get_extra_info("socket")
        try:
            raw.setsockopt(socket.SOL_SOCKET, _MAX_PACING_RATE, _RATE.pack(self.rates[carries]))
        except OSError:
            return
        self._row.add("headrace_pace_changes_total", carries)
