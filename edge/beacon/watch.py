"""A worker's part: looks at the sockets of viewers, and at what players say of themselves."""

import asyncio
import hashlib
import socket

import orjson

from edge.beacon import cmcd, cmsd
from edge.beacon.sample import Sample
from edge.beacon.trips import RoundTrips
from edge.beacon.votes import Votes, notes_of
from geo.network import client_network
from kit.tcpinfo import tcp_info
from proxy.serve.watch import Busy

TRIPS_A_NOTE = 200
VOTES_A_NOTE = 300
"""Together with the trips less than a note may have (kit.post.MOST_BYTES)."""
READ_A_SECOND = 1000
"""Reports of requests that are read between two notes, some 30 us each; of more, as many drawn by lot."""
POSTS_A_SECOND = 32
"""POSTs of events, of cmcd.MOST_LINES reports each; likewise."""
_TURN = 32
"""Reports read before the loop serves somebody else."""
_Report = tuple[str, str, str]
_Post = tuple[bytes, str, str]


class EdgeWatch:
    """See proxy.serve.watch.Watch. A report is only kept when it comes: it is read later, in small portions."""

    def __init__(self, busy: Busy, *, name: str = "edge", mbps: int = 1000, listens: bool, speaks: bool) -> None:
        """`name` and `mbps` (egress that this worker may have) are for CMSD; `listens`, `speaks`: see Watch."""
        self.listens, self.speaks = listens, speaks
        self._busy, self._name, self._kbps = busy, name, mbps * 1000
        self._trips, self._votes = RoundTrips(), Votes()
        self._reports: Sample[_Report] = Sample(READ_A_SECOND)
        self._posts: Sample[_Post] = Sample(POSTS_A_SECOND)

    def met(self, client: str, raw: socket.socket) -> None:
        """See Watch."""
        info, network = tcp_info(raw), _network(client)
        if info is not None and network is not None:
            self._trips.add(network, info.rtt_ms)

    def told(self, report: str, client: str, session: str) -> None:
        """See Watch."""
        self._reports.add((report, client, session))

    def events(self, body: bytes, client: str, session: str) -> None:
        """See Watch."""
        self._posts.add((body, client, session))

    def dynamic(self, raw: socket.socket) -> str:
        """See Watch."""
        open_now, most = self._busy()
        return cmsd.member(self._name, tcp_info(raw), open_now / most, self._kbps // max(1, open_now))

    async def digest(self) -> None:
        """See Watch."""
        reports = self._reports.take()
        for start in range(0, len(reports), _TURN):
            for report, client, session in reports[start : start + _TURN]:
                self._hear(cmcd.read(report), client, session)
            await asyncio.sleep(0)
        for body, client, session in self._posts.take():
            for said in cmcd.lines(body):
                self._hear(said, client, session)
            await asyncio.sleep(0)

    def note(self) -> bytes | None:
        """See Watch."""
        trips, votes = self._trips.take(TRIPS_A_NOTE), self._votes.take(VOTES_A_NOTE)
        if not trips and not votes:
            return None
        dropped = [self._trips.dropped, self._votes.dropped]
        self._trips.dropped = self._votes.dropped = 0
        return orjson.dumps({"trips": trips, "votes": notes_of(votes), "dropped": dropped})

    def _hear(self, said: cmcd.Said | None, client: str, session: str) -> None:
        network = _network(client)
        if said is not None and network is not None and (name := session or _name(said.session)):
            self._votes.said(name, network, said)


def _name(session: str) -> str:
    """A player's own word for its session, where no token has one: of a fixed length."""
    return hashlib.blake2b(session.encode(), digest_size=8).hexdigest() if session else ""


def _network(client: str) -> str | None:
    try:
        return client_network(client)
    except ValueError:
        return None
