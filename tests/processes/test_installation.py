"""A whole installation as real processes: issue 'Backbone', Must show."""

import hashlib
import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from origin.contract.token import Keys, mint
from tests.support.installation import Installation, fetch, until

pytestmark = pytest.mark.processes


def _segments(running: Installation) -> list[tuple[str, str]]:
    """(name, sha256) of the video segments."""
    url = f"{running.line['origin']}/api/v1/titles/{running.line['contentId']}/assets"
    _, _, body = fetch(url, headers={"Authorization": f"Bearer {running.operator_token}"})
    assets = json.loads(body)["assets"]
    return [(a["name"], a["sha256"]) for a in assets if a["kind"] == "segment" and a["name"].startswith("v")]


def _base(url: str) -> str:
    return url.rpartition("/")[0]


def _delivered(running: Installation) -> int:
    """How many requests for content origin's delivery has seen."""
    return len(re.findall(r'"room":"delivery"', running.log("origin")))


def test_the_ready_line_is_what_scripts_read(running: Installation) -> None:
    line = running.line
    assert set(line) == {"origin", "control", "player", "console", "contentId", "playlist", "edges", "shields"}
    assert [set(edge) for edge in line["edges"]] == [{"id", "region", "url", "pid"}] * 3
    assert len({edge["region"] for edge in line["edges"]}) == 2
    assert json.loads(running.run_file.read_text()) == line
    assert running.run_file.stat().st_mode & 0o777 == 0o600
    assert fetch(line["playlist"])[0] == fetch(line["player"])[0] == fetch(line["console"])[0] == 200


