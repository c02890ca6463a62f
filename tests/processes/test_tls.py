"""`headrace edge --tls` as processes (issue 4, part 4; CDN-21, DEP-08)."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Authority, Files

pytestmark = pytest.mark.processes
DEADLINE_S = 20.0
EDGE = [sys.executable, "-m", "headrace.main", "edge", "--origin", "http://127.0.0.1:9", "--access", "open"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who issues."""
    return Authority(tmp_path / "authority")


def _until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(f"never came true: {what}")


@contextlib.contextmanager
def _edge(tmp_path: Path, *pairs: Files) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A running edge with two workers: its process, URL and admin URL."""
    ready = tmp_path / "ready.json"
    flags = [text for pair in pairs for text in ("--tls", str(pair.cert), str(pair.key))]
    command = [*EDGE, "--listen", "127.0.0.1:0", "--cache-dir", str(tmp_path / "cache"), "--workers", "2", *flags]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--ready-file", str(ready)], stderr=log)
    try:
        _until(lambda: process.poll() is not None or ready.exists(), "ready")
        assert process.poll() is None, (tmp_path / "log").read_text()
        told = json.loads(ready.read_text())
        yield process, told["url"], told["admin"]
    finally:
        process.kill()
        process.wait()


def _health(admin: str) -> dict:
    with urllib.request.urlopen(f"{admin}/health", timeout=5) as answer:
        return json.load(answer)


def _served(url: str, authority: Authority, name: str) -> set[str]:
    """The names of the certificate that a viewer asking for `name` gets."""
    context = authority.client()
    context.check_hostname = False
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    with (
        socket.create_connection(address, timeout=DEADLINE_S) as raw,
        context.wrap_socket(raw, server_hostname=name) as spoken,
    ):
        certificate = spoken.getpeercert() or {}
    return {value for _, value in certificate["subjectAltName"]}


def test_an_edge_speaks_tls_says_so_takes_new_files_and_drains(tmp_path: Path, authority: Authority) -> None:
    pair, other = authority.issue("127.0.0.1", "edge.test"), authority.issue("*.films.test")
    with _edge(tmp_path, pair, other) as (process, url, admin):
        assert url.startswith("https://")
        with pytest.raises(urllib.error.HTTPError, match="502"):
            urllib.request.urlopen(f"{url}/x", timeout=5, context=authority.client())
        assert _served(url, authority, "a.films.test") == {"*.films.test"}
        listener = _health(admin)["listener"]
        assert (listener["tls"]["path"], listener["tls"]["min"], listener["body"]) == ("in-process", "1.3", "copied")
        assert [each["names"] for each in listener["tls"]["certificates"]] == [["edge.test"], ["*.films.test"]]
        with urllib.request.urlopen(f"{admin}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        assert re.search(r'headrace_listeners\{[^}]*tls="in-process"\} 2\n', metrics)
        assert re.search(r'headrace_tls_handshakes_total\{[^}]*outcome="done"\} 2\n', metrics)
        assert re.search(r"headrace_tls_not_after_seconds\{[^}]*\} 1\d{9}\n", metrics)
        other.key.write_bytes(b"")
        _until(lambda: _health(admin)["status"] == "degraded", "the bad file is told")
        assert "`tls.1.key`" in _health(admin)["listener"]["tls"]["certificates"][1]["error"]
        assert _served(url, authority, "a.films.test") == {"*.films.test"}
        process.send_signal(signal.SIGHUP)
        _until(lambda: "`tls.1.key`" in str(_health(admin)["settings"]), "new workers could not serve: the old ones do")
        assert _served(url, authority, "a.films.test") == {"*.films.test"}
        other.become(authority.issue("new.test"))
        _until(lambda: _served(url, authority, "new.test") == {"new.test"}, "the new one is served")
        _until(lambda: _health(admin)["status"] == "ok", "well again")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert b"Traceback" not in (tmp_path / "log").read_bytes()


def test_an_expired_certificate_is_a_warning(tmp_path: Path, authority: Authority) -> None:
    with _edge(tmp_path, authority.issue("old.test", days=-1, since=9)):
        told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["level"] for line in told if "expired" in line.get("problem", "")] == ["warning"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--tls", "{cert}", "none.key"], "`tls.0.key`: none.key: No such file or directory"),
        (["--tls", "{cert}", "{other}"], "`tls.0.key`: {other}: does not belong to the certificate in {cert}"),
        (["--tls", "{cert}"], "flag --tls: wants two files, CERT KEY"),
        (["--tls", "{cert}", "--workers", "1"], "flag --tls: wants two files, CERT KEY"),
    ],
)
def test_wrong_files_end_with_2_and_say_which(
    tmp_path: Path, authority: Authority, flags: list[str], says: str
) -> None:
    paths = {"cert": authority.issue("edge.test").cert, "other": authority.issue("edge.test").key}
    given = [flag.format_map(paths) for flag in flags]
    command = [*EDGE, "--listen", "127.0.0.1:0", "--cache-dir", str(tmp_path), *given]
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE_S)
    assert done.returncode == 2
    assert done.stderr.decode().strip().splitlines()[-1] == f"headrace: {says.format_map(paths)}"
