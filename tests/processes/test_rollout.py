"""A rollout over real processes: a good version reaches every edge, one that raises errors only its canary, and goes
back by itself (issue 5, Must show)."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import Installation, fetch

pytestmark = pytest.mark.processes


class Rollout:
    """The commands, and what the edges say of themselves."""

    def __init__(self, running: Installation, folder: Path) -> None:
        self.running, self.folder = running, folder

    def json(self, *command: str) -> tuple[int, Any]:
        done = self.running.headrace("rollout", *command, "--at", str(self.running.run_file), "--json", timeout=120)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def stage(self, text: str) -> str:
        (self.folder / "v.toml").write_text(text)
        return str(self.json("stage", str(self.folder / "v.toml"))[1]["number"])

    def versions(self) -> dict[str, int]:
        """What each edge has, by its own /health."""
        found = {}
        for edge in self.running.line["edges"]:
            base, _, port = edge["url"].rpartition(":")
            health = json.loads(fetch(f"{base}:{int(port) + 1000}/health")[2])
            found[edge["id"]] = health["snapshot"]["version"]
        return found

    def until(self, wanted: dict[str, int]) -> None:
        deadline = time.monotonic() + 30
        while (found := self.versions()) != wanted:
            assert time.monotonic() < deadline, found
            self.ask(1)

    def ask(self, times: int, path: str = "") -> list[int]:
        """Statuses of requests to every edge: with `path`, of what is not stored."""
        playlist = self.running.line["playlist"]
        head, _, rest = playlist.partition("/~")
        token = rest.partition("/")[0]
        assert head
        found = []
        for number in range(times):
            for edge in self.running.line["edges"]:
                target = f"{path}?{time.monotonic_ns()}-{number}" if path else rest.partition("/")[2]
                found.append(fetch(f"{edge['url']}/~{token}/{target}")[0])
        return found


def test_a_good_version_reaches_all_a_bad_one_its_canary_alone(running: Installation, tmp_path: Path) -> None:
    rollout = Rollout(running, tmp_path)
    edges = [edge["id"] for edge in running.line["edges"]]
    content = running.line["contentId"]
    good = rollout.stage("[edge]\nfast_lane = false\n[shield.limits]\ndrain_s = 5\n")
    assert rollout.json("canary", good, "--node", edges[0], "--soak-s", "2", "--goes-on")[0] == 0
    rollout.until({edge: int(good) * (edge == edges[0]) for edge in edges})
    deadline = time.monotonic() + 60
    while rollout.json("list")[1]["active"] != int(good):
        assert time.monotonic() < deadline, rollout.json("list")
        assert set(rollout.ask(100)) == {200}
    rollout.until(dict.fromkeys(edges, int(good)))
    other = rollout.stage('[edge]\nshields = ["http://127.0.0.1:1"]\n')  # another authority: keys would change
    code, standing = rollout.json("canary", other, "--node", edges[1], "--wait")
    assert (code, standing["versions"][0]["stage"]) == (1, "rolled_back")
    assert f"{edges[1]} could not use it: `authority`" in standing["versions"][0]["why"]
    rollout.until(dict.fromkeys(edges, int(good)))
    bad = rollout.stage("[edge.upstream]\nhead_timeout_s = 0.000001\n")
    assert rollout.json("canary", bad, "--node", edges[1], "--soak-s", "600", "--goes-on")[0] == 0
    rollout.until(dict.fromkeys(edges, int(good)) | {edges[1]: int(bad)})
    seen: set[int] = set()
    deadline = time.monotonic() + 60
    while rollout.json("list")[1]["canary"]:
        assert time.monotonic() < deadline, rollout.json("list")
        seen |= set(rollout.ask(100, f"content/{content}/none"))
        assert all(version == int(good) for edge, version in rollout.versions().items() if edge != edges[1])
    assert seen & {502, 503, 504}, rollout.json("list")[1]["versions"][0]["why"]
    rollout.until(dict.fromkeys(edges, int(good)))
    row = rollout.json("list")[1]["versions"][0]
    assert (row["stage"], row["number"]) == ("rolled_back", int(bad))
    assert "of its answers are errors" in row["why"]
    assert rollout.json("back", "--why", "as it was")[1]["active"] is None
    rollout.until(dict.fromkeys(edges, 0))
