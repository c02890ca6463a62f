"""A supervisor and its worker processes.

Workers are born in a nursery, get one JSON document over a socket pair and descriptors by their names, say `ready`,
die with the supervisor, are started again when they die, and drain on SIGTERM. A worker holds a place (what it listens
on) and a number that no other living worker has: while one is being replaced, two have the same place.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from kit import kin, log
from kit.kin import Child
from kit.nursery import Nursery
from kit.tasks import Owner

_RESTART_FIRST_S = 0.1
_RESTART_MOST_S = 5.0
_CHANNEL = "channel"
_SPARE = 4

Payload = Callable[[int, int], dict[str, Any]]
"""(place, number) -> what the worker is told."""


def most_numbers(count: int) -> int:
    """How many numbers `count` workers may have, and so how many live at a time at most: those that drain after they
    were replaced are few."""
    return count + min(count, _SPARE)


@dataclass(eq=False)
class Worker:
    """One worker as its supervisor sees it; started again, it stays the same."""

    place: int
    number: int
    payload: dict[str, Any]
    process: Child | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """It was ready once, or ended without having been."""
    restarts: int = 0
    """How often one died in its place."""
    leaving: bool = False
    """It was told to end."""


class Supervisor:
    """Keeps a worker in each of `count` places."""

    def __init__(
        self,
        nursery: Nursery,
        count: int,
        payload: Payload,
        *,
        share: Callable[[int], Mapping[str, int]] = lambda _place: {},
        ended: Callable[[int], None] = lambda _number: None,
    ) -> None:
        """`share`: the descriptors for the worker of a place, by name; `ended` hears the number of a worker whose
        process is no more. The nursery is closed with the supervisor."""
        self.workers = [Worker(place, place, payload(place, place)) for place in range(count)]
        self._nursery, self._share, self._ended = nursery, share, ended
        self._numbers: asyncio.Queue[int] = asyncio.Queue()
        for number in range(count, most_numbers(count)):
            self._numbers.put_nowait(number)
        self._alive: set[Worker] = set()
        self._owner = Owner("workers")
        self._stopping = False

    async def start(self, timeout_s: float = 30.0) -> None:
        """Start all and wait until each is ready; TimeoutError or ChildProcessError otherwise."""
        for worker in self.workers:
            self._begin(worker)
        async with asyncio.timeout(timeout_s):
            for worker in self.workers:
                await worker.settled.wait()
                if not worker.ready.is_set():
                    raise ChildProcessError(f"worker {worker.number} ended before it served")

    async def replace(self, payload: Payload, drain_s: float, timeout_s: float = 30.0) -> None:
        """Put a new worker, told `payload`, into each place, one after the other: it is ready before the old one gets
        SIGTERM and `drain_s` to finish. ChildProcessError where a new one does not serve within `timeout_s`; that place
        and those after it keep the old ones."""
        for place in range(len(self.workers)):
            number = await self._numbers.get()
            new = Worker(place, number, payload(place, number))
            await self._tried(new, timeout_s)
            old, self.workers[place] = self.workers[place], new
            new.restarts = old.restarts
            self._owner.spawn(f"retire-{old.number}", self._retire(old, drain_s))

    async def stop(self, drain_s: float) -> None:
        """SIGTERM to all, `drain_s` to finish, then SIGKILL."""
        self._stopping = True
        await asyncio.gather(*(self._retire(worker, drain_s) for worker in self._alive))
        await self._owner.close()
        self._nursery.close()

    @property
    def alive(self) -> int:
        """How many places have a worker that is ready now."""
        return sum(worker.ready.is_set() for worker in self.workers)

    def pids(self) -> list[int]:
        """The workers that live, those that drain included."""
        processes = [worker.process for worker in self._alive if worker.process]
        return [process.pid for process in processes if process.returncode is None]

    def _begin(self, worker: Worker) -> None:
        self._alive.add(worker)
        self._owner.spawn(f"worker-{worker.number}", self._keep(worker))

    async def _tried(self, new: Worker, timeout_s: float) -> None:
        self._begin(new)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await new.settled.wait()
        if not new.ready.is_set():
            await self._retire(new, 0.0)
            raise ChildProcessError(f"worker {new.place} was not replaced: the new one ended before it served")

    async def _retire(self, worker: Worker, drain_s: float) -> None:
        worker.leaving = True
        process = worker.process
        if process is None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(drain_s + 1.0):
                await process.wait()
        except TimeoutError:
            process.kill()

    async def _keep(self, worker: Worker) -> None:
        """Start it as often as it takes, as long as the place is its own."""
        delay = _RESTART_FIRST_S
        try:
            while True:
                began = asyncio.get_running_loop().time()
                code = await self._run_once(worker)
                worker.ready.clear()
                worker.settled.set()
                if not self._wanted(worker):
                    if not worker.leaving and not self._stopping:
                        log.get("workers").error("new worker ended", number=worker.number, code=code)
                    return
                worker.restarts += 1
                log.get("workers").error("worker ended", number=worker.number, code=code, restart_in_s=delay)
                await asyncio.sleep(delay)
                if not self._wanted(worker):
                    return
                lived = asyncio.get_running_loop().time() - began
                delay = _RESTART_FIRST_S if lived > 30 else min(delay * 2, _RESTART_MOST_S)
        finally:
            self._alive.discard(worker)
            self._numbers.put_nowait(worker.number)

    def _wanted(self, worker: Worker) -> bool:
        return not self._stopping and not worker.leaving and self.workers[worker.place] is worker

    async def _run_once(self, worker: Worker) -> int | str:
        """The worker's exit code, or why it could not be started."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                fds = {_CHANNEL: theirs.fileno(), **self._share(worker.place)}
                worker.process = process = await self._nursery.bear(fds)
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                return f"cannot start: {error}"
            raise
        if self._stopping or worker.leaving:
            process.terminate()
        try:
            await self._tell(worker, ours)
            return await process.wait()
        finally:
            process.end()  # started while the supervisor was stopping, or deaf to SIGTERM
            self._ended(worker.number)

    async def _tell(self, worker: Worker, ours: socket.socket) -> None:
        """Send the payload, note `ready`. A worker that dies meanwhile resets the channel: its exit code says more."""
        reader, writer = await asyncio.open_connection(sock=ours)
        with contextlib.suppress(OSError):
            try:
                writer.write(orjson.dumps(worker.payload) + b"\n")
                if await reader.readline() == b"ready\n":
                    worker.ready.set()
                    worker.settled.set()
            finally:
                writer.close()
                await writer.wait_closed()


@dataclass
class Told:
    """What a worker was started with, and the way to answer."""

    payload: dict[str, Any]
    fds: dict[str, int]
    """The supervisor's descriptors that it may use, by name."""
    _channel: socket.socket

    def ready(self) -> None:
        """Tell the supervisor that this worker serves."""
        self._channel.sendall(b"ready\n")


def begin(parent: int, fds: Mapping[str, int]) -> Told:
    """In a worker: read what it is told and tie its life to that of its supervisor, the process `parent`."""
    given = dict(fds)
    channel = socket.socket(fileno=given.pop(_CHANNEL))
    with channel.dup().makefile("rb") as lines:
        line = lines.readline()
    if not line:
        raise SystemExit("the supervisor is gone")
    # Only now is it our parent: it speaks once the nurse's helper between us has ended.
    kin.die_with_parent(parent)
    return Told(orjson.loads(line), given, channel)
