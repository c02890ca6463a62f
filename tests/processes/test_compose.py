"""docker-compose.yml, without a container engine: every command of ours runs with its environment (DEP-08)."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.support import databases
from tests.support.installation import ROOT, fetch, until

pytestmark = pytest.mark.processes

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?)?\}")
COMPOSE = ROOT / "docker-compose.yml"


def _interpolated(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _interpolated(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_interpolated(each, variables) for each in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: variables.get(match[1], match[2] or ""), value)
    return value


def _ports(text: str) -> list[str]:
    return sorted(set(re.findall(r"\$\{(\w+_PORT)", text)))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Compose:
    """The services of the file with variables of our own, started as plain processes."""

    def __init__(self, state: Path, postgres: databases.Postgres) -> None:
        text = COMPOSE.read_text()
        names = [name for name in _ports(text) if name != "POSTGRES_PORT"]
        self.ports = dict(zip(names, map(str, _free_ports(len(names))), strict=True))
        variables = {**self.ports, "STATE": str(state), "POSTGRES_PASSWORD": "secret", "GRAFANA_PASSWORD": "secret"}
        variables |= {"POSTGRES_PORT": str(postgres.port), "PLAYERS": str(ROOT / ".headrace-players/node_modules")}
        self.services: dict[str, dict[str, Any]] = _interpolated(yaml.safe_load(text)["services"], variables)
        self.state = state

    @property
    def ours(self) -> list[str]:
        """The services that run our image."""
        return [name for name, service in self.services.items() if service["image"].startswith("headrace:")]

    def command(self, name: str) -> list[str]:
        words = shlex.split(self.services[name]["command"])
        return [sys.executable, "-m", "headrace.main", *words] if name in self.ours else words

    def environment(self, name: str) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("HEADRACE_")}
        return clean | {key: str(value) for key, value in self.services[name].get("environment", {}).items()}

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.state / f"{name}.out").open("wb") as output:
            process = subprocess.Popen(
                self.command(name), env=self.environment(name), stdout=output, stderr=output, cwd=self.state
            )
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=30)

    def answers(self, port: str, path: str) -> bool:
        try:
            return fetch(f"http://127.0.0.1:{self.ports[port]}{path}")[0] == 200
        except OSError:
            return False


def test_every_service_of_ours_comes_up_with_its_environment(tmp_path: Path) -> None:
    with ExitStack() as stack:
        postgres = stack.enter_context(databases.running())
        with psycopg.connect(postgres.url(), autocommit=True) as admin:
            admin.execute("CREATE DATABASE headrace")
        compose = Compose(tmp_path, postgres)
        init = subprocess.run(
            compose.command("init"), env=compose.environment("init"), capture_output=True, check=False
        )
        assert init.returncode == 0, init.stderr
        started = {
            name: stack.enter_context(compose.running(name)) for name in ["redis", *compose.ours] if name != "init"
        }

        def alive() -> bool:
            ended = {name: p.returncode for name, p in started.items() if p.poll() is not None}
            assert not ended, {name: (tmp_path / f"{name}.out").read_text()[-2000:] for name in ended}
            return True

        ready = [("API_PORT", "/ready"), ("CONTROL_PORT", "/ready"), ("SHIELD_ADMIN_PORT", "/ready")]
        ready += [("EDGE_WEST_ADMIN_PORT", "/ready"), ("EDGE_EAST_ADMIN_PORT", "/ready")]
        for port, path in ready:
            until(lambda port=port, path=path: alive() and compose.answers(port, path), 40.0, f"{port} serves")
        until(lambda: alive() and _nodes(compose) == _wanted(compose), 10.0, "control knows every node")
        health = json.loads(fetch(f"http://127.0.0.1:{compose.ports['CONTROL_PORT']}/health")[2])
        assert health["registry"]["kind"] == "redis"
        worker = tmp_path / "origin-worker.out"
        until(lambda: alive() and "taking jobs" in worker.read_text(), 20.0, "the worker takes jobs")


def _nodes(compose: Compose) -> set[str]:
    token = (compose.state / "operator.token").read_text()
    url = f"http://127.0.0.1:{compose.ports['ADMIN_PORT']}/api/v1/admin/nodes"
    answer = fetch(url, headers={"Authorization": f"Bearer {token}"})[2]
    return {node["id"] for node in json.loads(answer)["nodes"]}


def _wanted(compose: Compose) -> set[str]:
    return {name for name in compose.ours if name.startswith(("edge-", "shield-"))}


def test_the_dockerfile_copies_every_package() -> None:
    text = (ROOT / "Dockerfile").read_text()
    packages = re.search(r"packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text())
    assert packages
    for name in re.findall(r'"(\w+)"', packages[1]):
        assert f"COPY {name} {name}\n" in text


def test_dashboards_and_alerts_name_only_metrics_that_exist() -> None:
    """T-028."""
    from kit.metrics import Board
    from proxy.host.admin import render
    from proxy.host.worker import families

    board = Board(families(("missing",)), 1)
    known = set(re.findall(r"^(\w+)\{", render(board, {"node": "x"}), re.MULTILINE)) | {"up"}
    board.close()
    rules = yaml.safe_load((ROOT / "configs/prometheus/rules.yml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads((ROOT / "configs/grafana/dashboards/headrace.json").read_text())
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for text in expressions for name in re.findall(r"\b(?:headrace|cdn)_\w+|\bup\b", text)}
    assert named
    assert named <= known
