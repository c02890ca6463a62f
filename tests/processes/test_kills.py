"""`kill -9` of a node and of its workers at random moments under load (issue 3): after each restart every served byte
equals origin's, and in the end the index agrees with the directory."""

import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.edge import Edge, workers_of
from tests.support.installation import fetch, headrace_json, until
from tests.support.site import Plain, serving

pytestmark = pytest.mark.processes
_LARGE = 2_500_000
_SEEDED = 6
_STORED = 30


def _body(target: str) -> bytes:
    """What origin says for a target: always the same bytes, of a size of its own."""
    size = _LARGE if target.startswith("/large/") else 1_000 + len(target) * 9_000
    return random.Random(target).randbytes(size)


class _Origin(Plain):
    def do_GET(self) -> None:
        body, part = _body(self.path), {}
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if wanted:
            first, _, last = wanted.partition("-")
            total, start = len(body), int(first)
            body = body[start : int(last or total) + 1]
            part = {"Content_Range": f"bytes {start}-{start + len(body) - 1}/{total}"}
        groups = f'"title:{self.path.split("/")[1]}"'
        self.head(len(body), 206 if part else 200, ETag='"always"', Cache_Groups=groups, **part)
        self.wfile.write(body)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with serving(_Origin) as origin:
        made = Edge(tmp_path, origin)
        made.start()
        yield made
        made.end(signal.SIGKILL)


class Viewers:
    """Threads that ask for objects and ranges; a cut answer is a connection's end, a wrong one is kept."""

    def __init__(self, edge: Edge, seed: int, count: int = 4) -> None:
        self._edge, self._stop = edge, threading.Event()
        self.wrong: list[str] = []
        self.served = 0
        self._threads = [threading.Thread(target=self._watch, args=(seed * 100 + number,)) for number in range(count)]
        for each in self._threads:
            each.start()

    def end(self) -> None:
        """Nobody asks any more; AssertionError when somebody got what origin never said."""
        self._stop.set()
        for each in self._threads:
            each.join()
        assert not self.wrong, self.wrong[:3]

    def _watch(self, seed: int) -> None:
        own = random.Random(seed)
        while not self._stop.is_set():
            try:
                self._ask(own)
            except Exception as error:  # the node is gone, or cut us off: the client sees it
                if isinstance(error, AssertionError):
                    self.wrong.append(str(error))

    def _ask(self, own: random.Random) -> None:
        if own.random() < 0.3:
            target, start = f"/large/{own.randrange(6)}", own.randrange(_LARGE - 10_000)
            length = own.randrange(1, 10_000)
            fields = {"Range": f"bytes={start}-{start + length - 1}"}
            status, _, body = fetch(self._edge.url + target, None, fields)
            wanted = (206, _body(target)[start : start + length])
        else:
            target = f"/t{own.randrange(4)}/{own.randrange(12)}" if own.random() < 0.9 else f"/large/{own.randrange(6)}"
            status, _, body = fetch(self._edge.url + target)
            wanted = (200, _body(target))
        if status in (502, 503):
            return
        assert (status, body) == wanted, f"{target}: {status}, {len(body)} bytes that are not origin's"
        self.served += 1


def _workers(edge: Edge) -> list[int]:
    assert edge.process
    return workers_of(edge.process.pid)


def _ready(edge: Edge) -> bool:
    try:
        return fetch(edge.admin + "/ready")[0] == 200
    except OSError:
        return False


def _purge(edge: Edge, tag: str) -> None:
    """Make room for new fills; a worker may be down, the keeper does it all the same."""
    fields = {"Authorization": f"Bearer {edge.token.read_text()}"}
    status, _, body = fetch(edge.admin + "/purge", json.dumps({"tag": tag}).encode(), fields)
    assert status == 200, body


def _kill_under_load(edge: Edge, seed: int) -> None:
    """Ask from several sides; in the middle kill the node, or one of its workers."""
    chance = random.Random(seed)
    before, then = chance.randrange(1, _STORED), chance.randrange(0, 4)
    viewers = Viewers(edge, seed)
    try:
        until(lambda: viewers.served >= before, 20, "some answers are served")
        _purge(edge, f"title:{chance.choice(['t0', 't1', 't2', 't3', 'large'])}")
        served = viewers.served
        until(lambda: viewers.served > served + then, 20, "fills begin")
        if seed % 2:
            os.kill(chance.choice(_workers(edge)), signal.SIGKILL)
            until(lambda: _ready(edge), 20, "the worker is back")
        else:
            edge.end(signal.SIGKILL)
    finally:
        viewers.end()


def _check(edge: Edge, seed: int) -> None:
    """Every byte, of what was stored and of what was not."""
    for target in (f"/t{seed % 4}/{seed % 12}", f"/t{(seed + 1) % 4}/{seed % 5}", f"/large/{seed % 6}"):
        status, _, body = fetch(edge.url + target)
        assert (status, body) == (200, _body(target)), target


def _killed(edge: Edge, times: int) -> None:
    for seed in range(times):
        _kill_under_load(edge, seed)
        if seed % 2 == 0:
            edge.start()
        _check(edge, seed)
    edge.end()
    edge.start()
    until(lambda: not list((edge.cache / "parts").iterdir()), 10, "what killed workers left is gone")
    until(lambda: not (edge.cache / "journal").exists(), 10, "the keeper has read all")
    edge.end()
    code, (found,) = headrace_json("cache", "verify", str(edge.cache), "--json")
    assert (code, found["findings"]) == (0, [])


def test_killed_nodes_and_workers_serve_only_whole_bytes_and_the_index_agrees(edge: Edge) -> None:
    """The seeded, small form: three of each."""
    _killed(edge, _SEEDED)


@pytest.mark.soak
def test_two_hundred_kills(edge: Edge) -> None:
    """Issue 3, Must show: a hundred of the node, a hundred of a worker."""
    _killed(edge, int(os.environ.get("KILLS", "200")))
