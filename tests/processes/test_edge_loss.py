"""An edge is killed, the installation is stopped: issue 'Backbone', Must show."""

import json
import os
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.installation import fetch, installation, until

pytestmark = pytest.mark.processes


def test_a_killed_edge_gets_no_session_after_three_seconds_and_all_ends_clean(tmp_path: Path) -> None:
    """CTL-01, CTL-02, T-019: a dead edge keeps its low load and must not win."""
    with installation(tmp_path / "state") as up:
        edges = {urlsplit(edge["url"]).port: edge for edge in up.line["edges"]}
        victim = edges[urlsplit(up.start()["manifestUrl"]).port]
        os.kill(victim["pid"], signal.SIGKILL)
        killed = time.monotonic()

        def gone() -> bool:
            told = json.loads(fetch(up.line["control"] + "/health")[2])
            return int(told["regions"][victim["region"]]["edge"]) == 1

        until(gone, 3.0, "control counts it as dead")
        assert time.monotonic() - killed < 3.0
        for _ in range(20):
            session = up.start()
            chosen = edges[urlsplit(session["manifestUrl"]).port]
            assert (chosen["region"], chosen["id"] != victim["id"]) == (victim["region"], True)
        assert fetch(session["manifestUrl"])[0] == 200
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(timeout=30) == 0
        assert not up.run_file.exists()
        assert not [pid for pid in _pids() if str(up.state) in _command(pid)]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
