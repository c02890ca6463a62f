"""Bytes on disk and in memory while several workers fill at the bound (issue 3 part 3: held within 1 %)."""

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import ROOT, fetch, until
from tests.support.site import Plain, serving

pytestmark = pytest.mark.processes

DISK, MEMORY = 48 * 2**20, 4 * 2**20
SLACK = 1.01
SIDES, ROUNDS = 24, 8
AT_ONCE = threading.Barrier(SIDES)
"""Origin holds so many bodies back until all of them are asked for: together they are more than the disk."""


def _body(target: str) -> bytes:
    """What origin says for a target: small ones, and large ones of which a dozen or two fill the disk."""
    chance = random.Random(target)
    if target.startswith("/small/"):
        return chance.randbytes(90_000)
    return chance.randbytes(chance.choice((3_000, 200_000, 2_000_000, 4_000_000)))


class _Origin(Plain):
    def do_GET(self) -> None:
        body = _body(self.path)
        self.head(len(body), Surrogate_Key="all")
        if self.path.startswith("/held/"):
            self.wfile.flush()
            AT_ONCE.wait(30)
        self.wfile.write(body)


@pytest.fixture
def origin() -> Iterator[str]:
    with serving(_Origin) as url:
        yield url


class Node:
    """An edge of three workers over two directories."""

    def __init__(self, tmp_path: Path, origin: str) -> None:
        self.places = [tmp_path / "one", tmp_path / "two"]
        ready, token = tmp_path / "ready.json", tmp_path / "token"
        token.touch(mode=0o600)
        token.write_text("an operator's token, long enough")
        self.token = token.read_text()
        settings = tmp_path / "edge.toml"
        settings.write_text(
            f'listen = "127.0.0.1:0"\norigin = "{origin}"\naccess = "open"\nworkers = 3\n'
            f'admin_token_file = "{token}"\n[store]\ncache_dir = {json.dumps([str(place) for place in self.places])}\n'
            f'disk = {DISK}\nmemory = {MEMORY}\nadmission = "all"\n'
        )
        command = [sys.executable, "-m", "headrace.main", "edge", "--config", str(settings)]
        self.process = subprocess.Popen(
            [*command, "--ready-file", str(ready)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=ROOT
        )
        until(lambda: ready.exists(), 60, "the edge serves")
        line = json.loads(ready.read_text())
        self.url, self.admin = line["url"], line["admin"]

    def on_disk(self) -> int:
        """What du says."""
        found = 0
        for place in self.places:
            for path in (place, *place.rglob("*")):
                try:
                    found += path.lstat().st_blocks * 512
                except FileNotFoundError:
                    continue  # it went meanwhile
        return found

    def metric(self, name: str) -> int:
        """The sum of a family's series."""
        _, _, body = fetch(f"{self.admin}/metrics")
        lines = [line for line in body.decode().splitlines() if line.startswith(f"headrace_{name}{{")]
        assert lines, name
        return sum(int(line.rpartition(" ")[2]) for line in lines)

    def health(self) -> dict[str, Any]:
        """What /health says."""
        found: dict[str, Any] = json.loads(fetch(f"{self.admin}/health")[2])
        return found


@pytest.fixture
def edge(tmp_path: Path, origin: str) -> Iterator[Node]:
    made = Node(tmp_path, origin)
    yield made
    made.process.kill()
    made.process.wait()


def _beside(work: Callable[[], None], until_done: threading.Thread) -> None:
    while until_done.is_alive():
        work()
    work()


def _ask_for_all(edge: Node, targets: list[str], sides: int) -> None:
    """Ask from several sides at once, each for its share; every answer is whole."""
    wrong: list[str] = []

    def viewer(share: list[str]) -> None:
        for target in share:
            status, _, body = fetch(edge.url + target)
            if (status, body) != (200, _body(target)):
                wrong.append(target)

    threads = [threading.Thread(target=viewer, args=(targets[side::sides],)) for side in range(sides)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


def test_concurrent_fills_keep_to_the_bytes_allowed(edge: Node) -> None:
    """du of both directories, index and journal included, and bodies in memory: sampled all the while."""
    disk: list[int] = []
    memory: list[int] = []

    def sample() -> None:
        disk.append(edge.on_disk())
        memory.append(edge.metric("store_memory_bytes"))

    targets = [f"/held/{number}" for number in range(SIDES * ROUNDS)]
    filling = threading.Thread(target=_ask_for_all, args=(edge, targets, SIDES))
    filling.start()
    _beside(sample, filling)
    assert len(disk) > 10
    assert max(disk) <= DISK * SLACK
    assert max(disk) > DISK * 0.8, "the bound was reached"
    assert max(memory) <= MEMORY * SLACK
    assert edge.metric("store_evictions_total") > 0
    until(lambda: not list(edge.places[0].glob("parts/*.*.*")), 10, "fills end")

    def agrees() -> bool:
        files = [path for place in edge.places for path in place.glob("??/*")]
        return edge.metric("store_disk_bytes") == sum(path.stat().st_blocks * 512 for path in files)

    until(agrees, 20, "the counters agree with the directories")


def test_a_node_that_loses_a_disk_serves_on_and_says_so(edge: Node) -> None:
    """Also over the commands: two directories, purges that add up, health, ejection, return."""
    targets = [f"/small/{number}" for number in range(20)]
    _ask_for_all(edge, targets, 2)
    assert edge.health()["status"] == "ok"
    shutil.move(edge.places[1], edge.places[1].with_suffix(".lost"))
    edge.places[1].write_bytes(b"")
    until(lambda: edge.health()["store"]["volumes"][1]["out"], 30, "the directory is ejected")
    health = edge.health()
    assert (health["status"], health["store"]["keeps"]) == ("degraded", True)
    _ask_for_all(edge, targets, 2)
    headers = {"Authorization": f"Bearer {edge.token}"}
    status, _, body = fetch(f"{edge.admin}/purge", b'{"tag": "all"}', headers)
    assert (status, json.loads(body)["objects"]) == (200, len(targets))
    edge.places[1].unlink()
    shutil.move(edge.places[1].with_suffix(".lost"), edge.places[1])
    until(lambda: edge.health()["status"] == "ok", 30, "the directory is back")
    assert not list(edge.places[1].glob("??/*"))
    _ask_for_all(edge, targets, 2)
    edge.process.send_signal(signal.SIGTERM)
    edge.process.wait(30)
    command = [sys.executable, "-m", "headrace.main", "cache", "stat", *map(str, edge.places), "--json"]
    done = subprocess.run(command, capture_output=True, timeout=60, cwd=ROOT, check=True)
    assert json.loads(done.stdout)["objects"] == len(targets)
