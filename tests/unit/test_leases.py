"""Who leads a flight on a node (contracts.md, "Workers of one node"): one worker at a time, known to the others."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from proxy.fill.leases import WORKERS, Leases


@pytest.fixture
def shared() -> Iterator[int]:
    """The node's file."""
    fd = os.memfd_create("leases")
    yield fd
    os.close(fd)


def test_one_leads_and_the_others_know_which(shared: int) -> None:
    one, two, last = Leases(shared, 0), Leases(shared, 7), Leases(shared, WORKERS - 1)
    assert one.take("a") is None
    assert two.take("a") == last.take("a") == 0
    assert last.take("b") is None
    assert one.take("b") == two.take("b") == WORKERS - 1
    one.give_back("a")
    assert two.take("a") is None
    assert one.take("a") == 7


def test_a_lease_taken_twice_is_given_back_twice(shared: int) -> None:
    """A flight begun after an invalidation flies beside the one of before."""
    one, two = Leases(shared, 0), Leases(shared, 1)
    assert one.take("a") is one.take("a") is None
    one.give_back("a")
    assert two.take("a") == 0
    one.give_back("a")
    assert two.take("a") is None


def test_many_flights_are_each_their_own(shared: int) -> None:
    """Neighbouring locks are not made one, whoever holds them."""
    workers = [Leases(shared, number) for number in range(4)]
    for flight in range(2000):
        assert workers[flight % 4].take(str(flight)) is None
    for flight in range(2000):
        assert workers[(flight + 1) % 4].take(str(flight)) == flight % 4
    for flight in range(0, 2000, 2):
        workers[flight % 4].give_back(str(flight))
    for flight in range(2000):
        assert workers[(flight + 1) % 4].take(str(flight)) == (None if flight % 2 == 0 else flight % 4)


def test_a_killed_worker_holds_nothing(shared: int) -> None:
    code = (
        "import sys\n"
        "from proxy.fill.leases import Leases\n"
        f"leases = Leases({shared}, 3)\n"
        "assert leases.take('a') is None\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(shared,)
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        own = Leases(shared, 0)
        assert own.take("a") == 3
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert own.take("a") is None


def test_two_files_are_two_nodes(shared: int) -> None:
    other = os.memfd_create("leases")
    assert Leases(shared, 0).node != Leases(other, 0).node
    os.close(other)


def test_a_number_that_does_not_fit_is_refused(shared: int) -> None:
    with pytest.raises(ValueError, match="below"):
        Leases(shared, WORKERS)
