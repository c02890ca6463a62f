"""A real edge as a process: started, asked for its health, stopped or killed, and its memory read from /proc."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.errors import HeadraceError

_DEADLINE_S = 60.0
_LOOK_S = 0.002


class NodeFailed(HeadraceError):
    """The measured node did not do what it must; the message has its own words."""

    kind = "node_failed"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a measured edge is given."""

    cache_dir: Path
    origin: str
    workers: int = 1
    objects: int = 1_000
    memory: int = 256 * 2**20

    def toml(self) -> str:
        """As its settings file. The disk's bound is out of the way: nothing is evicted for its bytes."""
        return (
            f'listen = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\naccess = "open"\norigin = "{self.origin}"\n'
            f'authority = "bench"\nworkers = {self.workers}\n'
            f'[store]\ncache_dir = "{self.cache_dir}"\ndisk = "1TiB"\nmemory = {self.memory}\n'
            f"objects = {max(100, self.objects)}\n"
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a node's processes: `pss` of all (shared pages divided among those who share them), `private` ones of
    the worker that has most."""

    pss: int
    private: int


class Node:
    """One running edge."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, admin: str, ready_s: float) -> None:
        self._process, self.url, self._admin, self.ready_s = process, url, admin, ready_s

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def metric(self, name: str) -> int:
        """A series without labels of its own, by its whole name, over all workers."""
        found = re.search(rf"^{name}(?:{{[^}}]*}})? (\d+)$", self._ask("/metrics").decode(), re.MULTILINE)
        return int(found[1]) if found else 0

    def loaded(self) -> None:
        """Wait until the keeper knows every file."""
        until(lambda: bool(json.loads(self._ask("/health"))["keeper"]["loaded"]), "the index was loaded", 1_800)

    def memory(self) -> Memory:
        """What its processes hold now."""
        workers = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        rollups = [rollup(pid) for pid in (self._process.pid, *map(int, workers))]
        private = max(each["Private_Clean"] + each["Private_Dirty"] for each in rollups[1:])
        return Memory(sum(each["Pss"] for each in rollups), private)

    def kill(self) -> None:
        """As `kill -9`; the workers die with it."""
        workers = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._process.kill()
        self._process.wait()
        until(lambda: not any(_alive(int(pid)) for pid in workers), "the workers died")

    def _ask(self, path: str) -> bytes:
        with urllib.request.urlopen(self._admin + path, timeout=10) as answer:  # noqa: S310 our own http address
            return bytes(answer.read())


@contextlib.contextmanager
def running(setting: Setting) -> Iterator[Node]:
    """An edge that serves; `ready_s` is the time from its start until /ready said so. Ended on leaving."""
    files = setting.cache_dir.with_name(f"{setting.cache_dir.name}.node")
    files.mkdir(exist_ok=True)
    (files / "edge.toml").write_text(setting.toml())
    ready = files / "ready.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "headrace.main", "edge", "--config", str(files / "edge.toml")]
    with (files / "log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen([*command, "--ready-file", str(ready)], stderr=log, stdout=log)
        try:
            yield _ready(process, ready, files / "log", began)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(_DEADLINE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def until(true: Callable[[], bool], what: str, seconds: float = _DEADLINE_S) -> None:
    """Poll until it holds; NodeFailed after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise NodeFailed(f"never came true: {what}")
        time.sleep(_LOOK_S)


def _ready(process: "subprocess.Popen[bytes]", file: Path, log: Path, began: float) -> Node:
    until(lambda: file.exists() or process.poll() is not None, "the node serves")
    if process.poll() is not None:
        raise NodeFailed(f"the node ended: {log.read_text(errors='replace')[-2_000:]}")
    told = json.loads(file.read_text())
    with urllib.request.urlopen(told["admin"] + "/ready", timeout=10):  # noqa: S310 our own http address
        took = time.perf_counter() - began
    return Node(process, told["url"], told["admin"], took)


def rollup(pid: int) -> dict[str, int]:
    """Bytes of a process by kind, as /proc/PID/smaps_rollup has them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    words = [text.split() for text in lines]
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in words}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