def test_playback_start_has_the_contract_s_fields(running: Installation) -> None:
    """CDN-04, MAN-21, contracts.md."""
    session = running.start()
    wanted = {"sessionId", "manifestUrl", "playbackToken", "licenseUrl", "certificateUrl", "expiresAt"}
    assert set(session) == wanted
    assert session["licenseUrl"] is session["certificateUrl"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", session["expiresAt"])
    assert urlsplit(session["manifestUrl"]).port in {urlsplit(edge["url"]).port for edge in running.line["edges"]}


def test_doctor_finds_all_bytes_equal_and_the_second_run_stays_at_the_edge(running: Installation) -> None:
    first = running.doctor()
    assert first["ok"]
    assert first["files"] > 20
    for last in (False, True):  # a master playlist may just then have passed its 60 s (D-08): once, not twice in a row
        before = _delivered(running)
        second = running.doctor()
        assert second["edge"] == first["edge"]
        assert second["files"] == first["files"]
        if second["edgeHits"] == second["files"] and _delivered(running) == before:
            return
        assert not last, (second, _delivered(running) - before)


def test_fifty_clients_on_one_cold_segment_are_one_request_at_origin(running: Installation) -> None:
    """CDN-23. On the edge with two workers, so through both of them."""
    edge = next(edge for edge in running.line["edges"] if edge["id"] == "edge-west-2")
    name, digest = _segments(running)[-1]
    path = f"/content/{running.line['contentId']}/"
    keys = Keys.load(running.state / "keys")
    token = mint(keys, path=path, now=time.time(), ttl_s=60)
    version = running.line["playlist"].split("/")[-2]
    # a query that nobody used makes the object cold in every tier
    target = f"/~{token}{path}{version}/{name}?cold=1"
    before = running.log("origin").count("cold=1") + _delivered(running)
    found: list[str] = []
    barrier = threading.Barrier(50)

    def client() -> None:
        barrier.wait()
        status, _, body = fetch(edge["url"] + target)
        found.append(f"{status} {hashlib.sha256(body).hexdigest()}")

    threads = [threading.Thread(target=client) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [f"200 {digest}"] * 50
    assert _delivered(running) - before == 1


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("case", ["none", "altered", "expired", "other title", "licence"])
def test_every_refusal_looks_the_same(running: Installation, case: str, exists: bool) -> None:
    """CDN-09, T-018: one constant 403; nothing tells whether the object exists; the reason is in log and metric."""
    edge = running.line["edges"][0]
    session = running.start()
    good = session["manifestUrl"].split("/~")[1].split("/")[0]
    keys = Keys.load(running.state / "keys")
    path = f"/content/{running.line['contentId']}/"
    tokens = {
        "none": None,
        "altered": good[:-5] + ("A" if good[-5] != "A" else "B") + good[-4:],
        "expired": mint(keys, path=path, now=time.time() - 120, ttl_s=60),
        "other title": mint(keys, path="/content/other/", now=time.time(), ttl_s=60),
        "licence": session["playbackToken"],
    }
    reasons = {"none": "missing", "altered": "bad_signature", "expired": "expired"}
    reason = reasons.get(case, "path" if case == "other title" else "audience")
    version = running.line["playlist"].split("/")[-2]
    rest = f"{path}{version}/master.m3u8" if exists else f"{path}{version}/nothing.m3u8"
    token = tokens[case]
    before = _refusals(running, edge["id"], reason)
    status, fields, body = fetch(edge["url"] + (f"/~{token}{rest}" if token else rest))
    assert (status, body) == (403, b'{"error":"refused"}\n')
    varying = ("date", "x-request-id")
    constant = {name: value for name, value in fields.items() if name not in varying}
    assert constant == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "content-length": "20",
        "connection": "close",
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "Age, Cache-Status, CMSD-Dynamic",
        "timing-allow-origin": "*",
    }
    assert _refusals(running, edge["id"], reason) == before + 1


def _refusals(running: Installation, node: str, reason: str) -> int:
    match = re.search(rf'headrace_refusals_total{{[^}}]*reason="{reason}"}} (\d+)', running.metrics(node))
    assert match
    return int(match[1])


def test_shield_and_delivery_give_nothing_without_a_node_credential(running: Installation) -> None:
    """SEC-07, contracts.md: whoever finds a shield gets nothing."""
    path = urlsplit(running.line["playlist"]).path
    path = "/" + path.split("/", 2)[2]
    delivery = json.loads((running.state / "ready" / "origin.json").read_text())["delivery"]
    for base in (running.line["shields"][0]["url"], delivery):
        for headers in ({}, {"Headrace-Node": "edge edge-west-1 1 x"}, {"Headrace-Node": "shield shield-1 1 x"}):
            status, _, body = fetch(base + path, headers=headers)
            assert (status, body) == (403, b'{"error":"refused"}\n')


_BAD = [
    b"GET /~t/content/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /~t/content%2f..%2fetc HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /~t/a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://127.0.0.1/content/x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 65536 + b"\r\n\r\n",
    b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"NONSENSE\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", _BAD, ids=lambda raw: raw[:24])
def test_malformed_requests_get_4xx_or_a_closed_connection(running: Installation, request_bytes: bytes) -> None:
    for tier in (running.line["edges"][0], running.line["shields"][0]):
        parts = urlsplit(tier["url"])
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as viewer:
            try:
                viewer.sendall(request_bytes)
                viewer.shutdown(socket.SHUT_WR)
                answer = viewer.recv(4096)
            except ConnectionError:
                answer = b""
        assert not answer or re.match(rb"HTTP/1\.[01] 4\d\d ", answer), answer[:80]


def test_a_stalled_half_request_and_a_slow_reader_hold_up_nobody(running: Installation, tmp_path: Path) -> None:
    parts = urlsplit(running.line["edges"][0]["url"])
    session = running.start()
    segment = f"{_base(session['manifestUrl'])}/{_segments(running)[0][0]}"
    with (
        socket.create_connection((parts.hostname, parts.port)) as stalled,
        socket.create_connection((parts.hostname, parts.port)) as slow,
    ):
        stalled.sendall(b"GET /~t/content/x HTTP/1.1\r\nHo")
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(f"GET {urlsplit(segment).path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        began = time.monotonic()
        assert fetch(segment)[0] == 200
        assert time.monotonic() - began < 5


def test_ingest_refuses_what_is_no_film_with_one_line(running: Installation, tmp_path: Path) -> None:
    bad = tmp_path / "not a film.mp4"
    bad.write_text("hello\n" * 100)
    done = running.headrace("ingest", str(bad), "--title", "Nothing", "--at", str(running.run_file))
    assert done.returncode == 1
    words = [line for line in done.stderr.splitlines() if line.startswith("headrace: ")]
    assert len(words) == 1
    _, _, body = fetch(running.line["origin"] + "/api/v1/titles")
    assert [title["title"] for title in json.loads(body)["titles"]] == ["big_buck_bunny_720p_30s"]


def test_edges_and_shield_reload_and_a_player_sees_nothing_of_it(running: Installation) -> None:
    """Issue 4, part 3: the token edges and the shield, each with its files read again."""

    def settings(node: dict) -> dict:
        return json.loads(fetch(f"{node['admin']}/health")[2])["settings"]

    ready = running.state / "ready"
    nodes = [json.loads(path.read_text()) for name in ("edge", "shield") for path in ready.glob(f"{name}*.json")]
    assert len(nodes) == 4
    before = [settings(node) for node in nodes]
    for node in nodes:
        os.kill(node["pid"], signal.SIGHUP)
    for node, old in zip(nodes, before, strict=True):
        until(lambda node=node, old=old: settings(node) != old, 30, "reloaded")
        assert settings(node)["error"] is None
    assert running.doctor()["ok"]


def test_backup_of_a_running_origin_restores_into_an_empty_one(running: Installation, tmp_path: Path) -> None:
    """ORG-09, T-036."""
    config = running.state / "settings" / "origin.toml"
    archive, elsewhere = tmp_path / "backup.tar", tmp_path / "elsewhere"
    done = running.headrace("origin", "backup", "--config", str(config), "--out", str(archive))
    assert done.returncode == 0, done.stderr
    again = running.headrace("origin", "backup", "--config", str(config), "--out", str(archive))
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    moved = tmp_path / "origin.toml"
    moved.write_text(config.read_text().replace(str(running.state), str(elsewhere)))
    (elsewhere / "credentials").mkdir(parents=True)
    done = running.headrace("origin", "restore", str(archive), "--config", str(moved))
    assert done.returncode == 0, done.stderr
    here = {p.name for p in (running.state / "origin" / "objects").glob("??/*")}
    assert here == {p.name for p in (elsewhere / "origin" / "objects").glob("??/*")}
    assert running.headrace("origin", "migrate", "--config", str(moved)).returncode == 0
