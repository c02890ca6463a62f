"""Every single disk operation of a fill fails once, with ENOSPC and with EIO (issue 3; design.md section 8).

A kernel gives no handle to fail the n-th call on a real disk, so the calls themselves are counted and failed, under the
cache directory only. The scene counts how many there are: a new call in the store is covered the day it is written.
"""

import builtins
import contextlib
import errno
import gc
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.fill.flight import Ending
from tests.support.nodes import Node, node
from tests.support.upstream import Upstream, says, upstream
from tests.support.wire import CutOff, until

DAY = "public, max-age=86400"
BIG = os.urandom(200_000)
SMALL = b"small" * 100
_BY_FD = ("write", "pwrite", "ftruncate", "posix_fallocate", "pread", "preadv", "fstat")
_BY_PATH = ("open", "rename", "replace", "unlink", "mkdir", "lstat", "stat")


class Faults:
    """Counts the calls that touch a directory and fails the one that is told."""

    def __init__(self, directory: Path, number: int) -> None:
        self._directory = f"{directory}/"
        self.armed = False
        self.calls: list[str] = []
        self.number, self.error = number, errno.ENOSPC

    def seen(self, what: str, path: str) -> None:
        """One call; OSError when it is the one to fail."""
        if not self.armed or not path.startswith(self._directory):
            return
        self.calls.append(what)
        if len(self.calls) - 1 == self.number:
            raise OSError(self.error, os.strerror(self.error), path)

    def by_fd(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, whose first argument is a descriptor."""

        def faulty(fd: int, *arguments: Any, **more: Any) -> Any:
            if self.armed and isinstance(fd, int):
                self.seen(name, _path_of(fd))
            return call(fd, *arguments, **more)

        return faulty

    def by_path(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, whose first argument is a path."""

        def faulty(path: Any, *arguments: Any, **more: Any) -> Any:
            if self.armed and isinstance(path, str | os.PathLike):
                self.seen(name, os.fspath(path))
            return call(path, *arguments, **more)

        return faulty


def _path_of(fd: int) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{fd}")
    return ""


@contextlib.contextmanager
def faults(monkeypatch: pytest.MonkeyPatch, directory: Path, number: int, error: int) -> Iterator[Faults]:
    """The `number`-th call under `directory` fails once armed."""
    made = Faults(directory, number)
    made.error = error
    with monkeypatch.context() as patch:
        for name in _BY_FD:
            patch.setattr(os, name, made.by_fd(name, getattr(os, name)))
        for name in _BY_PATH:
            patch.setattr(os, name, made.by_path(name, getattr(os, name)))
        opened = made.by_path("io.open", builtins.open)
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        yield made


async def _calls_of(monkeypatch: pytest.MonkeyPatch, directory: Path, body: bytes) -> int:
    """How many calls the scene takes when none fails."""
    directory.mkdir()
    with faults(monkeypatch, directory, -1, 0) as counted:
        async with upstream(says(body, Cache_Control=DAY)) as origin, node(directory, origin.url) as edge:
            await _scene(edge, body, counted)
            assert len(origin.calls) == 3
    return len(counted.calls)


async def _scene(edge: Node, body: bytes, armed: Faults) -> None:
    """A fill, a hit, an invalidation, a fill anew; a viewer gets all of it or sees that it was cut."""
    armed.armed = True
    for method in ("GET", "GET", "POST", "GET"):
        with contextlib.suppress(CutOff):
            got = await edge.get("/a", method, b"" if method == "POST" else None)
            assert got.status == 200
            assert got.body == body
        await _landed(edge)
    armed.armed = False


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("body", [SMALL, BIG], ids=["memory", "disk"])
async def test_any_disk_call_may_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: bytes, error: int) -> None:
    """No cut object is served whole, nobody waits for ever, nothing leaks, and the next request is served."""
    total = await _calls_of(monkeypatch, tmp_path / "counted", body)
    assert total > 20
    for number in range(total):
        directory = tmp_path / str(number)
        directory.mkdir()
        with faults(monkeypatch, directory, number, error) as faulty:
            async with upstream(says(body, Cache_Control=DAY)) as origin, node(directory, origin.url) as edge:
                await _scene(edge, body, faulty)
                await _then_all_is_well(edge, origin, body)


async def _landed(edge: Node) -> None:
    """Wait until every flight that asked upstream has ended."""

    def ended() -> bool:
        return sum(edge.count("fills_total", each) for each in Ending) >= edge.count("upstream_requests_total")

    await until(ended, "the flights have landed")


async def _then_all_is_well(edge: Node, origin: Upstream, body: bytes) -> None:
    assert (await edge.get("/a")).body == body
    assert (await edge.get("/after")).body == body
    await _landed(edge)
    gc.collect()
    held = [_path_of(int(fd)) for fd in os.listdir("/proc/self/fd")]
    assert not [path for path in held if "/parts/" in path]
    assert {call.method for call in origin.calls} == {"GET", "POST"}
