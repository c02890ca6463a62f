"""Peers as processes: started on their core, ended, their CPU and memory read from /proc."""

import contextlib
import email.message
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.node import NodeFailed, rollup, until

SERVER_CORE, LOAD_CORE = 0, 1
_END_S = 30.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of all of a peer's processes; the files that it serves are not among them."""

    pss: int
    """Pages that several processes share count in parts."""
    rss: int
    """They count in each."""

    def line(self) -> dict[str, float]:
        """As it is printed."""
        return {"pss_mb": round(self.pss / 1e6, 1), "rss_mb": round(self.rss / 1e6, 1)}


@dataclass(frozen=True)
class Peer:
    """A server that is measured; `prefix` stands before an object's path. `settings`: what it was told. `variant`: what
    it has that the standard line-up has not. `cache`: where its files are. `ca`: who vouches for it under TLS."""

    name: str
    port: int
    prefix: str
    process: "subprocess.Popen[bytes]"
    settings: str
    variant: str = ""
    cache: Path | None = None
    ca: Path | None = None

    @property
    def title(self) -> str:
        """Which of all it is."""
        return f"{self.name}, {self.variant}" if self.variant else self.name

    def target(self, path: str) -> str:
        """What is asked of it for the object at `path`."""
        return self.prefix + path

    def url(self, path: str) -> str:
        """Where that is."""
        return f"{'https' if self.ca else 'http'}://127.0.0.1:{self.port}{self.target(path)}"

    def get(self, path: str) -> "email.message.Message":
        """Ask once, read it all; the answer's fields. OSError for anything but a success."""
        context = ssl.create_default_context(cafile=self.ca) if self.ca else None
        with urllib.request.urlopen(self.url(path), timeout=10, context=context) as answer:  # noqa: S310  # our own
            answer.read()
            fields: email.message.Message = answer.headers
        return fields

    def cpu_s(self) -> float:
        """CPU seconds of all its processes until now."""
        return sum(_cpu_s(pid) for pid in _tree(self.process.pid))

    def memory(self) -> Memory:
        """What all its processes hold now."""
        rollups = [rollup(pid) for pid in _tree(self.process.pid)]
        return Memory(*(sum(each[kind] for each in rollups) for kind in ("Pss", "Rss")))

    def from_disk(self) -> int:
        """Bytes that the disk was asked for on behalf of its processes until now."""
        return sum(_read_bytes(pid) for pid in _tree(self.process.pid))


@contextlib.contextmanager
def running(command: Sequence[str], log: Path, ready: Callable[[], bool]) -> Iterator["subprocess.Popen[bytes]"]:
    """`command` on the servers' core, from when it is `ready`; ended on leaving. NodeFailed with the end of its log."""
    with log.open("ab") as out:
        process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *command], stdout=out, stderr=out)
    try:
        until(lambda: process.poll() is not None or ready(), f"{command[0]} serves")
        if process.poll() is not None:
            raise NodeFailed(f"{command[0]} ended: {log.read_text(errors='replace')[-2_000:]}")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def which(name: str) -> str | None:
    """The command's path; servers are often where only root looks."""
    return shutil.which(name, path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin"]))


def free_port() -> int:
    """One that nobody has now."""
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        port: int = each.getsockname()[1]
    return port


def _tree(pid: int) -> list[int]:
    """A process and all below it; what ends meanwhile is left out."""
    found = [pid]
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += _tree(int(child))
    return found


def _read_bytes(pid: int) -> int:
    fields = dict(text.split(": ") for text in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["read_bytes"])


def _cpu_s(pid: int) -> float:
    """By the process's own clock (clock_getcpuclockid): exact, where /proc counts in hundredths."""
    return time.clock_gettime(~pid << 3 | 2)
