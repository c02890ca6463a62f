"""A supervisor and real worker processes: start, die, restart, drain (kit.workers)."""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.nursery import Nursery
from kit.workers import Payload, Supervisor, Worker, most_numbers

pytestmark = pytest.mark.processes
GOOD = """
import json, os, pathlib, random, signal, sys
from kit.workers import begin
def main(parent, fds):
    told = begin(parent, fds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    words = {name: os.pread(fd, 100, 0).decode() for name, fd in told.fds.items()}
    place = pathlib.Path(told.payload["place"]) / f"{told.payload['number']}.{os.getpid()}"
    place.write_text(json.dumps({"word": told.payload.get("word"), "random": random.random(), **words}))
    told.ready()
    while True:
        signal.pause()
"""
STUBBORN = GOOD.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
_PR_GET_CHILD_SUBREAPER = 37
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


def _supervise(
    tmp_path: Path, module: str, source: str, count: int = 2, nursery: Nursery | None = None, **options: Any
) -> Supervisor:
    (tmp_path / f"{module}.py").write_text(source)
    return Supervisor(nursery or Nursery(module), count, _payload(tmp_path), **options)


def _payload(tmp_path: Path, word: str = "first") -> Payload:
    return lambda place, number: {"number": number, "place": str(tmp_path), "word": word}


def _said(tmp_path: Path, worker: Worker) -> dict[str, Any]:
    """What a worker wrote when it started."""
    assert worker.process
    return json.loads((tmp_path / f"{worker.number}.{worker.process.pid}").read_text())


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


async def test_a_worker_gets_the_descriptors_of_its_place_by_name(tmp_path: Path, module: str) -> None:
    (tmp_path / "0").write_text("zero")
    (tmp_path / "1").write_text("one")
    files = [os.open(tmp_path / name, os.O_RDONLY) for name in ("0", "1")]
    supervisor = _supervise(tmp_path, module, GOOD, share=lambda place: {"text": files[place]})
    await supervisor.start()
    assert [_said(tmp_path, worker)["text"] for worker in supervisor.workers] == ["zero", "one"]
    await supervisor.stop(5.0)
    for each in files:
        os.close(each)


async def test_workers_outlive_the_nurse_and_a_new_one_is_started_for_the_next(tmp_path: Path, module: str) -> None:
    nursery = Nursery(module)
    supervisor = _supervise(tmp_path, module, GOOD, 2, nursery)
    await supervisor.start()
    nurse, pids = nursery.pid, supervisor.pids()
    assert nurse and nurse not in pids and len(pids) == 2
    os.kill(nurse, signal.SIGKILL)
    await _until(lambda: nursery.pid is None)
    assert supervisor.pids() == pids and supervisor.alive == 2
    os.kill(pids[0], signal.SIGKILL)
    await _until(lambda: supervisor.alive == 2 and pids[0] not in supervisor.pids())
    assert nursery.pid not in (None, nurse) and pids[1] in supervisor.pids()
    await supervisor.stop(5.0)
    assert nursery.pid is None


async def test_workers_are_replaced_one_by_one_each_by_one_that_is_ready(tmp_path: Path, module: str) -> None:
    """No two that live have the same number; the one before leaves only once the next one serves."""
    supervisor = _supervise(tmp_path, module, GOOD, 2)
    await supervisor.start()
    before = supervisor.pids()
    for word in ("second", "third", "fourth"):
        replacing = asyncio.create_task(supervisor.replace(_payload(tmp_path, word), 5.0))
        while not replacing.done():
            assert supervisor.alive == 2
            await asyncio.sleep(0)
        await replacing
        assert [_said(tmp_path, worker)["word"] for worker in supervisor.workers] == [word, word]
    await _until(lambda: len(supervisor.pids()) == 2)
    assert not set(before) & set(supervisor.pids())
    numbers = [worker.number for worker in supervisor.workers]
    assert len(set(numbers)) == 2 and max(numbers) < most_numbers(2)
    assert sum(worker.restarts for worker in supervisor.workers) == 0
    await supervisor.stop(5.0)


