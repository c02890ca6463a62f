"""A tool as a child process: no shell, no standard input, bounded, in a group of its own, gone when we are gone."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.errors import HeadraceError

LINE_BYTES = 64 * 2**10
_LAUNCH = Path(__file__).with_name("launch.py")
Line = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child may use. Sizes in bytes, times in seconds; a CPU bound of 0 is none."""

    wall_s: float
    memory: int = 8 * 2**30
    file_size: int = 64 * 2**30
    cpu_s: int = 0
    output: int = 4 * 2**20
    """Kept of standard output and of standard error each; more of the first fails, of the second is dropped."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended. `code` is negative for a signal."""

    code: int
    output: bytes
    errors: str

    @property
    def last_error(self) -> str:
        """The last line of standard error, for a one-line message."""
        lines = [line.strip() for line in self.errors.splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"exit code {self.code}"


class ToolFailed(HeadraceError):
    """A tool did not do what it was asked; the message is its last line."""

    kind = "tool_failed"


async def run(
    command: Sequence[str], bounds: Bounds, *, on_line: Line | None = None, cwd: Path | None = None
) -> Finished:
    """Run `command` to its end, in the folder `cwd`.

    With `on_line`, standard output goes there line by line and is not kept. ToolFailed after `wall_s` or too much
    output. A cancelled caller takes the whole process group with it.
    """
    async with _started(command, bounds, cwd) as process:
        try:
            async with asyncio.timeout(bounds.wall_s):
                output, errors = await _both(process, bounds, on_line)
                code = await process.wait()
        except TimeoutError:
            raise ToolFailed(f"{Path(command[0]).name}: not done after {bounds.wall_s:.0f} s") from None
    return Finished(code, output, errors)


async def check(
    command: Sequence[str], bounds: Bounds, *, on_line: Line | None = None, cwd: Path | None = None
) -> Finished:
    """As `run`, but ToolFailed unless the exit code is 0."""
    finished = await run(command, bounds, on_line=on_line, cwd=cwd)
    if finished.code:
        raise ToolFailed(f"{Path(command[0]).name}: {finished.last_error}")
    return finished


@contextlib.asynccontextmanager
async def _started(
    command: Sequence[str], bounds: Bounds, cwd: Path | None
) -> AsyncIterator[asyncio.subprocess.Process]:
    limits = [str(each) for each in (os.getpid(), bounds.memory, bounds.file_size, bounds.cpu_s)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(_LAUNCH), *limits, *command,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        start_new_session=True, limit=LINE_BYTES, cwd=cwd,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await _reap(process)


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Wait for a killed child even while our own task is being cancelled: it may hold files that are removed next."""
    await asyncio.shield(asyncio.ensure_future(process.communicate()))


async def _both(process: asyncio.subprocess.Process, bounds: Bounds, on_line: Line | None) -> tuple[bytes, str]:
    """Read both pipes at once, so that neither fills up and stops the child."""
    errors = asyncio.ensure_future(_errors(process, bounds))
    try:
        return await _read(process, bounds, on_line), await errors
    finally:
        errors.cancel()
        await asyncio.wait([errors])


async def _read(process: asyncio.subprocess.Process, bounds: Bounds, on_line: Line | None) -> bytes:
    assert process.stdout
    if on_line:
        while line := await process.stdout.readline():
            on_line(line.decode("utf-8", "replace").rstrip())
        return b""
    kept = bytearray()
    while piece := await process.stdout.read(LINE_BYTES):
        kept += piece
        if len(kept) > bounds.output:
            raise ToolFailed(f"more than {bounds.output} bytes of output")
    return bytes(kept)


async def _errors(process: asyncio.subprocess.Process, bounds: Bounds) -> str:
    """The end of standard error."""
    assert process.stderr
    kept = bytearray()
    while piece := await process.stderr.read(LINE_BYTES):
        kept += piece
        del kept[: -bounds.output]
    return kept.decode("utf-8", "replace")
