"""The real `headrace edge` before a real origin: the standalone contract, kept for good (issue 2, part 4)."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.edge import workers_of

pytestmark = pytest.mark.processes
DEADLINE_S = 20.0
HEADRACE = [sys.executable, "-m", "headrace.main"]


class _Origin(BaseHTTPRequestHandler):
    """Answers every method with what it was asked; `/slow/...` waits for the test between its two halves."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str]] = []
    go = threading.Event()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).asked.append((self.command, self.path))
        text = f"{self.command} {self.path} ".encode() + body
        slow = self.path.startswith("/slow")
        if slow:
            text += b"x" * 2**20
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "max-age=1000" if self.path.startswith("/keep") else "no-store")
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(text[:1000])
        if slow:
            self.go.wait(DEADLINE_S)
        self.wfile.write(text[1000:])

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_PROPFIND = _answer

    def log_message(self, *_: object) -> None:
        """Nothing: the test reads `asked`."""


@dataclass
class Edge:
    """A running edge process."""

    process: subprocess.Popen[bytes]
    url: str
    admin: str
    port: int

    def workers(self) -> list[int]:
        """The pids of its workers."""
        return workers_of(self.process.pid)

    def health(self) -> dict:
        """What /health says."""
        with urllib.request.urlopen(f"{self.admin}/health", timeout=5) as answer:
            return json.load(answer)


def _until(condition: object, what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():  # type: ignore[operator]
                return
        time.sleep(0.02)
    raise AssertionError(f"never came true: {what}")


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A real threaded HTTP server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Origin)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    _Origin.go.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def edge(tmp_path: Path, origin: str) -> Iterator[Edge]:
    """`headrace edge` with two workers."""
    _Origin.asked.clear()
    _Origin.go.clear()
    threads = threading.active_count()
    ready = tmp_path / "ready.json"
    command = [
        *HEADRACE, "edge", "--origin", origin, "--listen", "127.0.0.1:0", "--cache-dir", str(tmp_path / "cache"),
        "--disk", "10GiB", "--memory", "256MiB", "--workers", "2", "--access", "open", "--ready-file", str(ready),
    ]  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        _until(lambda: process.poll() is not None or ready.exists(), "ready")
        assert process.poll() is None, (tmp_path / "log").read_text()
        told = json.loads(ready.read_text())
        assert told["pid"] == process.pid
        yield Edge(process, told["url"], told["admin"], int(told["url"].rpartition(":")[2]))
    finally:
        process.kill()
        process.wait()
        _Origin.go.set()
        _until(lambda: threading.active_count() <= threads, "the origin's connections ended")


def _ask(edge: Edge, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=DEADLINE_S)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("Cache-Status", "")
    finally:
        connection.close()


def test_it_forwards_every_path_and_method_and_owns_no_path(edge: Edge) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
        for path in ("/", "/health", "/metrics", "/a%2Fb?x=1&y=%20", "/~x/y"):
            body = None if method in ("GET", "OPTIONS") else b"body"
            expected = f"{method} {path} ".encode() + (body or b"")
            assert _ask(edge, path, method, body)[:2] == (200, expected)
    assert _ask(edge, "/keep", "HEAD")[:2] == (200, b"")


def test_what_one_worker_stored_is_a_hit_at_the_other(edge: Edge) -> None:
    """Connections fall on either worker; the origin sees one request."""
    _ask(edge, "/keep/a")
    _until(lambda: "; hit" in _ask(edge, "/keep/a")[2], "stored")
    asked = _Origin.asked.count(("GET", "/keep/a"))
    assert all("; hit" in _ask(edge, "/keep/a")[2] for _ in range(40))
    assert _Origin.asked.count(("GET", "/keep/a")) == asked <= 2


