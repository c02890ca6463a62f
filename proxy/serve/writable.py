"""Which sockets take bytes again: one epoll of the worker's own, which the loop watches as one descriptor.

A loop's add_writer and remove_writer make and unmake a handle for every wait, with six system calls; here a socket
stays registered and a wait costs one.
"""

import asyncio
import select
from collections.abc import Callable

_AT_ONCE = 16
"""Sockets looked after before the loop serves somebody else."""
_ONCE = select.EPOLLOUT | select.EPOLLONESHOT


class Writable:
    """Calls back once when a socket takes bytes; belongs to one loop. As many wait as there are connections."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._registered: set[int] = set()
        self._waiting: dict[int, Callable[[], None]] = {}

    def wait(self, fd: int, call: Callable[[], None]) -> None:
        """`call` once, from the loop, when `fd` takes bytes or its connection has failed. One wait a descriptor."""
        if fd in self._registered:
            self._epoll.modify(fd, _ONCE)
        else:
            self._epoll.register(fd, _ONCE)
            self._registered.add(fd)
        if not self._waiting:
            self._loop.add_reader(self._epoll.fileno(), self._look)
        self._waiting[fd] = call

    def cancel(self, fd: int) -> None:
        """Wait no more; nothing when nobody does."""
        if self._waiting.pop(fd, None) is not None and not self._waiting:
            self._loop.remove_reader(self._epoll.fileno())

    def forget(self, fd: int) -> None:
        """To be called before `fd` is closed: with a duplicate still open, the kernel would go on to watch."""
        self.cancel(fd)
        if fd in self._registered:
            self._registered.remove(fd)
            self._epoll.unregister(fd)

    def _look(self) -> None:
        for fd, _ in self._epoll.poll(0, _AT_ONCE):
            call = self._waiting.get(fd)
            self.cancel(fd)
            if call is not None:
                self._call(call)

    def _call(self, call: Callable[[], None]) -> None:
        """One that fails must not cost the others theirs."""
        try:
            call()
        except Exception as error:
            self._loop.call_exception_handler({"message": "a writer failed", "exception": error})
