"""A whole installation, as `headrace up --json` starts it, on free ports."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "origin/ingest/demo/big_buck_bunny_720p_30s.mp4"
START_S = 120.0


@dataclass
class Installation:
    """A running installation: its ready line, its state directory, its process."""

    line: dict[str, Any]
    state: Path
    process: subprocess.Popen[bytes]

    @property
    def run_file(self) -> Path:
        return self.state / "run.json"

    @property
    def operator_token(self) -> str:
        return (self.state / "operator.token").read_text()

    def headrace(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run one of our commands."""
        command = [sys.executable, "-m", "headrace.main", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=ROOT, check=False)

    def doctor(self) -> dict[str, Any]:
        """Doctor's line; fails on a difference."""
        done = self.headrace("doctor", "--at", str(self.run_file), "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def start(self, **more: str) -> dict[str, Any]:
        """Start a session as a player does."""
        body = {"contentId": self.line["contentId"], "device": {"deviceType": "Web", "deviceId": "t"}} | more
        status, _, answer = fetch(self.line["origin"] + "/api/v1/playback/start", json.dumps(body).encode())
        assert status == 200, answer
        return dict(json.loads(answer))

    def log(self, name: str) -> str:
        """A process's log so far."""
        return (self.state / "logs" / f"{name}.log").read_text()

    def admin_port(self, node: str) -> int:
        """Where a node answers /metrics and /health."""
        return int(json.loads((self.state / "ready" / f"{node}.json").read_text())["admin"].rpartition(":")[2])

    def metrics(self, node: str) -> str:
        """A node's metrics."""
        return fetch(f"http://127.0.0.1:{self.admin_port(node)}/metrics")[2].decode()


@contextmanager
def installation(state: Path, *, media: Path = CLIP, profile: str = "smoke") -> Iterator[Installation]:
    """Up, then SIGTERM and a clean end."""
    command = [sys.executable, "-m", "headrace.main", "up", "--json", "--free-ports"]
    command += ["--state", str(state), "--media", str(media), "--profile", profile]
    errors = state.with_suffix(".err")
    with errors.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT)
    assert process.stdout is not None
    try:
        os.set_blocking(process.stdout.fileno(), True)
        line = process.stdout.readline()
        assert line, f"it did not come up: {errors.read_text()}"
        yield Installation(json.loads(line), state, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def fetch(
    url: str, body: bytes | None = None, headers: dict[str, str] | None = None, method: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    """(status, fields by lower-case name, body) of one request."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    if body is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def until(condition: Any, within_s: float, what: str) -> None:
    """Poll a condition of real processes, with a deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)  # real processes: nothing to wait on but their answers


def headrace_json(*arguments: str) -> tuple[int, list[Any]]:
    """A command's exit code and the JSON lines that it prints."""
    command = [sys.executable, "-m", "headrace.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line]
