"""Children: bounded, without input, in a group of their own, gone with us (ING-14: arguments as a list, no shell)."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from origin.transcode.child import Bounds, ToolFailed, check, run

PYTHON = sys.executable
REPO = Path(__file__).parents[2]


async def _gone(pid: int) -> bool:
    """Whether the process ends within 5 s."""
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


async def test_arguments_are_no_shell_and_input_is_closed() -> None:
    code = "import sys; print(sys.argv[1], repr(sys.stdin.read()))"
    finished = await check([PYTHON, "-c", code, "$(id); a b"], Bounds(wall_s=20))
    assert finished.output == b"$(id); a b ''\n"


async def test_a_failure_is_its_last_line() -> None:
    with pytest.raises(ToolFailed, match=r"broken pipework$"):
        await check([PYTHON, "-c", "import sys; sys.exit('first\\nbroken pipework')"], Bounds(wall_s=20))


@pytest.mark.parametrize(
    ("code", "bounds"),
    [
        ("bytearray(10**9)", Bounds(wall_s=20, memory=400 * 2**20)),
        ("open('big', 'wb').write(bytes(10**7))", Bounds(wall_s=20, file_size=10**6)),
        ("while True: pass", Bounds(wall_s=20, cpu_s=1)),
    ],
)
async def test_memory_files_and_cpu_are_bounded(code: str, bounds: Bounds, tmp_path: Path) -> None:
    finished = await run([PYTHON, "-c", code], bounds, cwd=tmp_path)
    assert finished.code != 0
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 10**6


async def test_time_and_output_are_bounded() -> None:
    with pytest.raises(ToolFailed, match="not done after 1 s"):
        await run([PYTHON, "-c", "input() if 0 else __import__('time').sleep(60)"], Bounds(wall_s=1))
    with pytest.raises(ToolFailed, match="more than 1000 bytes"):
        await run([PYTHON, "-c", "while True: print('x' * 100)"], Bounds(wall_s=20, output=1000))
    finished = await run([PYTHON, "-c", "import sys; sys.stderr.write('x' * 10**6)"], Bounds(wall_s=20, output=1000))
    assert len(finished.errors) == 1000


async def test_cancelling_ends_the_whole_group() -> None:
    pids: asyncio.Queue[int] = asyncio.Queue()
    start = "import subprocess as s, os; p = s.Popen(['sleep', '60'])"
    code = f"{start}; print(os.getpid()); print(p.pid, flush=True); p.wait()"
    task = asyncio.create_task(
        run([PYTHON, "-c", code], Bounds(wall_s=60), on_line=lambda line: pids.put_nowait(int(line)))
    )
    first, second = await asyncio.wait_for(pids.get(), 10), await asyncio.wait_for(pids.get(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _gone(first) and await _gone(second)


async def test_a_child_does_not_outlive_a_killed_parent() -> None:
    code = (
        "import asyncio\nfrom origin.transcode.child import Bounds, run\n"
        "say = lambda line: print(line, flush=True)\n"
        "asyncio.run(run(['/bin/sh', '-c', 'echo $$; exec sleep 60'], Bounds(60), on_line=say))"
    )
    parent = await asyncio.create_subprocess_exec(PYTHON, "-c", code, stdout=subprocess.PIPE, cwd=REPO)
    assert parent.stdout
    child = int(await asyncio.wait_for(parent.stdout.readline(), 10))
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    assert await _gone(child)
