"""Commands that need no installation: keys, tokens, doctor before a standalone edge, mistakes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.main import application
from tests.support.installation import ROOT, fetch, until
from tests.support.site import Quiet, serving

pytestmark = pytest.mark.processes


def headrace(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headrace.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


class _Files(Quiet, SimpleHTTPRequestHandler):
    """Files of a directory."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A plain origin with one film."""
    (tmp_path / "site" / "content" / "film").mkdir(parents=True)
    film = tmp_path / "site" / "content" / "film" / "seg.m4s"
    film.write_bytes(os.urandom(400_000))
    os.utime(film, (1_600_000_000, 1_600_000_000))  # old enough to be fresh for a while by heuristic
    with serving(partial(_Files, directory=str(tmp_path / "site"))) as url:
        yield url


def _edge(tmp_path: Path, origin: str, *more: str) -> tuple[subprocess.Popen[bytes], str]:
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "headrace.main", "edge", "--origin", origin, "--listen", "127.0.0.1:0"]
    command += ["--cache-dir", str(tmp_path / "cache"), "--ready-file", str(ready), *more]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
    until(lambda: ready.exists() and ready.stat().st_size, 30, "the edge serves")
    return process, json.loads(ready.read_text())["url"]


def test_doctor_before_a_standalone_edge(site: str, tmp_path: Path) -> None:
    process, edge = _edge(tmp_path, site, "--access", "open")
    try:
        path = "/content/film/seg.m4s"
        done = headrace("doctor", "--edge", edge, "--path", path, "--origin", site, "--json")
        line = json.loads(done.stdout)
        assert (done.returncode, line["ok"]) == (0, True), line
        assert line["checks"]["served from cache"] is True
        done = headrace("doctor", "--edge", edge, "--path", "/nothing", "--json")
        assert (done.returncode, json.loads(done.stdout)["ok"]) == (1, False)
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_keys_and_tokens_open_a_standalone_edge(site: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    assert headrace("keys", "new", "--alg", "ES256", "--out", str(keys)).returncode == 0
    minted = headrace("token", "mint", "--keys", str(keys), "--path", "/content/film/", "--ttl", "60")
    assert minted.returncode == 0
    process, edge = _edge(tmp_path, site, "--access", "token", "--keys", str(keys))
    try:
        assert fetch(f"{edge}/~{minted.stdout.strip()}/content/film/seg.m4s")[0] == 200
        assert fetch(f"{edge}/content/film/seg.m4s")[0] == 403
        assert fetch(f"{edge}/~{minted.stdout.strip()}/content/other/seg.m4s")[0] == 403
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("doctor", "--edge", "http://127.0.0.1:1"), "--edge and --path go together"),
        (("doctor", "--at", "/nowhere/run.json"), "nothing runs here"),
        (("token", "mint", "--keys", "/nowhere", "--path", "/x/"), "--keys"),
        (("token", "mint", "--keys", "/nowhere", "--path", "x/"), "--path"),
        (("edge", "--listen", "127.0.0.1:0", "--cache-dir", "/tmp/x"), "exactly one of `origin` and `shields`"),
        (("edge", "--origin", "ftp://x", "--listen", "1:0", "--cache-dir", "/tmp/x"), "flag --origin: `origin`"),
        (("init", "--state", "/tmp/x", "--node", "a:king"), "the role is edge, shield or origin"),
        (("origin", "migrate", "--config", "/nowhere.toml"), "/nowhere.toml: cannot be read"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments: tuple[str, ...], says: str) -> None:
    done = headrace(*arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_explains_itself_with_an_example() -> None:
    commands = ["up", "demo", "init", "edge", "shield", "control", "ingest", "doctor", "keys new", "token mint"]
    commands += ["origin serve", "origin worker", "origin migrate", "origin backup", "origin restore"]
    commands += ["nodes list", "nodes show", "drain", "purge", "prefetch", "orders", "audit", "operators list"]
    commands += ["operators make", "operators remove", "steer explain", "steer overrides", "steer pin", "steer avoid"]
    commands += ["steer canary", "steer lift", "nodes invite", "nodes revoke", "rollout list", "rollout show"]
    commands += ["rollout diff", "rollout stage", "rollout canary", "rollout activate", "rollout back"]
    for command in commands:
        done = CliRunner().invoke(application(), [*command.split(), "--help"])
        assert done.exit_code == 0
        assert "Example: headrace" in done.output, command
