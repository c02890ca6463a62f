"""A supervisor and real worker processes: start, die, restart, drain (kit.workers)."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.nursery import Nursery
from kit.workers import Supervisor

pytestmark = pytest.mark.processes
GOOD = """
import os, pathlib, signal, sys
from kit.workers import begin
def main(parent, fds):
    told = begin(parent, fds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    (pathlib.Path(told.payload["place"]) / f"{told.payload['number']}.{os.getpid()}").write_text("")
    told.ready()
    while True:
        signal.pause()
"""
STUBBORN = GOOD.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
DEAD_AT_IMPORT = "raise SystemExit(3)"
DEAD_AT_ONCE = "def main(parent, fds):\n    raise SystemExit(3)"
DEAD_BEFORE_READY = (
    "from kit.workers import begin\ndef main(parent, fds):\n    begin(parent, fds)\n    raise SystemExit(4)"
)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that workers can import; the test writes it."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.getcwd(), *sys.path]))
    yield "worker_under_test"


def _supervise(tmp_path: Path, module: str, source: str, count: int = 2) -> Supervisor:
    (tmp_path / f"{module}.py").write_text(source)
    return Supervisor(Nursery(module), count, lambda place, number: {"number": number, "place": str(tmp_path)})


async def _until(condition: object) -> None:
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]


async def test_workers_start_with_what_they_are_told_and_stop_on_sigterm(tmp_path: Path, module: str) -> None:
    supervisor = _supervise(tmp_path, module, GOOD)
    await supervisor.start()
    pids = [worker.process.pid for worker in supervisor.workers if worker.process]
    assert supervisor.alive == 2
    assert {path.name for path in tmp_path.glob("[01].*")} == {f"{n}.{pid}" for n, pid in enumerate(pids)}
    await supervisor.stop(5.0)
    assert [worker.process.returncode for worker in supervisor.workers if worker.process] == [0, 0]


async def test_a_worker_that_dies_is_started_again(tmp_path: Path, module: str) -> None:
    supervisor = _supervise(tmp_path, module, GOOD, 1)
    await supervisor.start()
    (worker,) = supervisor.workers
    for restarts in (1, 2):
        assert worker.process is not None
        worker.process.kill()
        await _until(lambda wanted=restarts: worker.restarts == wanted and supervisor.alive == 1)
    assert len(list(tmp_path.glob("0.*"))) == 3
    await supervisor.stop(5.0)


async def test_a_worker_that_ignores_sigterm_is_killed_after_its_time(tmp_path: Path, module: str) -> None:
    supervisor = _supervise(tmp_path, module, STUBBORN, 1)
    await supervisor.start()
    pid = supervisor.workers[0].process.pid  # type: ignore[union-attr]
    await supervisor.stop(-0.9)
    await _until(lambda: not _alive(pid))


@pytest.mark.parametrize(
    "source", [DEAD_AT_IMPORT, DEAD_AT_ONCE, DEAD_BEFORE_READY], ids=["at-import", "at-once", "before-ready"]
)
async def test_a_worker_that_never_serves_fails_the_start_and_is_tried_again(
    tmp_path: Path, module: str, source: str
) -> None:
    """The channel that a dying worker resets must not end its keeper."""
    supervisor = _supervise(tmp_path, module, source, 1)
    with pytest.raises(ChildProcessError, match="worker 0 ended before it served"):
        await supervisor.start(10.0)
    await _until(lambda: supervisor.workers[0].restarts >= 2)
    await supervisor.stop(0.1)


async def test_a_program_that_cannot_be_started_is_tried_again(
    tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = _supervise(tmp_path, module, GOOD, 1)
    real = sys.executable
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(ChildProcessError):
        await supervisor.start(10.0)
    monkeypatch.setattr(sys, "executable", real)
    await _until(lambda: supervisor.alive == 1)
    await supervisor.stop(5.0)
