"""Every single disk operation of slices fails once (as test_19_disk_faults does it for whole objects)."""

import asyncio
import contextlib
import errno
import gc
import os
from pathlib import Path

import pytest

from proxy.store import disk
from tests.support.nodes import Node, node
from tests.support.sliced import BODY, SLICE, STORE, part, serving
from tests.support.upstream import upstream
from tests.support.wire import CutOff, until
from tests.wire.test_19_disk_faults import Faults, faults

SHORT = BODY[: 3 * SLICE + 100]


async def _landed() -> None:
    """Wait until every flight and run has ended."""

    def busy() -> list[str]:
        return [name for task in asyncio.all_tasks() if (name := task.get_name()).startswith(("fills:", "runs:"))]

    await until(lambda: not busy(), "all have landed")


async def _scene(edge: Node, armed: Faults) -> None:
    """Two seeks, then the whole, twice: all of it or a cut."""
    armed.armed = True
    for first, last in ((SLICE, SLICE + 9), (3 * SLICE, 3 * SLICE + 9)):
        with contextlib.suppress(CutOff):
            got = await part(edge, first, last)
            assert (got.status, got.body) == (206, SHORT[first : last + 1]) or got.status == 502
        await _landed()
    for _ in range(2):
        with contextlib.suppress(CutOff):
            got = await edge.get("/a")
            assert (got.status, got.body) == (200, SHORT) or got.status == 502
        await _landed()
    armed.armed = False


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
async def test_any_disk_call_of_slices_may_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: int) -> None:
    """No hole and no cut object is served, nobody waits for ever, nothing leaks, and the next request is served."""
    total, number = 1, -1
    while number < total:
        directory = tmp_path / str(number)
        directory.mkdir()
        with faults(monkeypatch, directory, number, error) as faulty:
            async with upstream(serving(SHORT)) as origin, node(directory, origin.url, store=STORE) as edge:
                await _scene(edge, faulty)
                total = len(faulty.calls) if number == -1 else total
                assert (await edge.get("/a")).body == SHORT
                await _landed()
        if number == -1:
            assert edge.files()
        for path in edge.files():
            disk.read_meta(path)
        gc.collect()
        held = [_target(fd) for fd in os.listdir("/proc/self/fd")]
        assert not [path for path in held if path.startswith(str(directory))]
        number += 1
    assert total > 40


def _target(fd: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{fd}")
    return ""
