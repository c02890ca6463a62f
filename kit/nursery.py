"""The supervisor's side of the nurse (kit.nurse): who starts it, and how workers are asked for."""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Mapping
from typing import Self

import orjson

from kit import kin, log, nurse
from kit.kin import Child

_ANSWER_S = 30.0
"""A nurse that was started afresh imports first, on a machine that may be busy."""


class Nursery:
    """Starts workers of `module` as children of this process. Its `main(parent, fds)` is called in the new process."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._channel: socket.socket | None = None
        self._forked = 0
        self._nurse: Child | None = None
        self._turn = asyncio.Lock()
        kin.adopt_orphans()

    def fork(self) -> Self:
        """Fork the nurse from this process: workers then need no import and share its pages. Call it when all is
        imported, before there is any loop; RuntimeError when there is a thread (a lock of its would stay locked).
        Without this call the first worker waits for a nurse that is started afresh."""
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 there is no loop yet
            raise RuntimeError("a nurse is forked before there are threads")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.freeze()  # a collection in one process would make it copy what all share
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            ours.close()
            nurse.main(theirs, parent)
        theirs.close()
        ours.setblocking(False)
        self._channel, self._forked = ours, pid
        return self

    @property
    def pid(self) -> int | None:
        """The nurse's, while it lives."""
        if self._nurse is None:
            return self._forked or None
        return None if self._nurse.returncode is not None else self._nurse.pid

    async def bear(self, fds: Mapping[str, int]) -> Child:
        """A new worker, which gets duplicates of `fds` by their names. OSError when there can be none now; a nurse that
        was lost is replaced at the next call."""
        async with self._turn:
            try:
                answer = await self._ask(fds)
            except BaseException as error:
                self._dismiss()
                if isinstance(error, TimeoutError):
                    raise OSError("the nurse fell silent") from None
                raise
        pid = answer.get("pid")
        if not isinstance(pid, int):
            raise OSError(answer["error"])
        return Child(pid)

    def close(self) -> None:
        """End the nurse, and take in no more orphans. Workers live on."""
        self._dismiss()
        kin.adopt_orphans(False)

    def _dismiss(self) -> None:
        if self._channel:
            self._channel.close()
            self._channel = None
        if self._nurse:
            self._nurse.end()
            self._nurse = None
        elif self._forked:
            os.waitpid(self._forked, 0)  # it ends with the channel
        self._forked = 0

    async def _ask(self, fds: Mapping[str, int]) -> dict[str, int | str]:
        channel = self._ready()
        async with asyncio.timeout(_ANSWER_S):
            socket.send_fds(channel, [orjson.dumps({"module": self._module, "names": list(fds)})], list(fds.values()))
            answer = await asyncio.get_running_loop().sock_recv(channel, 4096)
        if not answer:
            raise ConnectionResetError("the nurse is gone")
        found: dict[str, int | str] = orjson.loads(answer)
        return found

    def _ready(self) -> socket.socket:
        """The way to the nurse; one that is not there, or not any more, is started afresh: by now we have threads."""
        if self._nurse and self._nurse.returncode is not None:
            log.get("workers").error("nurse ended", code=self._nurse.returncode)
            self._dismiss()
        if self._channel is None:
            self._start()
        assert self._channel
        if self._nurse is None:
            self._nurse = Child(self._forked)
        return self._channel

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = [sys.executable, "-m", "kit.nurse", str(os.getpid()), self._module]
            actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)]
            try:
                self._forked = os.posix_spawn(
                    sys.executable, arguments, os.environ, file_actions=actions, setsigmask=nurse.HELD_BACK
                )
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._channel = ours
