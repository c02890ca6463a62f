"""The processes of an installation: started with it, ended with it, in order."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from configs.load import child_environment
from kit.errors import HeadraceError
from kit.kin import die_with_parent


class ChildFailed(HeadraceError):
    """A process ended before it served; the message has its last words."""

    kind = "child_failed"


@dataclass
class Child:
    """One process."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """Its id; a node's supervisor."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None


class Children:
    """Started in order, stopped in the opposite one."""

    def __init__(self) -> None:
        self.all: list[Child] = []

    async def start(self, name: str, command: list[str], log: Path) -> Child:
        """Start a process whose output goes to `log`. It dies when we die."""
        parent = os.getpid()
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=child_environment(),
                start_new_session=True,  # Ctrl-C at the terminal is for us alone: we drain in order
                preexec_fn=lambda: die_with_parent(parent),
            )
        child = Child(name, process, log)
        self.all.append(child)
        return child

    async def ours(self, name: str, *arguments: str, log: Path) -> Child:
        """Start `headrace ARGUMENTS`."""
        return await self.start(name, [sys.executable, "-m", "headrace.main", *arguments], log)

    def check(self, name: str) -> None:
        """ChildFailed when that process has ended."""
        for child in self.all:
            if child.name == name and not child.running:
                raise ChildFailed(f"{name} ended with {child.process.returncode}: {last_words(child)}")

    def kill(self) -> None:
        """SIGKILL to all that still run."""
        for child in self.all:
            if child.running:
                child.process.kill()

    async def stop(self, *, within_s: float = 40.0) -> None:
        """SIGTERM, players' side first, each allowed to finish what it has under way."""
        for child in reversed(self.all):
            if not child.running:
                continue
            child.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await child.process.wait()
            if child.running:
                child.process.kill()
                await child.process.wait()


def last_words(child: Child) -> str:
    """The end of a child's log."""
    lines = child.log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


async def until_ready(child: Child, ready: Path, within_s: float) -> None:
    """Wait until `child` has written its ready file. ChildFailed when it ends before, or takes too long."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not await asyncio.to_thread(_written, ready):
        if not child.running:
            raise ChildFailed(f"{child.name} ended with {child.process.returncode}: {last_words(child)}")
        if loop.time() > deadline:
            raise ChildFailed(f"{child.name} did not serve within {within_s:.0f} s: {last_words(child)}")
        await asyncio.sleep(0.02)


def _written(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0
