"""Parents and children as the kernel keeps them: who dies with whom, who takes in orphans, what a process is called."""

import asyncio
import contextlib
import ctypes
import os
import signal

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36


def die_with_parent(parent: int) -> None:
    """Have the kernel kill us when our parent, the process `parent`, dies; leave at once if it already did."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")


def adopt_orphans(adopt: bool = True) -> None:
    """From now on a descendant whose parent died is our child, not init's; or, with False, init's again."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(adopt))


def rename(name: str) -> None:
    """What `ps` and /proc/PID/comm call this process; 15 characters at most."""
    _prctl(_PR_SET_NAME, ctypes.create_string_buffer(name.encode()))


def _prctl(option: int, value: "int | ctypes.Array[ctypes.c_char]") -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


class Child:
    """A child that this process did not start by itself, watched through its pidfd. Made inside the loop; nobody else
    may wait for it."""

    def __init__(self, pid: int) -> None:
        """OSError when `pid` is no child of ours."""
        self.pid = pid
        self.returncode: int | None = None
        """Its exit code, or minus the signal that ended it."""
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(pid)
        self._loop.add_reader(self._pidfd, self._reap)

    async def wait(self) -> int:
        """Its `returncode`, once it has ended."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def terminate(self) -> None:
        """SIGTERM, unless it has ended."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        self._send(signal.SIGKILL)

    def end(self) -> None:
        """Kill it and be done with it now."""
        if self.returncode is None:
            self.kill()
            self._reap()

    def _send(self, number: signal.Signals) -> None:
        if self.returncode is None:  # until it is reaped, its number is nobody else's
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()
