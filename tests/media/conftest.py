"""A real worker process, and the API's side of ingest beside it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from configs.load import child_environment, load
from configs.schema.origin import OriginSettings, Profile, Rung
from origin.assets import ObjectStore
from origin.catalog.engine import default_url
from origin.catalog.models import Published, Title
from origin.catalog.service import Catalog, migrate
from origin.catalog.states import State
from origin.ingest.service import Ingest

REPO = Path(__file__).parents[2]
PATIENCE_S = 90.0
"""Only a hang takes so long; the machine may be busy."""
SMALL = Profile(
    name="small", segment_s=2.0, preset="ultrafast", start_kbps=300,
    ladder=(Rung(height=180, kbps=400), Rung(height=144, kbps=200)),
)  # fmt: skip


@dataclass
class Origin:
    """One origin's state with its catalog, its API side of ingest, and worker processes started by hand."""

    folder: Path
    catalog: Catalog
    store: ObjectStore
    ingest: Ingest
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *, parallel: int = 1) -> subprocess.Popen[bytes]:
        """Start a worker with so many encoders at once; its log is worker-<n>.log."""
        environment = child_environment(HEADRACE_ORIGIN_ENCODE_PARALLEL=str(parallel))
        log = self.folder / f"worker-{len(self.workers)}.log"
        with log.open("wb") as out:
            command = [sys.executable, "-m", "origin.ingest.worker", "--config", str(self.folder / "origin.toml")]
            self.workers.append(subprocess.Popen(command, stderr=out, cwd=REPO, env=environment))
        return self.workers[-1]

    def events(self, worker: int) -> list[dict[str, Any]]:
        """What a worker logged."""
        lines = (self.folder / f"worker-{worker}.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def left(self) -> list[str]:
        """Files of jobs that are still there."""
        return [str(file) for name in ("incoming", "work") for file in (self.folder / name).rglob("*")]

    async def ended(self, content_id: str) -> Title:
        """The title when its newest version is ready or failed."""
        async with asyncio.timeout(PATIENCE_S):
            while not (title := await self.catalog.title(content_id)) or title.state not in (State.READY, State.FAILED):
                self.still_running()
                await asyncio.sleep(0.1)
        return title

    async def until_exists(self, file: Path) -> None:
        """Return when `file` is there."""
        deadline = time.monotonic() + PATIENCE_S
        while not file.exists():
            assert time.monotonic() < deadline, f"{file} did not come"
            self.still_running()
            await asyncio.sleep(0.01)

    def still_running(self) -> None:
        """Fail at once, with its log, when the worker is dead."""
        number = len(self.workers) - 1
        assert self.workers[-1].poll() is None, (self.folder / f"worker-{number}.log").read_text()

    async def published(self, title: Title) -> Published:
        """The current version; every byte of it is checked against the catalog."""
        assert title.current
        found = await self.catalog.published(title.content_id, title.current)
        assert found
        for asset in found.assets.values():
            data = self.store.path_of(asset.digest).read_bytes()
            assert len(data) == asset.size
        return found


@contextlib.asynccontextmanager
async def origin_at(folder: Path) -> AsyncIterator[Origin]:
    """An origin in an empty folder; no worker runs yet."""
    (folder / "origin.toml").write_text(
        f'state_dir = "{folder}"\nkeys_dir = "{folder}"\nadmin_token_file = "{folder}/admin"\n'
        f'[identity]\nid = "origin"\ncredential = "{folder}/credential"\n'
    )
    settings = load(OriginSettings, file=folder / "origin.toml", process="origin", environment={})
    url = default_url(str(folder))
    await migrate(url)
    origin = Origin(folder, Catalog.open(url), ObjectStore(folder / "objects"), None)  # type: ignore[arg-type]
    origin.ingest = await Ingest.open(settings, origin.catalog)
    try:
        yield origin
    finally:
        for worker in origin.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        await origin.ingest.close()
        await origin.catalog.close()
        origin.store.close()


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[Origin]:
    folder = tmp_path / "state"
    folder.mkdir()
    async with origin_at(folder) as found:
        yield found


def children(pid: int) -> Iterator[int]:
    """Every process below `pid`."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            with contextlib.suppress(FileNotFoundError):
                yield from children(int(child))


async def gone(pid: int) -> bool:
    """Whether a process ends within 5 s."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if " Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        await asyncio.sleep(0.01)
    return False


def kill(worker: subprocess.Popen[bytes]) -> None:
    """As the kernel does when memory is short: at once, nothing is told."""
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
