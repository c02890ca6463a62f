"""SIGHUP to a node under load: new workers, the settings read again, nobody refused, nothing cut (issue 4, part 3)."""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.edge import workers_of
from tests.support.installation import ROOT, fetch, until
from tests.support.site import Plain, serving

pytestmark = pytest.mark.processes
_LARGE = 24_000_000
"""More than the kernel keeps of a connection."""
_DEADLINE_S = 30.0


def _body(target: str) -> bytes:
    size = _LARGE if target.startswith("/large/") else 2_000 + 1_000 * len(target)
    return random.Random(target).randbytes(size)


class _Origin(Plain):
    """Always the same bytes for a target; `who` says which origin it was."""

    who = "first"

    def do_GET(self) -> None:
        body = _body(self.path)
        self.head(len(body), Cache_Control="no-store" if "pass" in self.path else "max-age=3600", X_Origin=self.who)
        self.wfile.write(body)


class _Second(_Origin):
    who = "second"


class Node:
    """An edge of two workers with its settings in a file, in a process group of its own."""

    def __init__(self, place: Path, origin: str) -> None:
        self._file, self._ready, self._log = place / "edge.toml", place / "ready.json", place / "log"
        self._lines = {
            "listen": '"127.0.0.1:0"',
            "admin": '"127.0.0.1:0"',
            "access": '"open"',
            "origin": f'"{origin}"',
            "authority": '"site.example"',
            "workers": "2",
        }
        self._cache = place / "cache"
        self.write()
        command = [sys.executable, "-m", "headrace.main", "edge", "--config", str(self._file)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--ready-file", str(self._ready)], stderr=log, cwd=ROOT, start_new_session=True
            )
        until(lambda: self._ready.exists() or self.process.poll() is not None, _DEADLINE_S, "the edge serves")
        line = json.loads(self._ready.read_text())
        self.url, self.admin = line["url"], line["admin"]
        self.port = urlsplit(self.url).port or 0

    def write(self, **lines: str) -> None:
        """The settings' file, with these lines other than at the start."""
        text = "".join(f"{name} = {value}\n" for name, value in (self._lines | lines).items())
        self._file.write_text(text + f'[store]\ncache_dir = "{self._cache}"\n')

    def workers(self) -> set[int]:
        return set(workers_of(self.process.pid))

    def health(self) -> dict:
        return json.loads(fetch(f"{self.admin}/health")[2])

    def metric(self, name: str) -> int:
        text = fetch(f"{self.admin}/metrics")[2].decode()
        return sum(int(value) for value in re.findall(rf"^{name}{{[^}}]*}} (\d+)$", text, re.MULTILINE))

    def reload(self) -> dict:
        """SIGHUP to the whole group, as a terminal sends it; /health's `settings` once it was acted on."""
        before = self.health()["settings"]
        os.killpg(self.process.pid, signal.SIGHUP)
        until(lambda: self.health()["settings"] != before, _DEADLINE_S, "the settings were read")
        return self.health()["settings"]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(_DEADLINE_S) == 0, self._log.read_text()


@pytest.fixture
def origin() -> Iterator[str]:
    with serving(_Origin) as url:
        yield url


@pytest.fixture
def node(tmp_path: Path, origin: str) -> Iterator[Node]:
    made = Node(tmp_path, origin)
    try:
        yield made
        made.end()
    finally:
        made.process.kill()
        made.process.wait()


class Viewers:
    """Threads that ask all the time, on connections that they keep or on a new one each time."""

    def __init__(self, node: Node, kept: int, fresh: int) -> None:
        self._port, self._stop, self._lock = node.port, threading.Event(), threading.Lock()
        self.served = 0
        self.wrong: list[str] = []
        numbers = range(kept + fresh)
        self._threads = [threading.Thread(target=self._watch, args=(each, each < kept)) for each in numbers]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    def _watch(self, seed: int, keeps: bool) -> None:
        chance, connection, used = random.Random(seed), self._connection(), False
        while not self._stop.is_set():
            target = f"/{chance.choice(('kept', 'pass'))}/{chance.randrange(20)}"
            try:
                response = self._head(connection, target)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                if not used:  # RFC 9112 9.3.1: a kept connection may close any time, a new one may not
                    self.wrong.append(f"{target}: a new connection: {error!r}")
                connection.close()
                connection, used = self._connection(), False
                continue
            except OSError as error:
                self.wrong.append(f"{target}: {error!r}")
                return
            self._check(response, target)
            used = keeps and not response.will_close
            if not used:
                connection.close()
                connection = self._connection()
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_DEADLINE_S)

    def _head(self, connection: http.client.HTTPConnection, target: str) -> http.client.HTTPResponse:
        connection.request("GET", target)
        return connection.getresponse()

    def _check(self, response: http.client.HTTPResponse, target: str) -> None:
        try:
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.wrong.append(f"{target}: cut: {error!r}")
            return
        if (response.status, body) != (200, _body(target)):
            self.wrong.append(f"{target}: {response.status}, {len(body)} bytes")
        with self._lock:
            self.served += 1


