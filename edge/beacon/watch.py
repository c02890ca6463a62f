"""A worker's part: looks at the sockets of viewers."""

import socket

import orjson

from edge.beacon.trips import RoundTrips
from geo.network import client_network
from kit.tcpinfo import tcp_info

TRIPS_A_NOTE = 256


class EdgeWatch:
    """See proxy.serve.watch.Watch."""

    def __init__(self) -> None:
        self._trips = RoundTrips()

    def met(self, client: str, raw: socket.socket) -> None:
        """See Watch."""
        info = tcp_info(raw)
        if info is None:
            return
        try:
            network = client_network(client)
        except ValueError:
            return
        self._trips.add(network, info.rtt_ms)

    def note(self) -> bytes | None:
        """See Watch."""
        trips, dropped = self._trips.take(TRIPS_A_NOTE), self._trips.dropped
        self._trips.dropped = 0
        return orjson.dumps({"trips": trips, "dropped": dropped}) if trips else None
