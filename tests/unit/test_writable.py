"""One epoll for a worker's full sockets: who waits is called once, whatever happens to the others (issue 4, part 2)."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

from proxy.serve.writable import Writable
from proxy.store.descriptors import Seen
from tests.support.wire import until


@contextlib.contextmanager
def full() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket that takes nothing more, and the one that can change that."""
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while one.send(bytes(65_536)):
                pass
        yield one, other


def drained(each: socket.socket) -> None:
    """Read what came."""
    each.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while each.recv(2**20):
            pass


async def test_each_waiter_is_called_once_a_wait() -> None:
    writable, calls = Writable(), list[str]()
    with full() as (one, its), full() as (two, _):
        writable.wait(one.fileno(), lambda: calls.append("one"))
        writable.wait(two.fileno(), lambda: calls.append("two"))
        drained(its)
        await until(lambda: calls == ["one"], "the first is called")
        writable.wait(one.fileno(), lambda: calls.append("again"))
        await until(lambda: calls == ["one", "again"], "a new wait is a new call, no more of the old")
        writable.forget(one.fileno())
        writable.forget(two.fileno())


async def test_who_cancelled_is_not_called_and_may_wait_again() -> None:
    writable, calls = Writable(), list[str]()
    with full() as (one, its), full() as (two, other):
        writable.wait(one.fileno(), lambda: calls.append("cancelled"))
        writable.wait(two.fileno(), lambda: calls.append("two"))
        writable.cancel(one.fileno())
        drained(its)
        drained(other)
        await until(lambda: calls == ["two"], "only the one that waits")
        writable.wait(one.fileno(), lambda: calls.append("one"))
        await until(lambda: calls == ["two", "one"], "a wait after a cancelled one")


async def test_a_forgotten_socket_is_not_watched_while_a_duplicate_lives() -> None:
    writable, calls = Writable(), list[str]()
    with full() as (one, its), full() as (two, other):
        copy = os.dup(one.fileno())
        writable.wait(copy, lambda: calls.append("forgotten"))
        writable.forget(copy)
        os.close(copy)
        with socket.socket(fileno=os.dup(two.fileno())) as taken:  # the lowest free number: the one just closed
            assert taken.fileno() == copy
            writable.wait(taken.fileno(), lambda: calls.append("taken"))
            drained(its)
            drained(other)
            await until(lambda: calls == ["taken"], "the number belongs to its new owner")
            writable.forget(taken.fileno())


async def test_one_that_fails_costs_the_others_nothing() -> None:
    writable, calls, errors = Writable(), list[str](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, told: errors.append(told["exception"]))
    with full() as (one, its), full() as (two, other):
        drained(its)
        drained(other)
        writable.wait(one.fileno(), lambda: calls.append(str(1 // len(calls))))
        writable.wait(two.fileno(), lambda: calls.append("two"))
        await until(lambda: calls == ["two"], "the second is called")
    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_what_was_seen_covers_what_lies_within_and_is_not_older() -> None:
    seen = Seen(10, 20, when=5.0)
    assert seen.covers(10, 20, since=5.0)
    assert seen.covers(12, 15, since=4.0)
    assert not seen.covers(9, 20, since=5.0)
    assert not seen.covers(10, 21, since=5.0)
    assert not seen.covers(10, 20, since=5.1)