def test_three_reloads_under_load_refuse_nobody_and_cut_nothing(node: Node) -> None:
    """Counters go on over the workers; what is open is counted once."""
    slow = http.client.HTTPConnection("127.0.0.1", node.port, timeout=_DEADLINE_S)
    slow.request("GET", "/large/film")
    answer = slow.getresponse()
    begun = answer.read(100_000)
    first, viewers = node.workers(), Viewers(node, kept=3, fresh=3)
    try:
        seen = first
        for _ in range(3):
            served = viewers.served
            until(lambda served=served: viewers.served > served + 50, _DEADLINE_S, "answers")
            settings = node.reload()
            assert settings["error"] is None
            served = viewers.served
            until(lambda served=served: viewers.served > served + 50, _DEADLINE_S, "answers")
            assert node.health()["workers"] == {"wanted": 2, "ready": 2}
            assert len(node.workers() - seen) == 2
            seen = seen | node.workers()
    finally:
        viewers.end()
    assert viewers.wrong == []
    assert len(node.workers() & first) == 1, "the worker that sends the film drains"
    assert begun + answer.read() == _body("/large/film")
    slow.close()
    until(lambda: len(node.workers()) == 2, _DEADLINE_S, "those that were replaced have ended")
    until(lambda: node.metric("headrace_connections") == 0, _DEADLINE_S, "connections closed")
    assert node.metric("headrace_responses_total") == viewers.served + 1
    assert node.health()["restarts"] == 0


def test_connections_that_wait_for_a_worker_that_is_killed_are_served_by_the_next(node: Node) -> None:
    """The queue is the place's: SIGSTOP lets it fill, SIGKILL leaves it to the successor."""
    workers = node.workers()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    waiting = [socket.create_connection(("127.0.0.1", node.port), timeout=_DEADLINE_S) for _ in range(40)]
    for number, each in enumerate(waiting):
        each.sendall(f"GET /kept/{number} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    for number, each in enumerate(waiting):
        with each, each.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
        assert (head.split()[1], body) == (b"200", _body(f"/kept/{number}"))
    assert node.health()["restarts"] == 2


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ({"workers": "many"}, "edge.toml: "),
        ({"workers": '"many"'}, "edge.toml:6: `workers`: "),
        ({"workers": "3", "listen": '"127.0.0.1:1"'}, "`listen`, `workers`: takes a restart of the node"),
        ({"access": '"token"'}, '`keys_dir` is needed with `access = "token"`'),
        ({"authority": '"other.example"'}, "`authority`: other.example in cache keys takes a restart of the node"),
        ({"access_log": '"/proc/none/log"'}, "`access_log`: "),
    ],
    ids=["no-toml", "wrong-type", "supervisors", "cannot-start", "other-keys", "log"],
)
def test_bad_settings_leave_the_old_ones_serving_and_health_says_why(
    node: Node, lines: dict[str, str], error: str
) -> None:
    before, loaded = node.workers(), node.health()["settings"]["loaded"]
    node.write(**lines)
    said = node.reload()
    assert error in said["error"] and said["loaded"] == loaded
    assert node.workers() == before
    assert fetch(f"{node.url}/kept/1")[0] == 200
    node.write()
    said = node.reload()
    assert said["error"] is None and said["loaded"] > loaded
    assert not node.workers() >= before


def test_new_workers_ask_the_origin_that_the_settings_now_name(node: Node) -> None:
    """What is stored stays: its keys have the same authority."""
    assert fetch(f"{node.url}/kept/1")[1]["x-origin"] == "first"
    with serving(_Second) as second:
        node.write(origin=f'"{second}"')
        assert node.reload()["error"] is None
        assert fetch(f"{node.url}/kept/2")[1]["x-origin"] == "second"
        assert fetch(f"{node.url}/kept/1")[1]["x-origin"] == "first"


def test_a_pace_is_set_and_lifted_while_the_node_runs(node: Node) -> None:
    """Issue 4, part 2: /health says which, a metric how often a connection got one."""
    assert node.health()["pacing"] == {}
    node.write(pacing='{other = "800Mbit/s"}')
    assert node.reload()["error"] is None
    assert node.health()["pacing"] == {"other": 800_000_000}
    assert fetch(f"{node.url}/kept/1")[2] == _body("/kept/1")
    assert node.metric("headrace_pace_changes_total") == 1
    node.write(pacing='{other = "800MB"}')
    assert "edge.toml:7: `pacing.other`: " in node.reload()["error"]
    node.write()
    assert node.reload()["error"] is None
    assert fetch(f"{node.url}/kept/1")[2] == _body("/kept/1")
    assert (node.health()["pacing"], node.metric("headrace_pace_changes_total")) == ({}, 1)
