"""The peers' line-up as processes (issue 4, part 6): who speaks TLS, whose pages go. Facts, never times."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.peers import cold, picture
from bench.peers.lineup import COLD, FOLDER, LineUp, lineup, missing
from bench.peers.processes import Peer, which
from kit.errors import SettingsError

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(bool(missing()), reason="needs nginx, varnish and wrk (`make bench-peers` installs them)"),
]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[LineUp]:
    with lineup(tmp_path) as made:
        yield made


def _cipher(peer: Peer) -> tuple[str, str]:
    context = ssl.create_default_context(cafile=peer.ca)
    with (
        socket.create_connection(("127.0.0.1", peer.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        cipher = secure.cipher()
    assert cipher is not None
    return cipher[1], cipher[0]


def test_both_speak_tls_1_3_with_one_cipher_and_serve_one_object(line: LineUp) -> None:
    peers = line.encrypted()
    assert {_cipher(peer) for peer in peers} == {("TLSv1.3", "TLS_AES_256_GCM_SHA384")}
    for peer in peers:
        assert peer.get(f"{FOLDER}65536.bin")["Content-Length"] == "65536"


def test_dropped_pages_come_from_the_disk_again(line: LineUp, tmp_path: Path) -> None:
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True).stdout
    if kind.strip() in ("tmpfs", "ramfs"):
        pytest.skip("the temporary directory is in memory")
    nginx, path = line.nginx("off", threads=True), COLD.format(1)
    for _ in range(2):
        nginx.get(path)
    before = nginx.from_disk()
    nginx.get(path)
    assert nginx.from_disk() == before
    cold.drop(nginx)
    assert nginx.get(path)["X-Cache"] == "HIT"
    assert nginx.from_disk() >= before + 2**20


def test_a_chart_becomes_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "chart.png"
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40"><rect width="80" height="40"/></svg>'
    if which("chromium") is None:
        with pytest.raises(SettingsError):
            picture.png(svg, file)
        return
    picture.png(svg, file)
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG\r\n")
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (160, 80)
