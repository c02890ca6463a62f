"""Geo and observations over real processes: SIGHUP, a torn database, and viewers' round trips and votes at control."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.support.geo import PLACES, write_database
from tests.support.installation import ROOT, Installation, fetch, until

pytestmark = pytest.mark.processes


@contextmanager
def control(tmp_path: Path, database: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A control process, its public URL."""
    config, ready = tmp_path / "control.toml", tmp_path / "ready.json"
    config.write_text(
        f'listen = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\nfleet_key_file = "{tmp_path}/fleet"\n'
        f'geo_database = "{database}"\n'
    )
    command = [sys.executable, "-m", "headrace.main", "control", "--config", str(config), "--ready-file", str(ready)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        until(lambda: ready.exists() and ready.stat().st_size, 30, "control serves")
        yield process, json.loads(ready.read_text())["control"]
    finally:
        process.terminate()
        process.wait(timeout=30)


def health(url: str) -> Any:
    return json.loads(fetch(f"{url}/health")[2])


def test_sighup_takes_a_new_database_and_a_bad_one_leaves_the_old(tmp_path: Path) -> None:
    """CTL-04: replaced live; what cannot be read is said in /health."""
    file = write_database(tmp_path / "places.mmdb", type_="Before-Country")
    with control(tmp_path, file) as (process, url):
        assert health(url)["geo"]["databases"][0]["type"] == "Before-Country"
        write_database(file, PLACES | {"10.9.0.0/16": {"country_code": "FR"}}, type_="After-Country")
        process.send_signal(signal.SIGHUP)
        until(lambda: health(url)["geo"]["databases"][0]["type"] == "After-Country", 10, "the new one is in use")
        file.write_bytes(b"torn")
        process.send_signal(signal.SIGHUP)
        until(lambda: health(url)["geo"]["databases"][0]["error"], 10, "the bad one is told of")
        assert health(url)["geo"]["databases"][0]["type"] == "After-Country"
        assert process.poll() is None


def test_a_torn_database_is_refused_at_start(tmp_path: Path) -> None:
    file = write_database(tmp_path / "places.mmdb")
    file.write_bytes(file.read_bytes()[:200])
    config = tmp_path / "control.toml"
    config.write_text(f'listen = "127.0.0.1:0"\nfleet_key_file = "{tmp_path}/fleet"\ngeo_database = "{file}"\n')
    command = [sys.executable, "-m", "headrace.main", "control", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert f"{file}: no whole MaxMind DB" in done.stderr


def _count(text: str, name: str) -> float:
    return sum(float(found) for found in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def test_what_viewers_see_arrives_at_control(running: Installation) -> None:
    """CTL-03 and issue 5, part 6: from the socket and the player, through worker and supervisor, to control."""
    session = running.start()
    parts = urlsplit(session["manifestUrl"])
    edge = f"{parts.scheme}://{parts.netloc}"
    report = quote('bs,br=900,tb=3600,ot=v,st=v,sid="x"', safe="")
    mark = "&" if parts.query else "?"
    assert fetch(f"{session['manifestUrl']}{mark}CMCD={report}")[0] == 200
    events = f"{edge}/{parts.path.split('/')[1]}/cmcd"
    status, fields, _ = fetch(events, b"e=t,sta=p,st=v,ts=1,v=2,msd=700\n")
    assert (status, fields["access-control-allow-origin"]) == (204, "*")
    assert fetch(f"{edge}/cmcd", b"bs\n")[0] == 403
    url = running.line["control"]

    def seen() -> bool:
        text = fetch(f"{url}/metrics")[2].decode()
        return all(_count(text, f"headrace_control_{name}_total") for name in ("votes", "stalled_votes", "round_trips"))

    until(seen, 30, "votes and round trips at control")
    assert health(url)["history"]["networks"] >= 1
    node = next(each["id"] for each in running.line["edges"] if each["url"].endswith(str(parts.port)))
    assert health(f"http://127.0.0.1:{running.admin_port(node)}")["observations"]["told"] >= 1
