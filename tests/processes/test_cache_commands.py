"""A node's store as its operator sees it: purge, ls, stat, verify; and a node that is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import ROOT, fetch, until
from tests.support.site import Quiet, serving

pytestmark = pytest.mark.processes


def _body(target: str) -> bytes:
    """What origin says for a target: always the same bytes, of a size of its own."""
    return random.Random(target).randbytes(1_000 + len(target) * 9_000)


class _Origin(Quiet):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = _body(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=3600")
        self.send_header("Cache-Groups", f'"title:{self.path.split("/")[1]}"')
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def origin() -> Iterator[str]:
    with serving(_Origin) as url:
        yield url


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


@pytest.fixture
def edge(tmp_path: Path, origin: str) -> Iterator[Edge]:
    made = Edge(tmp_path, origin)
    made.start()
    yield made
    made.end(signal.SIGKILL)


def _headrace(*arguments: str) -> tuple[int, list[Any]]:
    command = [sys.executable, "-m", "headrace.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line]


def _hit(edge: Edge, target: str) -> bool:
    status, fields, body = fetch(edge.url + target)
    assert (status, body) == (200, _body(target))
    return "; hit" in fields["cache-status"]


def test_purge_ls_stat_and_verify(edge: Edge) -> None:
    targets = ["/film/a", "/film/b", "/other/a"]
    for target in targets:
        _hit(edge, target)
    assert all(_hit(edge, target) for target in targets)
    node = ("--node", edge.admin, "--token-file", str(edge.token))
    code, (done,) = _headrace("purge", *node, "--tag", "title:film")
    assert (code, done["objects"]) == (0, 2)
    assert [_hit(edge, target) for target in targets] == [False, False, True]
    code, rows = _headrace("cache", "ls", str(edge.cache), "--json")
    until(lambda: len(_headrace("cache", "ls", str(edge.cache), "--json")[1]) == 3, 10, "the keeper has read all")
    code, (figures,) = _headrace("cache", "stat", str(edge.cache), "--json")
    assert (code, figures["objects"]) == (0, 3)
    assert {row["tag"]: row["objects"] for row in figures["tags"]} == {"title:film": 2, "title:other": 1}
    code, (by,) = _headrace("cache", "stat", str(edge.cache), "--by", "tenant", "--json")
    assert [(row["objects"], row["bytes"]) for row in by["tenants"]] == [(3, figures["bytes"])]
    assert figures["bytes"] == sum(path.stat().st_blocks * 512 for path in edge.cache.glob("??/*"))
    edge.end()
    code, (found,) = _headrace("cache", "verify", str(edge.cache), "--json")
    assert (code, found["ok"], found["files"]) == (0, True, 3)
    file = next(edge.cache.glob("??/*"))
    blob = bytearray(file.read_bytes())
    blob[-1] ^= 1
    file.write_bytes(blob)
    code, (found,) = _headrace("cache", "verify", str(edge.cache), "--json")
    assert (code, len(found["findings"])) == (1, 1)
    assert rows


@pytest.mark.parametrize(
    ("headers", "document", "status"),
    [
        ({}, {"tag": "x"}, 403),
        ({"Authorization": "Bearer wrong"}, {"tag": "x"}, 403),
        (None, {}, 400),
        (None, {"tag": "x", "url": "/x"}, 400),
        (None, {"tag": 7}, 400),
        (None, {"url": "/../x"}, 400),
        (None, {"tag": "x", "soft": "yes"}, 400),
        (None, {"tag": "x", "what": 1}, 400),
    ],
)
def test_a_purge_that_is_not_an_operator_s_or_not_understood(
    edge: Edge, headers: dict[str, str] | None, document: dict[str, Any], status: int
) -> None:
    fields = {"Authorization": f"Bearer {edge.token.read_text()}"} if headers is None else headers
    got, _, body = fetch(f"{edge.admin}/purge", json.dumps(document).encode(), fields)
    assert got == status, body


def _kill_under_load(edge: Edge, seed: int) -> None:
    """Ask for many objects from several sides; kill the node in the middle."""
    chance = random.Random(seed)
    stop = threading.Event()

    def viewer(number: int) -> None:
        own = random.Random(seed * 100 + number)
        while not stop.is_set():
            target = f"/t{own.randrange(4)}/{own.randrange(12)}"
            try:
                status, _, body = fetch(edge.url + target)
            except OSError:
                continue  # the node is gone
            except Exception:
                continue  # cut in the middle: the client sees it
            assert (status, body) == (200, _body(target))

    viewers = [threading.Thread(target=viewer, args=(number,)) for number in range(4)]
    for each in viewers:
        each.start()
    before = len(list(edge.cache.glob("??/*")))
    wanted = before + chance.randrange(1, 6)
    until(lambda: len(list(edge.cache.glob("??/*"))) >= min(wanted, 48), 10, "some objects are stored")
    edge.end(signal.SIGKILL)
    stop.set()
    for each in viewers:
        each.join()


def _killed(edge: Edge, times: int) -> None:
    for seed in range(times):
        _kill_under_load(edge, seed)
        edge.start()
        for title in range(4):
            _hit(edge, f"/t{title}/{seed % 12}")
    until(lambda: not (edge.cache / "journal").exists(), 10, "the keeper has read all")
    edge.end()
    code, (found,) = _headrace("cache", "verify", str(edge.cache), "--json")
    assert (code, found["findings"]) == (0, [])
    assert not list((edge.cache / "parts").iterdir())


def test_a_killed_node_serves_only_whole_bytes_and_its_index_agrees(edge: Edge) -> None:
    _killed(edge, 3)


@pytest.mark.soak
def test_two_hundred_kills(edge: Edge) -> None:
    """Issue 3, Must show."""
    _killed(edge, int(os.environ.get("KILLS", "200")))