async def test_while_all_that_were_replaced_drain_no_more_are_replaced(tmp_path: Path, module: str) -> None:
    """Bounded: as many processes as there are numbers."""
    supervisor = _supervise(tmp_path, module, STUBBORN, 1)
    await supervisor.start()
    await supervisor.replace(_payload(tmp_path), 60.0)
    assert len(supervisor.pids()) == 2 == most_numbers(1)
    again = asyncio.create_task(supervisor.replace(_payload(tmp_path), 60.0))
    first = next(iter({*supervisor.pids()} - {supervisor.workers[0].process.pid}))  # type: ignore[union-attr]
    await asyncio.sleep(0)
    assert not again.done() and len(supervisor.pids()) == 2
    os.kill(first, signal.SIGKILL)
    await again
    assert len(supervisor.pids()) == 2
    await supervisor.stop(-0.9)


async def test_where_the_next_one_does_not_serve_the_one_before_stays(tmp_path: Path, module: str) -> None:
    ended: list[int] = []
    source = GOOD.replace("    told.ready()", '    if told.payload["word"] == "bad": sys.exit(5)\n    told.ready()')
    supervisor = _supervise(tmp_path, module, source, 2, ended=ended.append)
    await supervisor.start()
    before = supervisor.pids()
    for _ in range(3):
        with pytest.raises(ChildProcessError, match="worker 0 was not replaced"):
            await supervisor.replace(_payload(tmp_path, "bad"), 5.0)
    await _until(lambda: len(ended) == 3)
    assert (supervisor.pids(), supervisor.alive, set(ended) <= {2, 3}) == (before, 2, True)
    os.kill(before[0], signal.SIGKILL)
    await _until(lambda: supervisor.alive == 2 and before[0] not in supervisor.pids())
    assert _said(tmp_path, supervisor.workers[0])["word"] == "first"
    await supervisor.stop(5.0)


async def test_a_nurse_is_not_forked_beside_a_thread(module: str) -> None:
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    nursery = Nursery(module)
    with pytest.raises(RuntimeError, match="before there are threads"):
        nursery.fork()
    nursery.close()
    go.set()
    thread.join()


FORKING = """
import asyncio, pathlib, sys
import worker_under_test
from kit.nursery import Nursery
from kit.workers import Supervisor
async def main(nursery):
    supervisor = Supervisor(nursery, 2, lambda place, number: {"number": number, "place": sys.argv[1]})
    await supervisor.start()
    print(nursery.pid, *supervisor.pids(), flush=True)
    await asyncio.Event().wait()
asyncio.run(main(Nursery("worker_under_test").fork()))
"""


async def test_forked_workers_share_its_imports_not_its_chance_and_die_with_the_supervisor(
    tmp_path: Path, module: str
) -> None:
    mark = 'import os, pathlib; pathlib.Path(os.environ["MARKS"], f"imported.{os.getpid()}").touch()\n'
    (tmp_path / f"{module}.py").write_text(mark + GOOD)
    process = subprocess.Popen(
        [sys.executable, "-c", FORKING, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "MARKS": str(tmp_path)},
    )
    with process:
        assert process.stdout
        pids = [int(word) for word in (await asyncio.to_thread(process.stdout.readline)).split()]
        assert [path.name for path in tmp_path.glob("imported.*")] == [f"imported.{process.pid}"]
        assert len({json.loads(path.read_text())["random"] for path in tmp_path.glob("[01].*")}) == 2
        assert len(pids) == 3 and all(_alive(pid) for pid in pids)
        process.kill()
    await _until(lambda: not any(_alive(pid) for pid in pids))


async def test_a_supervisor_that_has_stopped_adopts_nobody(tmp_path: Path, module: str) -> None:
    """An orphan of another program would stay a zombie: nobody waits for it."""
    supervisor = _supervise(tmp_path, module, GOOD, 1)
    await supervisor.start()
    assert _adopts()
    await supervisor.stop(5.0)
    assert not _adopts()


def _adopts() -> bool:
    """Whether this process is a subreaper."""
    answer = ctypes.c_int()
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)
