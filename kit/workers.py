"""A supervisor and its worker processes.

Workers are started afresh (no fork of a running loop), get one JSON document over a socket pair, say `ready` on it,
die with the supervisor (PR_SET_PDEATHSIG), are started again when they die, and drain on SIGTERM.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from kit import log
from kit.tasks import Owner

_RESTART_FIRST_S = 0.1
_RESTART_MOST_S = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass
class Worker:
    """One worker as its supervisor sees it."""

    number: int
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """It was ready once, or ended without having been."""
    restarts: int = 0


class Supervisor:
    """Keeps `count` workers running; `module` is started with `python -m`, `payload(number)` is what it is told."""

    def __init__(
        self, module: str, count: int, payload: Callable[[int], dict[str, Any]], *, pass_fds: Sequence[int] = ()
    ) -> None:
        self.workers = [Worker(number) for number in range(count)]
        self._module, self._payload, self._pass_fds = module, payload, tuple(pass_fds)
        self._owner = Owner("workers")
        self._stopping = False

    async def start(self, timeout_s: float = 30.0) -> None:
        """Start all and wait until each is ready; TimeoutError or ChildProcessError otherwise."""
        for worker in self.workers:
            self._owner.spawn(f"worker-{worker.number}", self._keep(worker))
        async with asyncio.timeout(timeout_s):
            for worker in self.workers:
                await worker.settled.wait()
                if not worker.ready.is_set():
                    raise ChildProcessError(f"worker {worker.number} ended before it served")

    async def stop(self, drain_s: float) -> None:
        """SIGTERM to all, `drain_s` to finish, then SIGKILL."""
        self._stopping = True
        running = [w.process for w in self.workers if w.process and w.process.returncode is None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_s + 1.0):
                await asyncio.gather(*(process.wait() for process in running))
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await self._owner.close()

    @property
    def alive(self) -> int:
        """How many workers are ready now."""
        return sum(worker.ready.is_set() for worker in self.workers)

    async def _keep(self, worker: Worker) -> None:
        delay = _RESTART_FIRST_S
        while not self._stopping:
            began = asyncio.get_running_loop().time()
            code = await self._run_once(worker)
            worker.ready.clear()
            worker.settled.set()
            if self._stopping:
                return
            worker.restarts += 1
            log.get("workers").error("worker ended", number=worker.number, code=code, restart_in_s=delay)
            await asyncio.sleep(delay)
            lived = asyncio.get_running_loop().time() - began
            delay = _RESTART_FIRST_S if lived > 30 else min(delay * 2, _RESTART_MOST_S)

    async def _run_once(self, worker: Worker) -> int | str:
        """The worker's exit code, or why it could not be started."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                worker.process = process = await self._spawn(theirs)
        except OSError as error:
            ours.close()
            return f"cannot start: {error}"
        try:
            await self._tell(worker, ours)
            return await process.wait()
        finally:
            if process.returncode is None:  # started while the supervisor was stopping, or deaf to SIGTERM
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _spawn(self, channel: socket.socket) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            str(channel.fileno()),
            str(os.getpid()),
            pass_fds=(channel.fileno(), *self._pass_fds),
            stdin=asyncio.subprocess.DEVNULL,
        )

    async def _tell(self, worker: Worker, ours: socket.socket) -> None:
        """Send the payload, note `ready`. A worker that dies meanwhile resets the channel: its exit code says more."""
        reader, writer = await asyncio.open_connection(sock=ours)
        with contextlib.suppress(OSError):
            try:
                writer.write(orjson.dumps(self._payload(worker.number)) + b"\n")
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
    _channel: socket.socket

    def ready(self) -> None:
        """Tell the supervisor that this worker serves."""
        self._channel.sendall(b"ready\n")


def begin(arguments: Sequence[str]) -> Told:
    """In a worker: tie its life to the supervisor's and read what it is told. `arguments`: descriptor, parent's pid."""
    die_with_parent(int(arguments[1]))
    channel = socket.socket(fileno=int(arguments[0]))
    with channel.dup().makefile("rb") as lines:
        line = lines.readline()
    if not line:
        raise SystemExit("the supervisor is gone")
    return Told(orjson.loads(line), channel)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill us when our parent, the process `parent`, dies; leave at once if it already did."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")
