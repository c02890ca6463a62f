"""An operator's commands against a running control: nodes, drain, purge, prefetch, orders, steer, audit, operators."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from control.contract.credential import Credential
from control.contract.messages import HEARTBEAT_PATH
from control.contract.observations import OBSERVATIONS_PATH, Observations, Quality
from control.enrol import fleet_key, write_credential
from origin.contract.headers import NODE
from tests.control.support import report
from tests.support.installation import ROOT, Installation, fetch, headrace_json

pytestmark = pytest.mark.processes
TOKEN = "operators-token-of-this-test"


@dataclass
class Control:
    """One control process and what commands need to reach it."""

    public: str
    admin: str
    folder: Path

    def json(self, *command: str) -> tuple[int, Any]:
        """Exit code and the JSON line of a command."""
        code, lines = headrace_json(*command, *self.flags(), "--json")
        return code, lines[0] if lines else None

    def text(self, *command: str) -> str:
        """What a command prints for people."""
        arguments = [sys.executable, "-m", "headrace.main", *command, *self.flags()]
        wide = {"COLUMNS": "240", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, cwd=ROOT, env=wide, check=False)
        return done.stdout + done.stderr

    def flags(self) -> tuple[str, ...]:
        return ("--control", self.admin, "--token-file", str(self.folder / "token"))

    def beat(self, node: str) -> None:
        """One heartbeat of an edge."""
        self.post(node, HEARTBEAT_PATH.format(id=node), report(region="default").encode())

    def post(self, node: str, path: str, body: bytes) -> None:
        """What an edge tells."""
        write_credential(fleet_key(self.folder / "fleet"), node, "edge", self.folder / "node.json")
        signed = Credential.load(self.folder / "node.json").sign(
            "control", method="POST", target=path, now=time.time(), body=body
        )
        assert fetch(self.public + path, body, {NODE: signed})[0] == 200


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    folder = tmp_path_factory.mktemp("control")
    (folder / "token").write_text(TOKEN)
    (folder / "c.toml").write_text(
        f'listen = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nfleet_key_file = "{folder}/fleet"\nexpiry_s = 600\n'
        f'admin_token_file = "{folder}/token"\nadministration = {{ state_dir = "{folder}/state" }}\n'
    )
    command = [sys.executable, "-m", "headrace.main", "control", "--config", f"{folder}/c.toml"]
    command += ["--ready-file", f"{folder}/ready"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log, cwd=ROOT) as process:
        try:
            deadline = time.monotonic() + 30
            while not (folder / "ready").exists() or not (folder / "ready").read_text().endswith("\n"):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
            urls = json.loads((folder / "ready").read_text())
            made = Control(urls["control"], urls["admin"], folder)
            made.beat("edge-1")
            yield made
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0


def test_nodes(control: Control) -> None:
    code, listed = control.json("nodes", "list")
    assert (code, [row["id"] for row in listed["nodes"]]) == (0, ["edge-1"])
    assert control.json("nodes", "show", "edge-1")[1]["state"] == "ok"
    assert "edge-1" in control.text("nodes", "list")
    assert control.json("nodes", "show", "edge-9") == (1, None)


def test_an_order_that_no_node_acknowledges_is_exit_code_1_and_stays(control: Control) -> None:
    code, status = control.json("purge", "--tag", "title:film", "--soft", "--wait-s", "0.1")
    assert (code, status["waiting"], status["missing"]) == (1, 1, ["edge-1"])
    assert status["order"]["command"] == {"kind": "purge", "by": "tag", "what": "title:film", "soft": True}
    assert control.json("orders", str(status["order"]["number"]))[1]["order"] == status["order"]
    code, status = control.json("prefetch", "/content/a.m4s", "--region", "default", "--wait-s", "0")
    assert (code, status["order"]["command"]["paths"]) == (0, ["/content/a.m4s"])
    for undo, kind in (((), "drain"), (("--undo",), "undrain")):
        code, status = control.json("drain", "edge-1", *undo, "--wait-s", "0")
        assert (code, status["order"]["command"]["kind"], status["targets"]["nodes"]) == (0, kind, ["edge-1"])
    assert "prefetch" in control.text("orders")


def test_steer(control: Control) -> None:
    case = ("steer", "explain", "--client", "203.0.113.7", "--content", "bbb")
    assert [row["place"] for row in control.json(*case)[1]["rows"]] == [1]
    code, made = control.json("steer", "avoid", "edge-1", "--minutes", "5", "--reason", "slow disk")
    assert code == 0
    row = control.json(*case)[1]["rows"][0]
    assert (row["place"], row["why"], row["override"]) == (None, "avoided", made["id"])
    assert "slow disk" in control.text("steer", "overrides")
    assert "nobody can take it" in control.text(*case)
    assert control.json("steer", "lift", made["id"]) == (0, {"done": True})
    for more in (("pin", "edge-1", "--minutes", "5"), ("canary", "edge-1", "--minutes", "5", "--percent", "5")):
        code, made = control.json("steer", *more)
        assert (code, made["kind"]) == (0, more[0])
        assert control.json("steer", "lift", made["id"])[0] == 0


def test_qoe(control: Control) -> None:
    """Issue 5, part 6: by edge, region, network; nothing of an edge that nobody watched."""
    assert control.json("qoe") == (0, {"by": "edge", "rows": []})
    seen = [
        Quality(network="10.0.1.0/24", votes=30, stalled=15, started=30, startup_ms=700),
        Quality(network="10.0.2.0/24", votes=10),
    ]
    control.post("edge-1", OBSERVATIONS_PATH.format(id="edge-1"), Observations(quality=tuple(seen)).encode())
    for by, names in (("edge", ["edge-1"]), ("region", ["default"]), ("network", ["10.0.1.0/24", "10.0.2.0/24"])):
        code, answer = control.json("qoe", "--by", by)
        assert (code, answer["by"], [row["name"] for row in answer["rows"]]) == (0, by, names)
    row = control.json("qoe", "--by", "network", "--count", "1")[1]["rows"][0]
    assert (row["stalledShare"], row["startupMs"], row["failedShare"], row["kbps"]) == (0.5, 700.0, 0.0, None)
    assert "700" in control.text("qoe", "--by", "edge")


def test_nodes_are_let_in_once_and_shut_out(control: Control, tmp_path: Path) -> None:
    token = control.json("nodes", "invite", "edge-7", "--role", "edge")[1]["token"]
    (tmp_path / "t").write_text(token)
    enrol = ["enrol", "--control", control.public, "--node", "edge-7", "--role", "edge"]
    enrol += ["--token-file", str(tmp_path / "t")]
    assert headrace_json(*enrol, "--out", str(tmp_path / "a.json"))[0] == 0
    assert headrace_json(*enrol, "--out", str(tmp_path / "b.json"))[0] == 1
    code, refused = control.json("nodes", "revoke", "edge-7")
    assert (code, refused["names"][0].partition(":")[0]) == (0, "edge-7")


def test_rollout_from_file_to_nowhere(control: Control, tmp_path: Path) -> None:
    (tmp_path / "v.toml").write_text('[edge]\nfast_lane = false\n[edge.store]\nslice = "2MiB"\n')
    number = str(control.json("rollout", "stage", str(tmp_path / "v.toml"), "--note", "try")[1]["number"])
    names = [each["name"] for each in control.json("rollout", "diff", number)[1]["changes"]]
    assert names == ["fast_lane", "store.slice"]
    assert control.json("rollout", "activate", number) == (1, None)
    tried = control.json("rollout", "canary", number, "--node", "edge-1")[1]
    assert tried["canary"]["nodes"] == ["edge-1"]
    assert f"version {number} on edge-1: waiting" in control.text("rollout", "list")
    assert control.json("rollout", "back", "--why", "enough")[1]["versions"][0]["stage"] == "rolled_back"
    (tmp_path / "v.toml").write_text("[edge]\nworkers = 9\n")
    assert "`workers`: not for a snapshot" in control.text("rollout", "stage", str(tmp_path / "v.toml"))


def test_operators_and_the_audit_log(control: Control, tmp_path: Path) -> None:
    made = control.json("operators", "make", "bot", "--role", "viewer", "--area", "nodes", "--days", "1")[1]
    (tmp_path / "bot").write_text(made["token"] + "\n")
    as_bot = ("--control", control.admin, "--token-file", str(tmp_path / "bot"))
    assert headrace_json("nodes", "list", *as_bot, "--json")[0] == 0
    assert headrace_json("drain", "edge-1", *as_bot, "--json") == (1, [])
    assert "bot" in control.text("operators", "list")
    assert control.json("operators", "remove", made["id"]) == (0, {"done": True})
    assert headrace_json("nodes", "list", *as_bot, "--json") == (1, [])
    entries = control.json("audit", "--count", "4")[1]["entries"]
    assert [(each["action"], each["outcome"], each["actorName"]) for each in entries] == [
        ("nodes.list", "refused", "-"),
        ("tokens.remove", "done", "operators' token"),
        ("nodes.drain", "refused", "bot"),
        ("tokens.make", "done", "operators' token"),
    ]
    assert made["token"] not in (control.folder / "state" / "audit.jsonl").read_text()
    assert control.json("audit", "--verify")[1]["ok"] is True
    assert "tokens.remove" in control.text("audit")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("purge", "--tag", "a", "--url", "/b"), "exactly one of --url, --prefix, --tag"),
        (("purge", "--tag", "a", "--node", "http://127.0.0.1:1"), "--node goes with --token-file"),
        (("nodes", "list", "--control", "http://127.0.0.1:1"), "--control goes with --token-file"),
        (("nodes", "list", "--token-file", "x"), "--token-file goes with --control"),
        (("audit", "--at", "/nowhere/run.json"), "nothing runs here"),
    ],
)
def test_mistakes_are_told(command: tuple[str, ...], says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "headrace.main", *command], capture_output=True, text=True, timeout=60, cwd=ROOT,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert says in done.stderr


def test_a_control_that_is_away_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    command = ["nodes", "list", "--control", "http://127.0.0.1:1", "--token-file", str(tmp_path / "token")]
    done = subprocess.run(
        [sys.executable, "-m", "headrace.main", *command], capture_output=True, text=True, timeout=60, cwd=ROOT,
        check=False,
    )  # fmt: skip
    assert (done.returncode, "control at http://127.0.0.1:1" in done.stderr) == (1, True)


def test_the_api_of_an_installation_wants_a_token_its_console_may_be_looked_at(running: Installation) -> None:
    """`headrace up`: the commands find control and token by run.json; a browser on this machine sees the page."""
    console = running.line["console"]
    assert fetch(f"{console}/api/v1/admin/nodes")[0] == 401
    status, _, page = fetch(console)
    assert status == 200
    assert b"Log in to act" in page
    assert b"/confirm" not in page
    code, lines = headrace_json("nodes", "list", "--at", str(running.run_file), "--json")
    known = {row["id"] for row in lines[0]["nodes"]}
    assert (code, {edge["id"] for edge in running.line["edges"]} <= known) == (0, True)
    code, lines = headrace_json("purge", "--tag", "title:nothing", "--at", str(running.run_file), "--json")
    assert (code, lines[0]["failed"], lines[0]["waiting"]) == (0, 0, 0)
    assert lines[0]["done"] >= len(running.line["edges"])