def test_a_post_takes_the_answer_out_at_both_workers(edge: Edge) -> None:
    """RFC 9111 4.4, across processes."""
    for number in range(10):
        path = f"/keep/{number}"
        for _ in range(6):
            _ask(edge, path)
        _ask(edge, path, "POST", b"x")
        before = _Origin.asked.count(("GET", path))
        _ask(edge, path)
        assert _Origin.asked.count(("GET", path)) == before + 1


def test_a_killed_worker_is_started_again_and_service_goes_on(edge: Edge) -> None:
    before = edge.workers()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    _until(lambda: _ask(edge, "/again")[0] == 200, "service")
    _until(lambda: edge.health()["workers"]["ready"] == 2 and edge.health()["restarts"] == 1, "restarted")
    after = edge.workers()
    assert (len(after), before[1] in after, before[0] in after) == (2, True, False)
    assert all(_ask(edge, "/again")[0] == 200 for _ in range(20))


def test_sigterm_drains_a_download_under_way_then_ends_with_0_and_frees_the_port(edge: Edge) -> None:
    with ThreadPoolExecutor(1) as pool:
        download = pool.submit(_ask, edge, "/slow")
        _until(lambda: ("GET", "/slow") in _Origin.asked, "asked")
        edge.process.send_signal(signal.SIGTERM)
        _until(lambda: not _accepts(edge.port), "stopped accepting")
        assert edge.process.poll() is None
        _Origin.go.set()
        status, body, _ = download.result(DEADLINE_S)
    assert (status, len(body)) == (200, 2**20 + len("GET /slow "))
    assert edge.process.wait(DEADLINE_S) == 0
    with socket.create_server(("127.0.0.1", edge.port)):
        pass


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_kill_9_of_the_supervisor_leaves_no_worker_behind(edge: Edge) -> None:
    workers = edge.workers()
    edge.process.kill()
    edge.process.wait()
    _until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers), "workers gone")


def test_metrics_count_requests_of_both_workers(edge: Edge) -> None:
    for _ in range(10):
        _ask(edge, "/counted")
    with urllib.request.urlopen(f"{edge.admin}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert re.search(r'headrace_responses_total\{[^}]*cache="pass"\} 10\n', text)
    assert edge.health()["workers"] == {"wanted": 2, "ready": 2}


GIVEN = ["--origin", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--cache-dir", "CACHE", "--access", "open"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--listen", "127.0.0.1:0", "--cache-dir", "CACHE"], "exactly one of `origin` and `shields` must be set"),
        (GIVEN[:-2], '`keys_dir` is needed with `access = "token"`'),
        ([*GIVEN, "--admin", "192.0.2.1:9"], "`admin`: cannot listen on 192.0.2.1:9: cannot assign requested address"),
        ([*GIVEN, "--access-log", "CACHE/no/log"], "`access_log`: [Errno 2] No such file or directory: 'CACHE/no/log'"),
        ([*GIVEN[:5], "/proc/none"], "`store.cache_dir`: [Errno 2] No such file or directory: '/proc/none'"),
    ],
    ids=["no-origin", "no-keys", "admin", "access-log", "cache-dir"],
)
def test_wrong_flags_end_with_2_and_say_what_is_wrong(tmp_path: Path, flags: list[str], message: str) -> None:
    cache = str(tmp_path / "cache")
    if flags[-1] == "/proc/none":
        flags = [*flags, "--access", "open"]
    command = [*HEADRACE, "edge", *(flag.replace("CACHE", cache) for flag in flags)]
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE_S)
    assert done.returncode == 2
    last = done.stderr.decode().strip().splitlines()[-1]
    assert last == f"headrace: {message.replace('CACHE', cache)}"


def test_a_port_in_use_ends_with_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = [flag.replace("CACHE", str(tmp_path)).replace("127.0.0.1:0", address) for flag in GIVEN]
        done = subprocess.run([*HEADRACE, "edge", *flags], capture_output=True, timeout=DEADLINE_S)
    assert done.returncode == 2
    assert done.stderr.decode().strip().endswith(f"`listen`: cannot listen on {address}: address already in use")
