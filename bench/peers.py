"""Hits per CPU second: Headrace's edge, the same without its fast lane, and nginx proxy_cache with secure_link.

    python -m bench.peers [--seconds 3] [--rounds 3] [--json]

The same objects, a checked token, a JSON log and one core for each server; wrk on the other core. The servers take
turns (A, B, C, A, B, C ...) and the median of a server's rounds counts, so that what else the machine does falls on
all. Only ratios within one run mean anything. Needs nginx and wrk.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from origin.contract import token
from origin.contract.urls import with_token

SIZES = (2_048, 65_536, 2**20, 2**22)
FOLDER = "/content/bench/v1/"
_LIFE_S = 86_400
_SECRET = "a secret of the benchmark"
_TICK = os.sysconf("SC_CLK_TCK")
_FIELDS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Accept: */*",
    "Accept-Language: en-US,en;q=0.9",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: http://player.test/",
    "Origin: http://player.test",
)
_ORIGIN = """
  server {{ listen 127.0.0.1:{port}; root {root}; sendfile on; add_header Cache-Control "public, max-age=86400"; }}
"""
_CACHE = """
  proxy_cache_path {root}/nginx-cache levels=1:2 keys_zone=c:16m max_size=1g use_temp_path=off;
  log_format j escape=json '{{"time":"$msec","id":"$request_id","client":"$remote_addr","method":"$request_method",'
    '"target":"/$rest","status":$status,"bytes":$body_bytes_sent,"seconds":$request_time,"cache":"$upstream_cache_status"}}';
  server {{
    listen 127.0.0.1:{port}; sendfile on; tcp_nopush {nopush}; keepalive_requests 100000000;
    access_log {root}/nginx-access.log j buffer=64k flush=1s;
    location ~ ^/t/(?<digest>[^/]+)/(?<end>[0-9]+)/(?<rest>.*)$ {{
      secure_link $digest,$end;
      secure_link_md5 "{secret} $secure_link_expires";
      if ($secure_link = "") {{ return 403; }}
      if ($secure_link = "0") {{ return 403; }}
      proxy_cache c; proxy_cache_key $rest; proxy_cache_lock on;
      add_header X-Request-ID $request_id; add_header X-Cache $upstream_cache_status;
      proxy_pass http://127.0.0.1:{origin}/$rest;
    }}
  }}
"""
_NGINX = """
{user}daemon off; worker_processes 1; pid {root}/{name}.pid; error_log {root}/{name}.log;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {root}/tmp; proxy_temp_path {root}/tmp; fastcgi_temp_path {root}/tmp;
  uwsgi_temp_path {root}/tmp; scgi_temp_path {root}/tmp; {servers} }}
"""
_EDGE = """
listen = "127.0.0.1:{port}"
origin = "http://127.0.0.1:{origin}"
access = "token"
keys_dir = "{root}/keys"
access_log = "{root}/{name}.log"
fast_lane = {lane}
store = {{ cache_dir = "{root}/{name}", disk = "1GiB", memory = "256MiB" }}
"""


@dataclass
class Server:
    """One that is measured; `prefix` stands before an object's path."""

    name: str
    port: int
    prefix: str
    process: subprocess.Popen[bytes]

    def url(self, size: int) -> str:
        """Where the object of that size is."""
        return f"http://127.0.0.1:{self.port}{self.prefix}{FOLDER}{size}.bin"

    def cpu_s(self) -> float:
        """CPU seconds of all its processes until now."""
        return sum(_cpu_s(pid) for pid in (self.process.pid, *_children(self.process.pid)))


@dataclass(frozen=True)
class Round:
    """One server under load for a while."""

    requests: int
    cpu_s: float

    @property
    def rate(self) -> float:
        """Requests a CPU second."""
        return self.requests / max(self.cpu_s, 1 / _TICK)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.peers")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--field", action="append", default=[], help="one more request field, as 'Range: bytes=0-'")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    missing = [name for name in ("nginx", "wrk") if _which(name) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="peers-") as folder, contextlib.ExitStack() as stack:
        servers = _start(Path(folder), stack)
        table = {size: _measure(servers, size, given) for size in given.sizes}
    sys.stdout.write(json.dumps(table) + "\n" if given.json else _text(table))


