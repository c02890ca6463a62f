"""Round trips as an edge sums them: CTL-03, D-15."""

import socket

import orjson
import pytest

from edge.beacon.gathered import Gathered
from edge.beacon.trips import RoundTrips
from kit.tcpinfo import tcp_info
from tests.support.watch import edge_watch


def test_an_average_that_forgets_and_a_count() -> None:
    trips = RoundTrips()
    for ms in (100.0, 0.0, 0.0):
        trips.add("192.0.2.0/24", ms)
    assert trips.take(9) == [("192.0.2.0/24", pytest.approx(49.0), 3)]
    assert len(trips) == 0


def test_many_samples_at_once_weigh_as_one_after_the_other() -> None:
    one, other = RoundTrips(), RoundTrips()
    one.add("n", 100.0)
    other.add("n", 100.0)
    for _ in range(4):
        one.add("n", 20.0)
    other.extend([("n", 20.0, 4)])
    assert one.take(1) == other.take(1)


def test_memory_is_bounded_and_what_was_seen_most_goes_first() -> None:
    trips = RoundTrips(most=3)
    for name in "abbcccd":
        trips.add(name, 1.0)
    assert [name for name, _, _ in trips.take(2)] == ["c", "b"]
    assert (len(trips), trips.dropped) == (1, 1)


def _pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        viewer = socket.create_connection(listener.getsockname())
        return viewer, listener.accept()[0]


def test_the_kernel_tells_the_round_trip() -> None:
    viewer, ours = _pair()
    with viewer, ours:
        ours.sendall(b"x")
        viewer.recv(1)
        info = tcp_info(ours)
        assert info is not None
        assert 0 < info.least_rtt_ms <= 1000 and 0 < info.rtt_ms <= 1000
    assert tcp_info(ours) is None, "closed"


def test_a_socket_that_is_not_tcp_has_no_round_trip() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert tcp_info(one) is None


def test_from_connections_to_observations() -> None:
    """Two workers, one supervisor: 64 networks a message at most, those seen most first."""
    gathered = Gathered()
    viewer, ours = _pair()
    with viewer, ours:
        for worker in range(2):
            watch = edge_watch()
            for number in range(70):
                watch.met(f"10.0.{number}.1", ours)
            watch.met("::ffff:10.0.69.2", ours)
            watch.met("", ours)
            note = watch.note()
            assert note is not None and watch.note() is None
            gathered.take(note)
            assert gathered.health() == {"networks": 70, "sessions": 0, "dropped": 0}, worker
    first = gathered.observations()
    assert first is not None and len(first.round_trips) == 64
    assert first.round_trips[0].network == "10.0.69.0/24"
    assert first.round_trips[0].count == 4
    assert len(first.encode()) < 16 * 1024
    second = gathered.observations()
    assert second is not None and len(second.round_trips) == 6
    assert gathered.observations() is None


def test_what_a_worker_dropped_is_known() -> None:
    gathered = Gathered()
    gathered.take(orjson.dumps({"trips": [["10.0.0.0/24", 1e9, 2]], "votes": [], "dropped": [5, 2]}))
    assert gathered.health() == {"networks": 1, "sessions": 0, "dropped": 7}
    seen = gathered.observations()
    assert seen is not None and seen.round_trips[0].ms == 60_000
