"""A standalone edge as a process, started on one cache directory as often as wanted."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from kit import nurse
from tests.support.installation import ROOT, until


def workers_of(supervisor: int) -> list[int]:
    """The pids of a node's workers: its children less the nurse."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == nurse.WORKER_NAME]


class Edge:
    """A standalone edge process over one cache directory, started as often as wanted."""

    def __init__(self, tmp_path: Path, origin: str) -> None:
        self.cache, self.token = tmp_path / "cache", tmp_path / "token"
        self.token.touch(mode=0o600)
        self.token.write_text("an operator's token, long enough")
        self._ready, self._origin = tmp_path / "ready.json", origin
        self.url = self.admin = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "headrace.main", "edge", "--origin", self._origin, "--access", "open"]
        command += ["--listen", "127.0.0.1:0", "--cache-dir", str(self.cache), "--workers", "2", "--disk", "64MiB"]
        command += ["--admin-token-file", str(self.token), "--ready-file", str(self._ready)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
        until(lambda: self._ready.exists(), 30, "the edge serves")
        line = json.loads(self._ready.read_text())
        self.url, self.admin = line["url"], line["admin"]

    def end(self, number: int = signal.SIGTERM) -> None:
        assert self.process
        self.process.send_signal(number)
        self.process.wait(timeout=30)