def _measure(servers: list[Server], size: int, given: argparse.Namespace) -> dict[str, float]:
    """The median requests a CPU second of each server for one size."""
    for server in servers:
        for _ in range(3):
            urllib.request.urlopen(server.url(size), timeout=10).read()  # noqa: S310  # our own URL
    rounds: dict[str, list[float]] = {server.name: [] for server in servers}
    for _ in range(given.rounds):
        for server in servers:
            rounds[server.name].append(_round(server, size, given).rate)
    return {name: round(statistics.median(rates)) for name, rates in rounds.items()}


def _round(server: Server, size: int, given: argparse.Namespace) -> Round:
    fields = [part for field in (*_FIELDS, *given.field) for part in ("-H", field)]
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{given.connections}", f"-d{given.seconds}s", *fields]
    before = server.cpu_s()
    text = subprocess.run([*command, server.url(size)], capture_output=True, text=True, check=True).stdout
    spent = server.cpu_s() - before
    if "Non-2xx" in text and not given.field:
        raise SystemExit(f"{server.name} refused: {text}")
    done = re.search(r"(\d+) requests in", text)
    return Round(int(done[1]) if done else 0, spent)


def _text(table: dict[int, dict[str, float]]) -> str:
    names = list(next(iter(table.values())))
    lines = ["requests/CPU s".ljust(16) + "".join(name.rjust(18) for name in names) + "    lane/nginx"]
    for size, row in table.items():
        best = max(value for name, value in row.items() if name.startswith("nginx"))
        values = "".join(f"{row[name]:18,.0f}" for name in names)
        lines.append(f"{size:<16,}{values}{row['lane'] / best:14.2f}")
    return "\n".join(lines) + "\n"


def _start(root: Path, stack: contextlib.ExitStack) -> list[Server]:
    """All servers, with the objects behind them."""
    objects = root / "objects"
    (objects / FOLDER.strip("/")).mkdir(parents=True)
    for size in SIZES:
        (objects / FOLDER.strip("/") / f"{size}.bin").write_bytes(os.urandom(size))
    origin = _free_port()
    stack.enter_context(_nginx(root, "origin", _ORIGIN.format(port=origin, root=objects)))
    now = time.time()
    token.new_key(root / "keys")
    text = token.mint(token.Keys.load(root / "keys"), path="/content/bench/", now=now, ttl_s=_LIFE_S)
    servers = []
    for name, lane in (("lane", "true"), ("aiohttp", "false")):
        port = _free_port()
        settings = _EDGE.format(port=port, origin=origin, root=root, name=name, lane=lane)
        process = stack.enter_context(_edge(root, name, settings))
        servers.append(Server(name, port, with_token(text, ""), process))
    end = str(int(now) + _LIFE_S)
    digest = base64.urlsafe_b64encode(hashlib.md5(f"{_SECRET} {end}".encode()).digest()).rstrip(b"=").decode()  # noqa: S324
    for nopush in ("on", "off"):
        port, name = _free_port(), f"nginx-nopush-{nopush}"
        inside = _CACHE.format(root=root, port=port, origin=origin, secret=_SECRET, nopush=nopush)
        inside = inside.replace("nginx-cache", name)
        process = stack.enter_context(_nginx(root, name, inside))
        servers.append(Server(name, port, f"/t/{digest}/{end}", process))
    for server in servers:
        _wait(server.port)
    return servers


@contextlib.contextmanager
def _nginx(root: Path, name: str, servers: str) -> Iterator[subprocess.Popen[bytes]]:
    file = root / f"{name}.conf"
    user = "user root; " if os.getuid() == 0 else ""  # its own account could not read this folder
    file.write_text(_NGINX.format(root=root, name=name, servers=servers, user=user))
    with _running([_which("nginx") or "nginx", "-c", str(file), "-e", str(root / f"{name}.log")]) as process:
        yield process


@contextlib.contextmanager
def _edge(root: Path, name: str, settings: str) -> Iterator[subprocess.Popen[bytes]]:
    file, ready = root / f"{name}.toml", root / f"{name}.ready"
    file.write_text(settings)
    command = [sys.executable, "-m", "headrace.main", "edge", "--config", str(file), "--ready-file", str(ready)]
    with _running(command) as process:
        end = time.monotonic() + 20
        while not ready.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        yield process


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _wait(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _which(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin"]))


def _free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        port: int = each.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
