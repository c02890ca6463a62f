"""`max_isolation_s` on a real edge whose control is not there: not ready, 503 to viewers; without it, it serves on."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.enrol import fleet_key, write_credential
from tests.support.installation import ROOT, fetch, until
from tests.support.site import Plain, serving

pytestmark = pytest.mark.processes
_DEADLINE_S = 30.0


class _Origin(Plain):
    """Says x."""

    def do_GET(self) -> None:
        self.head(1, Cache_Control="max-age=3600")
        self.wfile.write(b"x")


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a control that never answers: bound, not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def _edge(place: Path, origin: str, control: str, most: str) -> tuple["subprocess.Popen[bytes]", dict[str, Any]]:
    credential, ready = place / "edge.json", place / "ready.json"
    write_credential(fleet_key(place / "fleet"), "edge-1", "edge", credential)
    (place / "edge.toml").write_text(
        f'listen = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\naccess = "open"\norigin = "{origin}"\n{most}'
        f'[identity]\nid = "edge-1"\ncredential = "{credential}"\ncontrol = "{control}"\n'
        f'[store]\ncache_dir = "{place / "cache"}"\n'
    )
    command = [sys.executable, "-m", "headrace.main", "edge", "--config", str(place / "edge.toml")]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--ready-file", str(ready)], stderr=log, cwd=ROOT)
    until(lambda: ready.exists() or process.poll() is not None, _DEADLINE_S, "the edge serves")
    return process, json.loads(ready.read_text())


def _asked(url: str) -> tuple[int, str | None]:
    """Status and Retry-After."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/a")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.getheader("Retry-After")


@pytest.mark.parametrize("most", ["max_isolation_s = 5\n", ""])
def test_a_node_without_word_stops_where_it_is_told_to(tmp_path: Path, nobody: str, most: str) -> None:
    with serving(_Origin) as origin:
        process, at = _edge(tmp_path, origin, nobody, most)
        try:
            assert _asked(at["url"]) == (200, None)
            until(lambda: _isolation(at)["age_s"] > 5.5, _DEADLINE_S, "it was too long without word")
            assert _isolation(at)["serves"] is not bool(most)
            assert _asked(at["url"]) == ((503, "1") if most else (200, None))
            assert fetch(f"{at['admin']}/ready")[0] == (503 if most else 200)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_DEADLINE_S)


def _isolation(at: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fetch(f"{at['admin']}/health")[2])["isolation"]
    return found
