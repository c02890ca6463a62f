"""Whether an ingest worker lives (ING-20): seen at once, and gone with its process however that ends."""

import subprocess
import sys
from pathlib import Path

from origin.ingest.presence import anybody, present


def test_nobody_somebody_nobody(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert not anybody(state)
    with present(state), present(state):
        assert anybody(state)
    assert not anybody(state)


def test_of_two_workers_one_is_enough(tmp_path: Path) -> None:
    with present(tmp_path):
        with present(tmp_path):
            pass
        assert anybody(tmp_path)


def test_a_killed_worker_is_gone(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from origin.ingest.presence import present\n"
        "with present(Path(sys.argv[1])):\n"
        "    print('here', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"here\n"
        assert anybody(tmp_path)
        worker.kill()
        worker.wait()
    assert not anybody(tmp_path)
